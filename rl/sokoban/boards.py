"""Many boards of one size, stepped together by the rules of `rl.sokoban.rules`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError
from rl.sokoban.rules import (
    ACTIONS,
    BOX,
    BOX_ON_TARGET,
    PLAYER,
    PLAYER_ON_TARGET,
    SOLVED_REWARD,
    STEPS,
    TARGET,
    TILES,
    Board,
    from_text,
    sized,
    step,
    without_movables,
)

_LEFT = without_movables(np.arange(TILES, dtype=np.int8))  # a tile that the player, or a box, has left
_ENTERED = np.where(_LEFT == TARGET, PLAYER_ON_TARGET, PLAYER).astype(np.int8)


class Moves(NamedTuple):
    """What one action a board did, each field (n,).

    Attributes:
        reward: gym-sokoban's, float64.
        moved: whether the player moved.
        pushed: whether a box moved.
        solved: whether every box is on a target now.
    """

    reward: NDArray[np.float64]
    moved: NDArray[np.bool_]
    pushed: NDArray[np.bool_]
    solved: NDArray[np.bool_]


class _Cases(NamedTuple):
    """What a step to the right does, by ahead · TILES + beyond: the tiles one and two cells from the player."""

    reward: NDArray[np.float64]  # without that for the last box
    moved: NDArray[np.bool_]
    pushed: NDArray[np.bool_]
    gained: NDArray[np.int64]
    beyond: NDArray[np.int8]  # the tile two cells on, afterwards


def _cases() -> _Cases:
    """Returns the outcome of every pair of tiles by the rules; an unsolved box stands beside them."""
    line = from_text("#######\n#@  $.#\n#######")
    rows = []
    for case in range(TILES * TILES):
        before = line.copy()
        before[1, 2:4] = divmod(case, TILES)
        done = step(before, ACTIONS.index("R"))
        gained = int((done.board == BOX_ON_TARGET).sum()) - int((before == BOX_ON_TARGET).sum())
        rows.append((done.reward, done.moved, done.pushed, gained, done.board[1, 3]))
    reward, moved, pushed, gains, beyond = zip(*rows, strict=True)
    return _Cases(np.array(reward), np.array(moved), np.array(pushed), np.array(gains), np.array(beyond))


_CASES = _cases()


class Boards:
    """Boards of one size that take an action each at once; a solved one plays on until its owner takes it away."""

    def __init__(self, boards: Sequence[Board] | NDArray[np.int8]) -> None:
        """Copies the boards.

        Args:
            boards: (n, height, width) tiles, each fit for `check_board`.

        Raises:
            InputError: no boards, or of several sizes.
        """
        _shape_of(boards)
        tiles = np.asarray(boards, np.int8)
        self._hold(tiles, *_found(tiles))

    def _hold(
        self, tiles: NDArray[np.int8], place: NDArray[np.int64], on: NDArray[np.int64], boxes: NDArray[np.int64]
    ) -> None:
        """Copies tiles (n, height, width), and holds each board's player's cell, boxes on targets, and boxes (n,)."""
        self.shape: tuple[int, int] = tiles.shape[1:]
        width, size = self.shape[1], tiles.size
        self._cells = np.zeros(size + 2 * width, np.int8)  # margins: what is beyond an outer wall can be looked up
        self._tiles = self._cells[width : width + size].reshape(tiles.shape)
        self._tiles[:] = tiles
        self._first = width + np.arange(len(tiles)) * (self.shape[0] * width)
        self._player, self._on, self._boxes = self._first + place, on, boxes
        self._ahead = STEPS @ np.array([width, 1])  # (4,) cells that an action moves by

    def __len__(self) -> int:
        return len(self._player)

    @property
    def tiles(self) -> NDArray[np.int8]:
        """The boards as they are now, (n, height, width), a new array."""
        return self._tiles.copy()

    @property
    def on_target(self) -> NDArray[np.int64]:
        """How many boxes are on targets, (n,), a new array."""
        return self._on.copy()

    @property
    def boxes(self) -> NDArray[np.int64]:
        """How many boxes there are, (n,), a new array."""
        return self._boxes.copy()

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Which boards are solved, (n,)."""
        return self._on == self._boxes

    def step(self, actions: NDArray[np.integer]) -> Moves:
        """Returns what an action on each board did.

        Args:
            actions: (n,) numbers of letters of `ACTIONS`.
        """
        cells, by = self._cells, self._ahead.take(actions)
        ahead = self._player + by
        beyond = ahead + by
        case = (cells.take(ahead) * TILES + cells.take(beyond)).astype(np.intp)
        moved, pushed = _CASES.moved.take(case), _CASES.pushed.take(case)
        (which,) = pushed.nonzero()
        cells[beyond.take(which)] = _CASES.beyond.take(case.take(which))
        cells[self._player] = _LEFT.take(cells.take(self._player))
        self._player += by * moved
        cells[self._player] = _ENTERED.take(cells.take(self._player))
        self._on += _CASES.gained.take(case)
        reward, solved = _CASES.reward.take(case), self.solved
        reward += SOLVED_REWARD * (solved & moved)
        return Moves(reward, moved, pushed, solved)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Boards":
        """Returns some of the boards, apart from these."""
        taken = object.__new__(Boards)
        taken._hold(self._tiles[rows], (self._player - self._first)[rows], self._on[rows], self._boxes[rows])
        return taken

    def replace(self, rows: NDArray[np.integer], boards: "Boards", which: NDArray[np.integer]) -> None:
        """Puts copies of other boards into some rows.

        Args:
            rows: where to.
            boards: of the same size.
            which: of these, one for each row.

        Raises:
            InputError: boards of another size.
        """
        if boards.shape != self.shape:
            raise InputError(f"boards of {sized(boards.shape)} among boards of {sized(self.shape)}: they have one size")
        self._tiles[rows] = boards._tiles.take(which, axis=0)
        self._on[rows], self._boxes[rows] = boards._on.take(which), boards._boxes.take(which)
        place = boards._player.take(which) - boards._first.take(which)
        self._player[rows] = self._first.take(rows) + place


def _found(tiles: NDArray[np.int8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Returns each board's player's cell, number of boxes on targets, and of boxes, all (n,)."""
    rows = tiles.reshape(len(tiles), -1)
    on = (rows == BOX_ON_TARGET).sum(1)
    return (rows >= PLAYER).argmax(1), on, on + (rows == BOX).sum(1)


def _shape_of(boards: Sequence[Board] | NDArray[np.int8]) -> tuple[int, ...]:
    """Returns the shape that all boards have, of which there is one at least."""
    shapes = {boards.shape[1:]} if isinstance(boards, np.ndarray) and len(boards) else set(map(np.shape, boards))
    if len(shapes) != 1:
        given = ", ".join(map(sized, sorted(shapes))) or "none"
        raise InputError(f"boards that are stepped together have one size; given {given}")
    return shapes.pop()
