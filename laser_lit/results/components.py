"""What the higher-order components of the edited matrices say when they are left alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

DROPPED = "dropped by LASER"


@dataclass(frozen=True)
class Share:
    """A mean over examples.

    Attributes:
        value: the mean.
        ci95: its interval, bootstrap over groups; None for a single group.
    """

    value: float
    ci95: tuple[float, float] | None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Share":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        ci95 = content["ci95"]
        return cls(content["value"], None if ci95 is None else (ci95[0], ci95[1]))


@dataclass(frozen=True)
class Word:
    """An answer that was given.

    Attributes:
        text: the answer.
        share: of the examples that got it.
        told: how often the corpus says it; None where no one counted.
    """

    text: str
    share: float
    told: int | None = None


@dataclass(frozen=True)
class Answers:
    """What a model answers to some examples.

    Attributes:
        accuracy: share that is right.
        generic: share that is the generic word (of its category); None where there is none.
        category: share that is a right answer of some example of the same category; None without categories.
        cosine: mean cosine similarity of given and right answer in the input embeddings.
        closer: by how much the given answer is closer to its own right answer than, on average, to those of all these
            examples: what of the similarity is about the question.
        words: the commonest, most frequent first.
    """

    accuracy: Share
    generic: Share | None
    category: Share | None
    cosine: Share
    closer: Share
    words: tuple[Word, ...]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Answers":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        names = ("accuracy", "generic", "category", "cosine", "closer")
        shares = {name: None if content[name] is None else Share.of(content[name]) for name in names}
        words = tuple(Word(**word) for word in content["words"])
        return cls(**shares, words=words)  # type: ignore[arg-type]

    def counted(self, told: Mapping[str, int]) -> "Answers":
        """Returns the same with how often each word is told, for the words that are in `told`."""
        return replace(self, words=tuple(replace(word, told=told.get(word.text, word.told)) for word in self.words))


@dataclass(frozen=True)
class Alone:
    """Some components of each edited matrix alone.

    Attributes:
        name: "bottom 5 %", for shares that were asked for, from the smallest singular value up; "dropped by LASER",
            "LASER", "base" (all components) or "zeroed" (none).
        share: that was asked for; None for the others.
        kept: how many components are left of each edited matrix, in the order of the record's edits.
        fixed: on the test examples that LASER fixes.
        right: on those that base and LASER get right; None where there are none.
    """

    name: str
    share: float | None
    kept: tuple[int, ...]
    fixed: Answers
    right: Answers | None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Alone":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        right = content["right"]
        return cls(
            content["name"],
            content["share"],
            tuple(content["kept"]),
            Answers.of(content["fixed"]),
            None if right is None else Answers.of(right),
        )


@dataclass(frozen=True)
class Components:
    """The higher-order components alone, Figure 5 of the LASER paper.

    Attributes:
        generic: the base's commonest wrong answers on validation, one a category or one in all, without repeats; empty
            where it makes no error there.
        n_fixed: test examples that LASER fixes.
        groups_fixed: their groups.
        n_right: test examples that base and LASER get right.
        left_out: test examples whose answer is not one token or one of few choices.
        base: the whole matrices.
        laser: what the edit keeps.
        zeroed: the matrices without any component: what the rest of the model says.
        alone: the shares, from few components to many, and those that LASER drops.
        generic_added: of the examples that LASER fixes, share that is the generic word with the components that LASER
            drops less the share with the matrices zeroed, paired; None without a generic word.
        generic_added_right: the same of the examples that base and LASER get right; None without any.
    """

    generic: tuple[str, ...]
    n_fixed: int
    groups_fixed: int
    n_right: int
    left_out: int
    base: Alone
    laser: Alone
    zeroed: Alone
    alone: tuple[Alone, ...]
    generic_added: Share | None
    generic_added_right: Share | None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Components":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        parts = {name: Alone.of(content[name]) for name in ("base", "laser", "zeroed")}
        added = ("generic_added", "generic_added_right")
        shares = {name: None if content[name] is None else Share.of(content[name]) for name in added}
        return cls(
            **{
                **content,
                **parts,
                **shares,
                "generic": tuple(content["generic"]),
                "alone": tuple(map(Alone.of, content["alone"])),
            }
        )

    @property
    def words(self) -> tuple[str, ...]:
        """Every word that is named."""
        parts = [answers for part in self.parts for answers in (part.fixed, part.right) if answers is not None]
        return tuple(dict.fromkeys(word.text for answers in parts for word in answers.words))

    def counted(self, told: Mapping[str, int]) -> "Components":
        """Returns the same with how often each word is told.

        Args:
            told: by word.
        """

        def part(alone: Alone) -> Alone:
            right = None if alone.right is None else alone.right.counted(told)
            return replace(alone, fixed=alone.fixed.counted(told), right=right)

        whole = {name: part(getattr(self, name)) for name in ("base", "laser", "zeroed")}
        return replace(self, **whole, alone=tuple(part(alone) for alone in self.alone))  # type: ignore[arg-type]

    @property
    def dropped(self) -> Alone:
        """Those that LASER drops."""
        return next(part for part in self.alone if part.name == DROPPED)

    @property
    def rising(self) -> tuple[Alone, ...]:
        """From no component to every one, by how many are left of all matrices; without what the edit keeps."""
        return tuple(sorted((self.zeroed, *self.alone, self.base), key=lambda part: sum(part.kept)))

    @property
    def parts(self) -> tuple[Alone, ...]:
        """All of them, from no component to every one, LASER last."""
        return (*self.rising, self.laser)
