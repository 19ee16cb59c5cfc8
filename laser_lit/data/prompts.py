"""Free prompts: typed, read from a file, or asked of the built-in world."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laser_lit.config_data import FactsConfig
from laser_lit.data.facts.world import build_world
from laser_lit.data.reader import read_table, read_text
from laser_lit.data.table import Schema
from laser_lit.errors import InputError

SCHEMA = Schema(wants="a row is wanted for each prompt, with the text in its field `prompt`")
TEXT = ("", ".txt", ".md")
"""Suffixes of files with a prompt a line."""
EXAMPLE = "compare.prompts='[\"The capital of France is\"]'"


@dataclass(frozen=True)
class Prompt:
    """A text to be continued, or with masks to be filled.

    Attributes:
        text: as given.
        answer: what is true, where somebody said so; shown, never scored.
    """

    text: str
    answer: str | None = None


def read_prompts(prompts: Any, file: str | None, world: FactsConfig | None) -> tuple[Prompt, ...]:
    """Returns the prompts that a config names, in their order.

    Args:
        prompts: a text or a sequence of texts.
        file: a prompt a line, or rows with the fields `prompt` and `answer`.
        world: of the built-in model, which is asked about where neither is given.

    Raises:
        InputError: none at all, both, an empty one, or a file that cannot be read.
    """
    if prompts is not None and file is not None:
        raise InputError(f"compare.prompts beside compare.file={file}: leave one of them out")
    if prompts is not None:
        return _typed(prompts)
    if file is not None:
        return tuple(_rows(Path(file).expanduser()))
    if world is None:
        raise InputError(f"task=compare needs prompts: {EXAMPLE}, or compare.file=prompts.txt with a prompt a line")
    return world_prompts(world)


def world_prompts(config: FactsConfig) -> tuple[Prompt, ...]:
    """Returns questions of a world: of every relation the fact that is told most often, then the one told least.

    Args:
        config: the world.
    """
    facts = sorted(build_world(config).facts, key=lambda fact: (-fact.frequency, fact.id))
    names = sorted({fact.relation for fact in facts})
    groups = [[fact for fact in facts if fact.relation == name] for name in names]
    chosen = [fact for group in groups for fact in dict.fromkeys((group[0], group[-1]))]
    return tuple(Prompt(fact.prompts[0], fact.answer) for fact in chosen)


def _typed(prompts: Any) -> tuple[Prompt, ...]:
    texts = [prompts] if isinstance(prompts, str) else prompts
    if isinstance(texts, Mapping) or not hasattr(texts, "__iter__"):
        raise InputError(f"compare.prompts={prompts}: must be a text or a list of texts, as in {EXAMPLE}")
    found = tuple(_prompt(text, f"compare.prompts, text {number}") for number, text in enumerate(texts, start=1))
    if not found:
        raise InputError(f"compare.prompts is empty: give at least one, as in {EXAMPLE}")
    return found


def _rows(path: Path) -> Iterator[Prompt]:
    if not path.is_file():
        what = "is a folder; name a file in it" if path.is_dir() else f"no such file in {Path.cwd()}"
        raise InputError(f"compare.file={path}: {what}")
    if path.suffix.lower() in TEXT:
        lines = [line.rstrip("\r") for line in read_text(path).split("\n")]
        if not any(line.strip() for line in lines):
            raise InputError(f"compare.file={path}: holds no prompt; write one a line")
        yield from (Prompt(line) for line in lines if line.strip())
        return
    for row in read_table(path, SCHEMA):
        answer = row.values.get("answer")
        yield Prompt(row.text("prompt"), None if answer is None else str(answer))


def _prompt(text: Any, where: str) -> Prompt:
    if not isinstance(text, str):
        raise InputError(f"{where}: {text!r} is no text; put it in quotes")
    if not text.strip():
        raise InputError(f"{where}: is empty; give it at least one word, or leave it out")
    return Prompt(text)
