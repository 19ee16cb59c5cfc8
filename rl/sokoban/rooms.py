"""Rooms and levels by chance: floors carved by a random walk, targets anywhere, starts from which a solution is known.

Small rooms are solved whole (`rl.sokoban.table`), so that the start is drawn from all that can be solved, by its least
number of moves. Rooms with too many states are played backwards (`rl.sokoban.reverse`).
"""

from collections.abc import Iterator
from dataclasses import replace
from math import comb
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError, unknown_name
from rl.sokoban.level import Level, Split, room_key, room_split
from rl.sokoban.reverse import reverse_start
from rl.sokoban.rules import FLOOR, STEPS, TARGET, WALL, Board, without_movables
from rl.sokoban.table import SolutionTable

SIZES = range(5, 11)
"""Heights and widths that are generated, in cells, outer wall included."""
BOXES = range(1, 5)
"""Numbers of boxes that are generated."""

_STAMPS = np.array(
    [
        [[0, 0, 0], [1, 1, 1], [0, 0, 0]],
        [[0, 1, 0], [0, 1, 0], [0, 1, 0]],
        [[0, 0, 0], [1, 1, 0], [0, 1, 0]],
        [[0, 0, 0], [1, 1, 0], [1, 1, 0]],
        [[0, 0, 0], [0, 1, 1], [0, 1, 0]],
    ],
    bool,
)  # what each step of the walk carves around it
_TURN = 0.35  # how often the walk draws a new direction
_BATCH = 256  # rooms that are carved at once where many are wanted
_TABLE_STATES = 300_000  # larger rooms are played backwards
_EFFORT = 20_000  # that is spent in vain at most, see `_effort`
_ADVICE = "take a larger size, fewer boxes, or wider limits of moves"


def generate_room(rng: np.random.Generator, size: int, boxes: int) -> Board:
    """Returns a room in which some start can be solved, (size, size) tiles without boxes and player.

    Args:
        rng: where chance comes from.
        size: height and width in cells, one of `SIZES`.
        boxes: number of targets, one of `BOXES`.

    Raises:
        InputError: another size or number of boxes, or none was found.
    """
    return without_movables(generate_level(rng, size, boxes, min_moves=1, max_moves=1_000).board)


def generate_level(rng: np.random.Generator, size: int, boxes: int, min_moves: int = 3, max_moves: int = 60) -> Level:
    """Returns a level of a new room; no box begins on a target.

    Its least number of moves is drawn uniformly from those that the room offers within the limits, then the start from
    those that need so many. In a room of more than 300,000 states, `moves` is None and the start comes from a play
    backwards: it needs at least as many pushes as `min_moves`, and there is a solution of at most `max_moves` moves.

    Args:
        rng: where chance comes from.
        size: height and width in cells, one of `SIZES`.
        boxes: how many, one of `BOXES`.
        min_moves: that the shortest solution takes at least.
        max_moves: that it takes at most.

    Raises:
        InputError: an argument out of its range, or no such level was found.
    """
    _check(size, boxes, min_moves, max_moves)
    spent = 0
    for room in _rooms(rng, size, boxes, batch=8):
        level = _level(rng, room, min_moves, max_moves)
        if level is not None:
            return level
        spent += _effort(room)
        if spent >= _EFFORT:
            break
    raise InputError(f"no level of {_wanted(size, boxes, min_moves, max_moves)} was found; {_ADVICE}")


def generate_levels(
    seed: int, size: int, boxes: int, count: int, split: Split, min_moves: int = 3, max_moves: int = 60
) -> list[Level]:
    """Returns levels as of `generate_level`, each of another room, all of one split of `room_split`.

    The same arguments give the same levels, and a smaller count gives the first of them. Small sizes have few rooms:
    5 × 5 cells with 1 box about 40, 6 × 6 cells about 5,000.

    Args:
        seed: of the generator.
        size: height and width in cells, one of `SIZES`.
        boxes: how many in each level, one of `BOXES`.
        count: how many levels.
        split: "train", "validation" or "test".
        min_moves: that the shortest solution takes at least.
        max_moves: that it takes at most.

    Raises:
        InputError: an argument out of its range, or fewer rooms were found than levels are wanted; says how many.
    """
    _check(size, boxes, min_moves, max_moves)
    _check_split(count, split)
    rng, seen, spent = np.random.default_rng(seed), set[str](), 0
    levels: list[Level] = []
    for room in _rooms(rng, size, boxes, _BATCH):
        if len(levels) == count or spent >= _EFFORT:
            break
        new = _is_new(room, split, seen)
        level = _level(rng, room, min_moves, max_moves) if new else None
        if level is not None:
            levels.append(level)
            spent = 0
        else:
            spent += _effort(room) if new else 1
    if len(levels) < count:
        raise InputError(
            f"{count} levels wanted of {_wanted(size, boxes, min_moves, max_moves)}, each of another {split} room: "
            f"{len(levels)} found, then no more; ask for fewer, or {_ADVICE}"
        )
    return levels


def _check(size: int, boxes: int, min_moves: int, max_moves: int) -> None:
    for name, value, allowed in (("size", size, SIZES), ("boxes", boxes, BOXES)):
        if value not in allowed:
            raise InputError(f"{name} {value}: rooms are generated with {name} {allowed[0]} to {allowed[-1]}")
    if not 1 <= min_moves <= max_moves:
        raise InputError(
            f"min_moves {min_moves} and max_moves {max_moves}: the first is at least 1, and at most the second"
        )


def _check_split(count: int, split: str) -> None:
    if split not in get_args(Split):
        raise unknown_name("split", split, get_args(Split))
    if count < 1:
        raise InputError(f"count {count}: at least 1 level is generated")


def _is_new(room: Board, split: Split, seen: set[str]) -> bool:
    """Returns whether a room is of a split and not among those seen, to which it is added."""
    key = room_key(room)
    new = key not in seen and room_split(key) == split
    seen.add(key)
    return new


def _wanted(size: int, boxes: int, min_moves: int, max_moves: int) -> str:
    return f"{size} × {size} cells with {boxes} {'box' if boxes == 1 else 'boxes'} and {min_moves} to {max_moves} moves"


def _effort(room: Board) -> int:
    """Returns what a room counts that gave no level: 1, and 1 more for every 5,000 states that were looked at."""
    return 1 + min(_states(room), _TABLE_STATES) // 5_000


def _states(room: Board) -> int:
    cells = int((room != WALL).sum())
    return cells * comb(cells, int((room == TARGET).sum()))


def _rooms(rng: np.random.Generator, size: int, boxes: int, batch: int) -> Iterator[Board]:
    """Yields rooms without end, (size, size), with floor and targets by chance; without targets where it is too small.

    Args:
        rng: where chance comes from.
        size: height and width in cells.
        boxes: number of targets.
        batch: how many rooms are carved at once.
    """
    while True:
        rooms = np.where(_floors(rng, size, batch), FLOOR, WALL).astype(np.int8).reshape(batch, -1)
        order = np.where(rooms == FLOOR, rng.random(rooms.shape), -1.0)
        targets = np.argpartition(order, -boxes, axis=1)[:, -boxes:]  # (batch, boxes)
        (large,) = np.nonzero((rooms == FLOOR).sum(1) > 2 * boxes)
        rooms[large[:, None], targets[large]] = TARGET
        yield from rooms.reshape(batch, size, size)


def _floors(rng: np.random.Generator, size: int, n: int) -> NDArray[np.bool_]:
    """Returns what n random walks carve, each step a stamp of 3 × 3 cells, (n, size, size).

    Source: gym-sokoban, room_utils.room_topology_generation: the stamps, the number of steps, how often a walk turns.
    """
    steps = int(1.7 * 2 * size)
    turns = rng.random((n, steps)) < _TURN
    turns[:, 0] = True
    last = np.maximum.accumulate(np.where(turns, np.arange(steps), 0), axis=1)  # when the walk last turned
    by = STEPS[np.take_along_axis(rng.integers(4, size=(n, steps)), last, axis=1)]  # (n, steps, 2)
    place = rng.integers(1, size - 1, (n, 2))
    places = np.empty((n, steps, 2), np.int64)
    for step in range(steps):
        place = places[:, step] = np.clip(place + by[:, step], 1, size - 2)
    which, when, row, column = np.nonzero(_STAMPS[rng.integers(len(_STAMPS), size=(n, steps))])
    floors = np.zeros((n, size, size), bool)
    floors[which, places[which, when, 0] + row - 1, places[which, when, 1] + column - 1] = True
    floors[:, [0, -1]] = floors[:, :, [0, -1]] = False
    return floors


def _level(rng: np.random.Generator, room: Board, min_moves: int, max_moves: int) -> Level | None:
    """Returns a level of a room, as `generate_level` says; None where the room has none."""
    if not (room == TARGET).any():
        return None
    if _states(room) > _TABLE_STATES:
        board, moves = reverse_start(rng, room, min_moves, max_moves), None
    else:
        board, moves = _table_start(rng, SolutionTable.of(room, _TABLE_STATES), min_moves, max_moves)
    if board is None:
        return None
    size, boxes = len(room), int((room == TARGET).sum())
    level = Level.of(board, "", moves)
    return replace(level, name=f"{size}x{size}-{boxes}#{level.room}")


def _table_start(
    rng: np.random.Generator, table: SolutionTable, min_moves: int, max_moves: int
) -> tuple[Board | None, int | None]:
    """Returns a start and its least number of moves: the number is drawn first, each as likely, and then the start."""
    states = table.states_with(min_moves, max_moves, on_target=0)
    if not len(states):
        return None, None
    distances = table.distance[states]
    moves = int(rng.choice(np.unique(distances)))
    state = rng.choice(states[distances == moves])
    return table.boards(np.array([state]))[0], moves
