"""How each documented command is covered: it is run, another test is named, or a reason why it cannot be run here."""

import ast
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).parent / "commands.yaml"
WAYS = ("run", "tested", "elsewhere")
CHOICE = re.compile(r"\((\w+(?:\|\w+)+)\)")
FIELDS = {"as", "with", "after", "leaves", "says"}


@dataclass(frozen=True)
class Entry:
    """A line of the table.

    Attributes:
        command: as the documents show it.
        way: "run", "tested" or "elsewhere".
        typed: what is run or composed in its place, with what makes it small.
        after: commands that have to be run before.
        leaves: pattern of files that must be there afterwards and not before; RUN is the run's folder.
        says: text that must be on stdout.
        note: node id of the test, or the reason.
    """

    command: str
    way: str
    typed: str
    after: tuple[str, ...] = ()
    leaves: str | None = None
    says: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Block:
    """How a block of Python is run.

    Attributes:
        before: Python that makes the names which the text around the block speaks of.
        after: commands that have to be run before.
        prints: its output is the next fenced block, but for this share in its numbers; None where that is not compared.
        replace: text -> what stands in its place.
    """

    before: str = ""
    after: tuple[str, ...] = ()
    prints: float | None = None
    replace: Mapping[str, str] = field(default_factory=dict)


def read_table(path: Path = TABLE) -> dict[str, Entry]:
    """Returns the entry of every command.

    Raises:
        ValueError: names a command that is there twice, or a field that no entry has.
    """
    content = yaml.safe_load(path.read_text())
    small: dict[str, str] = content["small"]
    found: dict[str, Entry] = {}
    for way in WAYS:
        listed = [(command, said) for pattern, said in content[way].items() for command in each_of(pattern)]
        for command, said in listed:
            if command in found:
                raise ValueError(f"{path.name}: {command!r} is under {found[command].way} and under {way}")
            found[command] = _entry(command, way, said, small)
    return found


def each_of(pattern: str) -> list[str]:
    """Returns the commands that a line of the table stands for: (a|b) is either."""
    choice = CHOICE.search(pattern)
    if choice is None:
        return [pattern]
    before, after = pattern[: choice.start()], pattern[choice.end() :]
    return [command for word in choice[1].split("|") for command in each_of(before + word + after)]


def read_blocks(path: Path = TABLE) -> dict[str, list[Block]]:
    """Returns how the blocks of Python of each document are run, in their order."""
    content = yaml.safe_load(path.read_text())["python"]
    return {document: [_block(said or {}) for said in blocks] for document, blocks in content.items()}


def _entry(command: str, way: str, said: Any, small: Mapping[str, str]) -> Entry:
    if way != "run":
        said = {"note": said} if isinstance(said, str) else said
        return Entry(command, way, said.get("as", command), note=said["note"])
    said = said or {}
    if set(said) - FIELDS:
        raise ValueError(f"{command!r}: unknown {sorted(set(said) - FIELDS)}; a run has {sorted(FIELDS)}")
    added = [small.get(word, word) for word in shlex.split(said.get("with", ""))]
    typed = " ".join([said.get("as", command), *added])
    return Entry(command, way, typed, tuple(said.get("after", ())), said.get("leaves"), said.get("says"))


def _block(said: Mapping[str, Any]) -> Block:
    return Block(**{name: tuple(value) if name == "after" else value for name, value in said.items()})


def names_a_test(node: str, root: Path) -> bool:
    """Returns whether a node id (file::function) is of a test that exists."""
    file, _, name = node.partition("::")
    if not (root / file).is_file():
        return False
    tree = ast.parse((root / file).read_text())
    return any(isinstance(each, ast.FunctionDef) and each.name == name for each in tree.body)
