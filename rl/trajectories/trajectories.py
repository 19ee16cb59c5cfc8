"""Episodes in a compact form: where each began and what was done; boards and rewards follow by the rules."""

import json
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError
from laser_lit.files import write_atomic
from rl.sokoban.boards import Boards
from rl.sokoban.rules import ACTIONS, Board

SCHEMA = 1
"""Version of the files; others are refused."""
NO_TARGET = -1
"""The target of a step that is not learned from."""
GENERIC = len(ACTIONS)
"""Added to a target that is the same action however the board is turned; others turn with the board."""

_ARRAYS = ("starts", "lengths", "actions", "targets")


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Episodes on boards of one size.

    Attributes:
        starts: (episodes, height, width) tiles.
        lengths: (episodes,) how many actions each has, at least 1.
        actions: (steps,) int8, what was done, episode after episode.
        targets: (steps,) int8, what a policy is to learn at each step: an action, GENERIC plus an action, or NO_TARGET.
        about: how they were made: plain values.
    """

    starts: Board
    lengths: NDArray[np.int32]
    actions: NDArray[np.int8]
    targets: NDArray[np.int8]
    about: dict[str, Any]

    def __post_init__(self) -> None:
        """Checks that the arrays fit together.

        Raises:
            InputError: they do not, or there is no episode, an empty one, or an action or target that does not exist.
        """
        for name in _ARRAYS:
            if getattr(self, name).dtype.kind not in "iu":
                raise InputError(f"{name} of type {getattr(self, name).dtype}: must be integers")
        n, steps = len(self.starts), int(self.lengths.sum())
        flat = (self.lengths.shape, self.actions.shape, self.targets.shape)
        if self.starts.ndim != 3 or flat != ((n,), (steps,), (steps,)):
            raise InputError(
                f"episodes that do not fit together: starts {self.starts.shape}, lengths {self.lengths.shape} that sum "
                f"to {steps}, actions {self.actions.shape}, targets {self.targets.shape}"
            )
        if n == 0 or self.lengths.min() < 1:
            raise InputError(f"{n} episodes, some without a step: there must be at least 1, each of at least 1 step")
        limits = {"actions": (0, len(ACTIONS) - 1), "targets": (NO_TARGET, GENERIC + len(ACTIONS) - 1)}
        for name, (least, most) in limits.items():
            given = getattr(self, name)
            if given.min() < least or given.max() > most:
                raise InputError(f"{name} from {given.min()} to {given.max()}: must lie in {least} to {most}")

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """Where each episode begins among the steps, (episodes,)."""
        return np.cumsum(self.lengths, dtype=np.int64) - self.lengths

    @property
    def labels(self) -> NDArray[np.int8]:
        """The action that each target is, (steps,); NO_TARGET where there is none."""
        return np.where(self.targets < GENERIC, self.targets, self.targets - GENERIC).astype(np.int8)

    @cached_property
    def tiles(self) -> NDArray[np.int8]:
        """The board before each step, (steps, cells)."""
        return self._replayed[0]

    @cached_property
    def rewards(self) -> NDArray[np.float64]:
        """The reward of each step, (steps,)."""
        return self._replayed[1]

    @cached_property
    def solved(self) -> NDArray[np.bool_]:
        """Which episodes ended solved, (episodes,)."""
        return self._replayed[2]

    @cached_property
    def returns_to_go(self) -> NDArray[np.float64]:
        """The rewards from each step to the end of its episode, (steps,)."""
        summed = np.concatenate([[0.0], np.cumsum(self.rewards)])
        ends = np.repeat(self.first + self.lengths, self.lengths)
        return summed[ends] - summed[:-1]

    @cached_property
    def _replayed(self) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.bool_]]:
        cells = self.starts.shape[1] * self.starts.shape[2]
        tiles = np.empty((len(self.actions), cells), np.int8)
        rewards, solved = np.empty(len(self.actions)), np.zeros(len(self), bool)
        boards, rows, first = Boards(self.starts), np.arange(len(self)), self.first
        for step in range(int(self.lengths.max())):
            running = np.flatnonzero(self.lengths[rows] > step)
            if len(running) < len(rows):
                boards, rows = boards.take(running), rows[running]
            places = first[rows] + step
            tiles[places] = boards.tiles.reshape(len(rows), -1)
            moves = boards.step(self.actions[places])
            rewards[places] = moves.reward
            solved[rows] = moves.solved
        return tiles, rewards, solved


def save_trajectories(trajectories: Trajectories, path: Path) -> None:
    """Writes episodes as one compressed .npz, atomically.

    Args:
        trajectories: the episodes.
        path: the file.
    """
    arrays = {name: getattr(trajectories, name) for name in _ARRAYS}
    about = json.dumps({**trajectories.about, "schema": SCHEMA}, allow_nan=False)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, about=np.array(about), **arrays)

    write_atomic(path, write)


def load_trajectories(path: Path) -> Trajectories:
    """Returns the episodes that `save_trajectories` wrote.

    Raises:
        InputError: no such file, another kind of file, or one of another version.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of trajectories")
    try:
        with np.load(path, allow_pickle=False) as content:
            about = json.loads(str(content["about"]))
            if about.pop("schema", None) != SCHEMA:
                raise InputError("made by another version of laser_lit")
            return Trajectories(**{name: content[name] for name in _ARRAYS}, about=about)
    except (BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, OSError, EOFError) as error:
        raise InputError(
            f"{path}: no trajectories that can be read ({error}); remove the file to make it anew"
        ) from error
