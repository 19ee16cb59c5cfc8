"""The record of prompts that were put to a model with and without its edits: compare.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from laser_lit.config import SCHEMA
from laser_lit.errors import InputError
from laser_lit.files import write_text_atomic
from laser_lit.results.record import AppliedEdit, jsonable

FILE = "compare.json"
BASE = "base"


@dataclass(frozen=True)
class Token:
    """One of the most probable next tokens.

    Attributes:
        text: with the space that it brings.
        probability: under the variant that lists it.
        base: under the base.
    """

    text: str
    probability: float
    base: float


@dataclass(frozen=True)
class Reply:
    """What one variant says to one prompt.

    Attributes:
        text: the greedy continuation; of a masked model what fills its masks.
        common: how many of its first characters the base says too, in whole tokens.
        changed: whether its tokens are others than the base's.
        ended: whether the model said that the text ends there.
        kl: KL divergence of its next-token distribution from the base's, nats; None where that is infinite.
        top: its most probable next tokens, the most probable first.
    """

    text: str
    common: int
    changed: bool
    ended: bool
    kl: float | None
    top: tuple[Token, ...]


@dataclass(frozen=True)
class Asked:
    """One prompt with every variant's reply.

    Attributes:
        prompt: as given.
        answer: what is true, where somebody said so.
        tokens: length of the prompt.
        replies: variant -> what it says.
    """

    prompt: str
    answer: str | None
    tokens: int
    replies: Mapping[str, Reply]


@dataclass(frozen=True)
class Change:
    """How much of what is said a variant changes.

    Attributes:
        variant: its name.
        changed: share of the prompts whose continuation is another.
        kl: mean KL divergence of the next-token distributions from the base's, nats; None where one is infinite.
    """

    variant: str
    changed: float
    kl: float | None


@dataclass(frozen=True)
class SideBySide:
    """Prompts and what each variant of a model says to them.

    Attributes:
        model: id, revision, dtype and so on, as in result.json.
        kind: "causal" or "masked".
        variants: the base first, the most edited one last.
        asked: the prompts, in their order.
        edits: as resolved.
        stack: where the edits come from; None without any.
        reft: kind, path and content of the adapter; None without one.
        settings: max_new_tokens, top, chat_template.
        warnings: what a reader must know, a sentence each.
        device: in words.
        seconds: of each phase.
        versions: of the packages.
        git: commit of the checkout.
        config: the whole config.
    """

    model: Mapping[str, Any]
    kind: str
    variants: tuple[str, ...]
    asked: tuple[Asked, ...]
    edits: tuple[AppliedEdit, ...] = ()
    stack: str | None = None
    reft: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    device: str = "cpu"
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changes(self) -> tuple[Change, ...]:
        """How much each variant but the base changes."""
        return tuple(self._change(name) for name in self.variants if name != BASE)

    def _change(self, variant: str) -> Change:
        replies = [asked.replies[variant] for asked in self.asked]
        known = [reply.kl for reply in replies if reply.kl is not None]
        kl = sum(known) / len(replies) if len(known) == len(replies) else None
        return Change(variant, sum(reply.changed for reply in replies) / len(replies), kl)

    def save(self, path: Path) -> None:
        """Writes the record atomically.

        Args:
            path: compare.json.
        """
        content = {"schema": SCHEMA, "task": "compare", **asdict(self)}
        content["changes"] = [asdict(change) for change in self.changes]
        write_text_atomic(path, json.dumps(jsonable(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_side_by_side(folder: Path) -> SideBySide:
    """Returns the record that `SideBySide.save` wrote.

    Args:
        folder: of the run.

    Raises:
        InputError: no such file, no JSON, another schema, an entry that is missing or of the wrong kind.
    """
    file = folder / FILE
    if not file.is_file():
        raise InputError(f"no {FILE} in {folder}: give the folder of a finished run of task=compare")
    try:
        content = json.loads(file.read_bytes())
        if content["schema"] != SCHEMA:
            raise InputError(f"{file} has schema {content['schema']!r}, this version reads {SCHEMA}: run it again")
        known: dict[str, Any] = {name: content[name] for name in SideBySide.__dataclass_fields__}
        known["asked"] = tuple(_asked(entry) for entry in content["asked"])
        known["edits"] = tuple(AppliedEdit(**edit) for edit in content["edits"])
        known |= {name: tuple(content[name]) for name in ("variants", "warnings")}
        return SideBySide(**known)
    except KeyError as error:
        raise InputError(f"{file} lacks the entry {error.args[0]!r} of schema {SCHEMA}") from error
    except InputError:
        raise
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{file} is no record of task=compare ({error}): run it again") from error


def _asked(entry: Mapping[str, Any]) -> Asked:
    replies = {name: _reply(reply) for name, reply in entry["replies"].items()}
    return Asked(entry["prompt"], entry["answer"], entry["tokens"], replies)


def _reply(entry: Mapping[str, Any]) -> Reply:
    return Reply(**{**entry, "top": tuple(Token(**token) for token in entry["top"])})
