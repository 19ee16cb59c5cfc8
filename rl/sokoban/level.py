"""Levels, which room each belongs to, and the text files that they are read from and written to.

A room is a level without boxes and player. Levels of one room resemble each other, so that data are split by rooms: a
room and its rotations and reflections are always on one side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import xxhash

from laser_lit.errors import InputError
from laser_lit.files import write_text_atomic
from rl.sokoban.rules import CHARACTERS, Board, from_text, to_text, without_movables

Split = Literal["train", "validation", "test"]

_ALLOWED = frozenset(CHARACTERS)


@dataclass(frozen=True, eq=False)
class Level:
    """A board to begin from.

    Attributes:
        board: (height, width) tiles, read-only.
        name: where it comes from, as in "000.txt#12".
        room: key of its room (see `room_key`).
        moves: the least number of moves that solve it; None where it is not known.
    """

    board: Board
    name: str
    room: str
    moves: int | None

    @classmethod
    def of(cls, board: Board, name: str, moves: int | None = None) -> "Level":
        """Returns the level of a copy of a board, with the key of its room."""
        board = board.copy()
        board.flags.writeable = False
        return cls(board, name, room_key(board), moves)


def room_key(board: Board) -> str:
    """Returns 16 hexadecimal digits that name a board's room, the same for its rotations and reflections.

    Args:
        board: (height, width) tiles; boxes and player do not count.
    """
    room = without_movables(board)
    forms = [
        f"{form.shape}".encode() + form.tobytes()
        for turned in (room, room.T)
        for rows in (turned, turned[::-1])
        for form in (rows, rows[:, ::-1])
    ]
    return xxhash.xxh3_64_hexdigest(min(forms))


def room_split(key: str) -> Split:
    """Returns which part of the data a room belongs to: by its key 80 % train, 10 % validation, 10 % test."""
    tenth = int(key, 16) % 10
    return "test" if tenth == 0 else "validation" if tenth == 1 else "train"


def read_levels(path: Path) -> list[Level]:
    """Returns the levels of a file in Boxoban's format, or of a folder's .txt files in the order of their names.

    Args:
        path: the file or folder. Before each level stands a line "; n", which gives it the name "FILE#n".

    Raises:
        InputError: nothing to read, or a file that is not levels; names file and line.
    """
    path = path.expanduser()
    if not path.is_dir():
        return list(_read_file(path))
    files = sorted(file for file in path.glob("*.txt") if file.is_file())
    if not files:
        raise InputError(f"{path}: no .txt file in this folder (folders inside it are not looked into); name another")
    return [level for file in files for level in _read_file(file)]


def write_levels(levels: Sequence[Level], path: Path) -> None:
    """Writes levels to a file in Boxoban's format, numbered from 0; names and numbers of moves are not kept.

    Raises:
        InputError: no levels.
    """
    if not levels:
        raise InputError(f"{path}: there are no levels to write; a file of levels has at least one")
    blocks = [f"; {number}\n{to_text(level.board)}\n" for number, level in enumerate(levels)]
    write_text_atomic(path, "\n".join(blocks))


def _read_file(path: Path) -> Iterator[Level]:
    numbers: dict[str, int] = {}
    for line, number, rows in _blocks(path):
        if not (number.isascii() and number.isdigit()):
            raise InputError(f"{path}:{line}: a level begins with a line '; n', n a number; given '; {number}'")
        if number in numbers:
            raise InputError(f"{path}:{line}: level {number} stands already in line {numbers[number]}; renumber one")
        numbers[number] = line
        yield Level.of(_board(path, line, rows), f"{path.name}#{number}")
    if not numbers:
        raise InputError(f"{path}:1: no level in this file; a level is a line '; n' and lines of {CHARACTERS!r}")


def _blocks(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yields, for each line "; n", its place in the file counted from 1, n, and the lines up to the next such line."""
    lines = _text(path).replace("\r\n", "\n").split("\n")
    heads = [place for place, line in enumerate(lines) if line.startswith(";")]
    for place, line in enumerate(lines[: heads[0] if heads else None], start=1):
        if line.strip(" "):
            raise InputError(f"{path}:{place}: a level begins with a line '; n', n a number; given {_short(line)}")
    for head, end in pairwise([*heads, len(lines)]):
        yield head + 1, lines[head][1:].strip(), lines[head + 1 : end]


def _board(path: Path, line: int, rows: list[str]) -> Board:
    """Returns the board of the rows that follow a line; empty rows before and after it do not count."""
    filled = [place for place, row in enumerate(rows) if row.strip(" ")]
    if not filled:
        raise InputError(f"{path}:{line}: no rows follow this line; a level is lines of {CHARACTERS!r}")
    first, last = filled[0], filled[-1]
    width = len(rows[first])
    for place, row in enumerate(rows[first : last + 1], start=line + 1 + first):
        if unknown := sorted(set(row) - _ALLOWED):
            said = " ".join(map(ascii, unknown))
            raise InputError(f"{path}:{place}: unknown characters {said}; a level is made of {CHARACTERS!r}")
        if len(row) != width:
            raise InputError(
                f"{path}:{place}: a row of {len(row)} characters in a level whose first row has {width}; "
                "the rows of a level are equally long"
            )
    try:
        return from_text("\n".join(rows[first : last + 1]))
    except InputError as error:
        raise InputError(f"{path}:{line}: {error}") from error


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a file of levels or a folder") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not text; a file of levels is lines of {CHARACTERS!r}") from error


def _short(line: str) -> str:
    return ascii(line if len(line) <= 20 else line[:20] + "…")
