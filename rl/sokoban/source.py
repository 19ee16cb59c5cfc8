"""Where an environment's levels come from: those that its user gives, or rooms generated as they are needed."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError
from rl.sokoban.boards import Boards
from rl.sokoban.level import Level, read_levels
from rl.sokoban.rooms import BOXES, SIZES, generate_level
from rl.sokoban.rules import Board, check_board, sized

Levels = str | Path | Sequence[Level | Board] | NDArray[np.int8]
"""A file or folder of levels, levels, or boards (n, height, width)."""


class LevelSource(Protocol):
    """What an environment draws its levels from; all are of one shape.

    Attributes:
        shape: (height, width) of its boards.
    """

    shape: tuple[int, int]

    def draw(self, rng: np.random.Generator) -> Board:
        """Returns a board (height, width) that is not to be written to."""

    def draw_several(self, generators: Sequence[np.random.Generator]) -> tuple[Boards, NDArray[np.int64]]:
        """Returns boards that are not to be played on, and which of them `draw` gives each generator."""

    def find(self, level: Any) -> Board:
        """Returns the board that a user named: by its number among given levels, as a board, or as a level."""


class GivenLevels:
    """Levels that the user gave, drawn uniformly with replacement."""

    def __init__(self, levels: Levels) -> None:
        """Reads and checks the levels.

        Raises:
            InputError: no levels, of several sizes, or some that cannot be played.
        """
        if not isinstance(levels, str | Path | Sequence | np.ndarray):
            raise InputError(f"levels: a file, a folder, or a list of levels; given {type(levels).__name__}")
        given = read_levels(Path(levels)) if isinstance(levels, str | Path) else levels
        boards = [_board_of(level, f"levels[{number}]") for number, level in enumerate(given)]
        shapes = sorted({board.shape for board in boards})
        if len(shapes) != 1:
            sizes = ", ".join(f"{height} × {width}" for height, width in shapes) or "no levels"
            raise InputError(f"levels of an environment have one size; given {sizes}: give at least one, all alike")
        self._boards = np.stack(boards)
        self.shape: tuple[int, int] = shapes[0]

    def draw(self, rng: np.random.Generator) -> Board:
        """Returns one of the boards."""
        return self._boards[rng.integers(len(self._boards))]

    def draw_several(self, generators: Sequence[np.random.Generator]) -> tuple[Boards, NDArray[np.int64]]:
        """Returns all the boards, and which of them each generator draws."""
        number = len(self._boards)
        return self._together, np.array([rng.integers(number) for rng in generators])

    @cached_property
    def _together(self) -> Boards:
        return Boards(self._boards)

    def find(self, level: Any) -> Board:
        """Returns the board that a user named by its number, or gave.

        Raises:
            InputError: no such number, no board, or one of another size.
        """
        if not isinstance(level, int | np.integer):
            return _fitting(level, self.shape)
        if not 0 <= level < len(self._boards):
            raise InputError(f"level {level}: the environment has levels 0 to {len(self._boards) - 1}")
        return self._boards[int(level)]


class GeneratedLevels:
    """A new room for each level."""

    def __init__(self, size: int, boxes: int) -> None:
        """Takes the size of the square boards in cells, outer wall included, and the number of boxes.

        Raises:
            InputError: rooms of such a size or number of boxes are not generated.
        """
        for name, number, allowed in (("size", size, SIZES), ("boxes", boxes, BOXES)):
            if not isinstance(number, int | np.integer) or number not in allowed:
                raise InputError(f"{name} {number!r}: levels are generated with {name} {allowed[0]} to {allowed[-1]}")
        self.shape, self._boxes = (size, size), boxes

    def draw(self, rng: np.random.Generator) -> Board:
        """Returns the board of a new level."""
        return generate_level(rng, self.shape[0], self._boxes).board

    def draw_several(self, generators: Sequence[np.random.Generator]) -> tuple[Boards, NDArray[np.int64]]:
        """Returns the boards of new levels, one from each generator."""
        return Boards([self.draw(rng) for rng in generators]), np.arange(len(generators))

    def find(self, level: Any) -> Board:
        """Returns the board that a user gave.

        Raises:
            InputError: a number, no board, or one of another size.
        """
        if isinstance(level, int | np.integer):
            raise InputError(f"level {level}: generated levels have no numbers; give a board, or levels=... to `make`")
        return _fitting(level, self.shape)


def level_source(levels: Levels | None, size: int, boxes: int) -> LevelSource:
    """Returns the source of given levels, or where there are none of generated ones.

    Args:
        levels: what the user gave.
        size: of generated boards, in cells.
        boxes: of generated boards.

    Raises:
        InputError: levels that cannot be read or played.
    """
    return GeneratedLevels(size, boxes) if levels is None else GivenLevels(levels)


def _fitting(level: Any, shape: tuple[int, int]) -> Board:
    board = _board_of(level, "level")
    if board.shape != shape:
        given, allowed = sized(board.shape), sized(shape)
        raise InputError(f"level of {given} tiles: this environment's boards have {allowed}; make one of that size")
    return board


def _board_of(level: Any, name: str) -> Board:
    """Returns the tiles of a level or board, checked."""
    try:
        tiles = np.asarray(level.board if isinstance(level, Level) else level)
    except ValueError:  # rows of several lengths
        tiles = np.empty(0)
    if not np.issubdtype(tiles.dtype, np.integer):
        raise InputError(f"{name}: a level is a Level or a table of tile numbers; given {type(level).__name__}")
    try:
        check_board(tiles)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return tiles.astype(np.int8, copy=False)
