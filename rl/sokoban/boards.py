"""Many boards of one size, stepped together by the rules of `rl.sokoban.rules`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError
from rl.sokoban.rules import (
    BOX,
    BOX_ON_TARGET,
    FLOOR,
    OFF_REWARD,
    ON_REWARD,
    PLAYER,
    SOLVED_REWARD,
    STEP_REWARD,
    STEPS,
    TARGET,
    WALL,
    Board,
    is_box,
    is_target,
    without_movables,
)

_FIELDS = ("_wall", "_target", "_box", "_empty", "_player", "_on", "_boxes")


@dataclass(frozen=True)
class Moves:
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


class Boards:
    """Boards of one size that take an action each at once; a solved one plays on until its owner takes it away."""

    def __init__(self, boards: Sequence[Board] | NDArray[np.int8]) -> None:
        """Copies the boards.

        Args:
            boards: (n, height, width) tiles, each fit for `check_board`.

        Raises:
            InputError: no boards, or of several sizes.
        """
        shapes = {np.shape(board) for board in boards}
        if len(shapes) != 1:
            given = ", ".join(" × ".join(map(str, shape)) for shape in sorted(shapes)) or "none"
            raise InputError(f"boards that are stepped together have one size; given {given}")
        tiles = np.asarray(boards, np.int8)
        self.shape: tuple[int, int] = tiles.shape[1:]
        tiles = tiles.reshape(len(tiles), -1)
        self._wall, self._target, self._box = tiles == WALL, is_target(tiles), is_box(tiles)
        self._empty = without_movables(tiles)
        self._player = (tiles >= PLAYER).argmax(1)
        self._on, self._boxes = (self._box & self._target).sum(1), self._box.sum(1)
        self._ahead = STEPS @ np.array([self.shape[1], 1])  # (4,) cells that an action moves by

    def __len__(self) -> int:
        return len(self._player)

    @property
    def tiles(self) -> NDArray[np.int8]:
        """The boards as they are now, (n, height, width), a new array."""
        tiles = self._empty + self._box * np.where(self._target, BOX_ON_TARGET - TARGET, BOX - FLOOR).astype(np.int8)
        tiles[np.arange(len(self)), self._player] += PLAYER - FLOOR
        return tiles.reshape(-1, *self.shape)

    @property
    def on_target(self) -> NDArray[np.int64]:
        """How many boxes are on targets, (n,)."""
        return self._on.copy()

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Which boards are solved, (n,)."""
        return self._on == self._boxes

    def step(self, actions: NDArray[np.integer]) -> Moves:
        """Returns what an action on each board did.

        Args:
            actions: (n,) numbers of letters of `ACTIONS`.
        """
        rows, by = np.arange(len(self)), self._ahead[actions]
        ahead = self._player + by
        blocked, boxed = self._wall[rows, ahead], self._box[rows, ahead]
        beyond = np.where(boxed, ahead + by, ahead)  # of a wall at the edge there is nothing beyond
        pushed = boxed & ~self._wall[rows, beyond] & ~self._box[rows, beyond]
        moved = ~blocked & (pushed | ~boxed)
        gained = np.zeros(len(self), np.int64)
        (which,) = np.nonzero(pushed)
        here, there = ahead[which], beyond[which]
        self._box[which, here], self._box[which, there] = False, True
        gained[which] = self._target[which, there].astype(np.int64) - self._target[which, here]
        self._player = np.where(moved, ahead, self._player)
        self._on = self._on + gained
        solved = self.solved
        reward = STEP_REWARD + np.where(gained > 0, ON_REWARD, np.where(gained < 0, OFF_REWARD, 0.0))
        return Moves(reward + SOLVED_REWARD * (solved & moved), moved, pushed, solved)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Boards":
        """Returns some of the boards, apart from these."""
        taken = object.__new__(Boards)
        taken.shape, taken._ahead = self.shape, self._ahead
        for name in _FIELDS:
            setattr(taken, name, getattr(self, name)[rows])
        return taken

    def replace(
        self, rows: NDArray[np.integer] | NDArray[np.bool_], boards: Sequence[Board] | NDArray[np.int8]
    ) -> None:
        """Puts new boards into some rows.

        Args:
            rows: which.
            boards: as many, of the same size.
        """
        others = Boards(boards)
        if others.shape != self.shape:
            raise InputError(f"boards of {others.shape} among boards of {self.shape}: they have one size")
        for name in _FIELDS:
            getattr(self, name)[rows] = getattr(others, name)
