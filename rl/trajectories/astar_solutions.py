"""A* solutions of Boxoban's levels, as the hub's `AlignmentResearch/boxoban-astar-solutions` keeps them.

A few of them are wrong, so that each one is replayed and only those are taken that solve their level.
"""

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from laser_lit.config_data import DataConfig
from laser_lit.data.hub import HubError, fetch
from laser_lit.data.table import Schema
from laser_lit.errors import InputError, unknown_name
from rl.sokoban.boards import Boards
from rl.sokoban.level import Level
from rl.sokoban.rules import ACTIONS, MAX_STEPS, Board
from rl.trajectories.trajectories import Trajectories

ASTAR_ID = "AlignmentResearch/boxoban-astar-solutions"
"""The data set on the hub."""
ASTAR_FILES = ("unfiltered_train.csv.gz", "unfiltered_valid.csv.gz", "unfiltered_test.csv.gz", "medium_valid.csv.gz")
"""Its files, one a part of Boxoban."""

_COLUMNS = ("File", "Level", "Actions", "Steps")
_SCHEMA = Schema(f"CSV with the columns {', '.join(_COLUMNS)}")
_UNSOLVED = ("SEARCH_STATE_FAILED", "NOT_FOUND", "INCORRECT_SOLUTION_FOUND", "-1")
_LETTERS = str.maketrans("0123", "URDL")
_NUMBERS = bytes.maketrans(ACTIONS.encode(), bytes(range(len(ACTIONS))))
_NAME = re.compile(r"([0-9]+)\.txt#([0-9]+)")

_Key = tuple[int, int]  # numbers of file and level


class _Row(NamedTuple):
    key: _Key
    actions: str
    steps: str


def fetch_astar(file: str, revision: str = "main") -> Path:
    """Returns one of `ASTAR_FILES`, from the hub or its cache; offline (HF_HUB_OFFLINE=1) from the cache alone.

    Args:
        file: which.
        revision: commit, tag or branch.

    Raises:
        InputError: another name, or a file that is neither on the hub nor in the cache.
    """
    if file not in ASTAR_FILES:
        raise unknown_name("file of solutions", file, ASTAR_FILES)
    try:
        config = DataConfig(name=ASTAR_ID, id=ASTAR_ID, revision=revision, files={"solutions": file})
        path = fetch(config, _SCHEMA) / file
    except HubError as error:
        raise InputError(
            f"{file}: cannot get it from {ASTAR_ID} at revision {revision}, neither from the hub ({error.reason}) nor "
            "from its cache; give the path of a copy"
        ) from error
    if not path.is_file():
        raise InputError(f"{file}: {ASTAR_ID} has no such file at revision {revision}; take another revision")
    return path


def astar_trajectories(
    levels: Sequence[Level], path: Path, *, max_steps: int = MAX_STEPS
) -> tuple[Trajectories, tuple[str, ...]]:
    """Returns the solutions of levels as episodes, in the order of the levels, and notes on what was left out.

    Args:
        levels: as in `astar_solutions`, of one size.
        path: as in `astar_solutions`.
        max_steps: longest episode; longer solutions are left out.

    Raises:
        InputError: as `astar_solutions`, or every solution is longer.
    """
    solutions, notes = astar_solutions(levels, path)
    kept = [level for level in levels if 1 <= len(solutions.get(level.name, "")) <= max_steps]
    if not kept:
        raise InputError(
            f"{path}: all {len(solutions):,} solutions have more than {max_steps} steps; allow longer ones"
        )
    if longer := len(solutions) - len(kept):
        notes += (f"{path.name}: {longer:,} solutions of more than {max_steps} steps left out",)
    parts = [_numbers(solutions[level.name]) for level in kept]
    actions = np.concatenate(parts)
    lengths = np.array([len(part) for part in parts], np.int32)
    about = {"source": "astar", "file": path.name, "levels": len(kept), "max_steps": max_steps}
    return Trajectories(np.stack([level.board for level in kept]), lengths, actions, actions.copy(), about), notes


def astar_solutions(levels: Sequence[Level], path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Returns what solves levels, letters of `rules.ACTIONS` by the level's name, and notes on what was left out.

    Args:
        levels: of the part of Boxoban that the file is of, with the names that `read_levels` gives them from its
            folder, as in "000.txt#12"; of one size.
        path: one of `ASTAR_FILES`, or a CSV file of the same columns, unpacked or not.

    Raises:
        InputError: a file that cannot be read (names the line), levels of other names, or no level is solved.
    """
    given, left_out = _claims(path, _places(levels))
    actions = [_numbers(row.actions) for row in given.values()]
    after = _solved_after([levels[place].board for place in given], actions)
    solutions = {}
    for (place, row), steps in zip(given.items(), after.tolist(), strict=True):
        if steps:
            solutions[levels[place].name] = row.actions[:steps]
        else:
            left_out[f"Steps {row.steps}" if row.steps in _UNSOLVED else "actions that do not solve the level"] += 1
    reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(left_out.items())) or "nothing"
    note = f"{path.name}: solutions of {len(solutions):,} of {len(levels):,} levels; left out {reasons}"
    if not solutions:
        raise InputError(f"{note}; give the levels of the part of Boxoban that the file is of")
    return solutions, (note,)


def _claims(path: Path, places: dict[_Key, int]) -> tuple[dict[int, _Row], Counter[str]]:
    """Returns the rows that have actions for a level, by its place and in this order, and how many are left out why."""
    given, left_out, seen = dict[int, _Row](), Counter[str](), set[int]()
    for row in _rows(path):
        place = places.get(row.key)
        if place is None:
            continue
        if place in seen:
            left_out["further rows of a level"] += 1
        elif row.actions in _UNSOLVED:
            left_out[row.actions] += 1
        else:
            given[place] = row
        seen.add(place)
    if len(seen) < len(places):
        left_out["no row"] = len(places) - len(seen)
    return dict(sorted(given.items())), left_out


def _places(levels: Sequence[Level]) -> dict[_Key, int]:
    """Returns where among the levels each file and number is."""
    places: dict[_Key, int] = {}
    for place, level in enumerate(levels):
        named = _NAME.fullmatch(level.name)
        if named is None:
            raise InputError(f"level {level.name!r}: solutions are found by Boxoban's names, as in '000.txt#12'")
        key = int(named[1]), int(named[2])
        if key in places:
            raise InputError(f"two levels {level.name!r}: take those of one of Boxoban's folders at a time")
        places[key] = place
    return places


def _rows(path: Path) -> Iterator[_Row]:
    """Yields the rows of a file, actions as letters of `rules.ACTIONS` or a word that says why there are none."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a copy of one of {ASTAR_ID}, or what `fetch_astar` returns")
    line = 1
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [column for column in _COLUMNS if column not in (reader.fieldnames or ())]:
                raise InputError(f"no column {', '.join(missing)}; {_SCHEMA.wants}")
            for values in reader:
                line = reader.line_num
                yield _row(*(values[column] or "" for column in _COLUMNS))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, InputError) as error:
        raise InputError(f"{path}:{line}: {error}") from error


def _row(file: str, level: str, actions: str, steps: str) -> _Row:
    for name, number in (("File", file), ("Level", level)):
        if not (number.isascii() and number.isdigit()):
            raise InputError(f"{name} {number!r}: must be a number, as in '023'")
    if actions not in _UNSOLVED:
        if wrong := set(actions) - set("0123"):
            said = " ".join(map(ascii, sorted(wrong)))
            raise InputError(f"Actions with {said}: must be digits 0 up, 1 right, 2 down, 3 left, or NOT_FOUND")
        actions = actions.translate(_LETTERS)
    return _Row((int(file), int(level)), actions, steps)


def _numbers(letters: str) -> NDArray[np.int8]:
    """Returns the numbers of the actions, (steps,)."""
    return np.frombuffer(letters.encode().translate(_NUMBERS), np.int8)


def _solved_after(starts: list[Board], parts: list[NDArray[np.int8]]) -> NDArray[np.int64]:
    """Returns after how many of its actions each board is solved, (n,); 0 where it is not.

    Args:
        starts: n boards of one size.
        parts: n arrays of actions.
    """
    after = np.zeros(len(parts), np.int64)
    if not parts:
        return after
    lengths = np.array([len(part) for part in parts])
    first, actions = np.cumsum(lengths) - lengths, np.concatenate(parts)
    boards, rows = Boards(starts), np.arange(len(parts))
    for step in range(int(lengths.max())):
        running = np.flatnonzero((lengths[rows] > step) & (after[rows] == 0))
        if len(running) < len(rows):
            boards, rows = boards.take(running), rows[running]
        after[rows[boards.step(actions[first[rows] + step]).solved]] = step + 1
    return after
