"""Questions as pairs of context and continuation, in the very words of lm-evaluation-harness."""

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from laser_lit.data.example import Example
from laser_lit.data.matching import MatchedSet

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_DIGITS = str.maketrans("", "", string.digits)


@dataclass(frozen=True)
class PairExample(Example):
    """One question; `prompt`, `answer` and `choices` are what is shown of it.

    Attributes:
        contexts: what stands before each continuation, one a continuation, solved examples included.
        continuations: what follows its context at once, with the delimiter: one a choice, or the answer alone.
        lengths: characters of each choice, by which `normalize_choices` divides its log prob; empty without choices.
        right: places of the right choices.
    """

    contexts: tuple[str, ...] = ()
    continuations: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    right: tuple[int, ...] = ()

    @property
    def golds(self) -> tuple[int, ...]:
        """Places in `choices` of the right ones."""
        return self.right


@dataclass(frozen=True)
class Filter:
    """One step that a generated text goes through before it is compared.

    Attributes:
        name: "take_first" (of several texts, of which there is one), "remove_whitespace", "lowercase", "uppercase" or
            "regex".
        pattern: of "regex": the text becomes the match, or its first group that is not empty.
        place: which of several matches.
        fallback: text where nothing matches.
    """

    name: str
    pattern: str = ""
    place: int = 0
    fallback: str = "[invalid]"

    def __call__(self, text: str) -> str:
        """Returns the text after this step."""
        if self.name == "regex":
            return self._match(text)
        steps: dict[str, Callable[[str], str]] = {
            "take_first": str,
            "remove_whitespace": str.strip,
            "lowercase": str.lower,
            "uppercase": str.upper,
        }
        return steps[self.name](text)

    def _match(self, text: str) -> str:
        found = re.findall(self.pattern, text)
        if not found:
            return self.fallback
        chosen = found[self.place]
        if isinstance(chosen, tuple):
            chosen = next((group for group in chosen if group), self.fallback)
        return str(chosen).strip()


FILTERS = ("take_first", "remove_whitespace", "lowercase", "uppercase", "regex")


@dataclass(frozen=True)
class ExactMatch:
    """When a generated text is right: it equals an answer, both without what is to be ignored.

    Source: exact_match of lm-evaluation-harness (lm_eval/api/metrics.py).

    Attributes:
        until: texts that end the continuation.
        filters: what the continuation goes through, in this order.
        regexes_to_ignore: patterns taken out of text and answer.
        ignore_case: compare in lower case.
        ignore_punctuation: leave out ASCII punctuation.
        ignore_numbers: leave out digits.
    """

    until: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    regexes_to_ignore: tuple[str, ...] = ()
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_numbers: bool = False

    def prediction(self, text: str) -> str:
        """Returns what is compared of a continuation.

        Args:
            text: as it was generated, without special tokens.
        """
        for stop in filter(None, self.until):
            text = text.split(stop)[0]
        for step in self.filters:
            text = step(text)
        return text

    def judge(self, text: str, answers: Sequence[str]) -> tuple[str, bool]:
        """Returns what of a text is compared, and whether it is one of the answers."""
        prediction = self.prediction(text)
        return prediction, any(self(prediction, answer) for answer in answers)

    def __call__(self, prediction: str, answer: str) -> bool:
        """Returns whether a prediction is the answer."""
        return self._reduced(prediction) == self._reduced(answer)

    def _reduced(self, text: str) -> str:
        for pattern in self.regexes_to_ignore:
            text = re.sub(pattern, "", text)
        text = text.lower() if self.ignore_case else text
        text = text.translate(_PUNCTUATION) if self.ignore_punctuation else text
        return text.translate(_DIGITS) if self.ignore_numbers else text


@dataclass(frozen=True)
class PairSet(MatchedSet):
    """Examples that are PairExamples, tokenized and judged as lm-evaluation-harness does; `match` is an ExactMatch."""
