"""From a config to levels with solutions and to trajectories; what takes long is kept in the cache."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from filelock import FileLock
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from laser_lit.config_sokoban import LevelsConfig, TrajectoriesConfig
from laser_lit.errors import InputError
from laser_lit.files import cache_folder
from rl.sokoban.level import Level, Split, read_levels, room_split
from rl.sokoban.rooms import generate_levels
from rl.sokoban.rules import ACTIONS
from rl.sokoban.table import SolutionTable
from rl.trajectories.generate import SOLVER_NODES, Noise, Rooms, play_levels, play_rooms
from rl.trajectories.play import Play, SolverPlay, TableExpert
from rl.trajectories.trajectories import Trajectories, load_trajectories, save_trajectories

RECIPE = 1
"""Raised whenever the same config would make other levels or trajectories, so that older files are left alone."""


@dataclass(frozen=True, eq=False)
class SolvedLevels:
    """Levels of different rooms, each with one solution.

    Attributes:
        levels: of one size.
        solutions: one of each, in their order.
    """

    levels: tuple[Level, ...]
    solutions: Trajectories

    def __len__(self) -> int:
        return len(self.levels)

    def solution(self, row: int) -> NDArray[np.int8]:
        """Returns the actions that solve a level, (steps,)."""
        first = int(self.solutions.first[row])
        return self.solutions.actions[first : first + int(self.solutions.lengths[row])]

    @property
    def digest(self) -> str:
        """Names levels and solutions by what they are, in hexadecimal digits."""
        parts = (self.solutions.starts, self.solutions.lengths, self.solutions.actions)
        digest = xxhash.xxh3_128()
        for part in parts:
            digest.update(f"{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def solved_levels(config: DictConfig, split: Split) -> SolvedLevels:
    """Returns the levels of a split with shortest solutions (of levels from files: with fewest pushes).

    Args:
        config: of the data.
        split: "validation" or "test".

    Raises:
        InputError: fewer levels than asked for, or values that cannot be meant.
    """
    levels: LevelsConfig = _plain(config.levels, LevelsConfig)
    count = getattr(levels, split)
    if levels.size is None:
        chosen = _file_levels(config, split)[:count]
        return _kept(("solved", _content(chosen)), lambda: _solved(chosen, levels.seed))
    names = ("size", "boxes", "min_moves", "max_moves", "seed")
    said = {name: getattr(levels, name) for name in names}

    def make() -> SolvedLevels:
        made = generate_levels(
            levels.seed, levels.size or 0, levels.boxes, count, split, levels.min_moves, levels.max_moves
        )
        return _solved(made, levels.seed)

    return _kept(("rooms", said, split, count), make)


def trajectories(config: DictConfig) -> Trajectories:
    """Returns the episodes that a policy learns from.

    Args:
        config: of the data.

    Raises:
        InputError: values that cannot be meant, or no levels to play.
    """
    levels, wanted = _plain(config.levels, LevelsConfig), _plain(config.trajectories, TrajectoriesConfig)
    noise = Noise(tuple(wanted.rates), wanted.generic, wanted.action, wanted.dead_tail)
    if levels.size is None:
        return play_levels(
            _file_levels(config, "train"), wanted.count, noise, seed=wanted.seed, max_steps=levels.max_steps
        )
    rooms = Rooms(levels.size, levels.boxes, levels.min_moves, levels.max_moves)
    return play_rooms(rooms, wanted.count, noise, seed=wanted.seed, max_steps=levels.max_steps)


def data_content(config: DictConfig) -> dict[str, Any]:
    """Returns all that decides the levels and the trajectories, as plain values.

    Args:
        config: of the data.
    """
    plain = {name: OmegaConf.to_container(config[name]) for name in ("levels", "trajectories")}
    files = {} if config.levels.size is not None else {"files": _content(read_levels(Path(config.path)))}
    return {"recipe": RECIPE, **plain, **files}


def _plain(node: DictConfig, kind: type[Any]) -> Any:
    return kind(**OmegaConf.to_container(node))  # type: ignore[arg-type]


def _file_levels(config: DictConfig, split: Split) -> list[Level]:
    """Returns the first level of each room of a split in the files of data.path."""
    if config.path is None:
        raise InputError(
            f"data={config.name} needs data.path=FILE_OR_FOLDER with levels in Boxoban's format "
            "(https://github.com/google-deepmind/boxoban-levels)"
        )
    rooms: dict[str, Level] = {}
    for level in read_levels(Path(config.path)):
        if room_split(level.room) == split:
            rooms.setdefault(level.room, level)
    if not rooms:
        raise InputError(f"data.path={config.path}: no level in it falls into the {split} split; give more levels")
    return list(rooms.values())


def _content(levels: Sequence[Level]) -> str:
    digest = xxhash.xxh3_128()
    for level in levels:
        digest.update(f"{level.name} {level.board.shape}".encode())
        digest.update(level.board.tobytes())
    return digest.hexdigest()


def _solved(levels: Sequence[Level], seed: int) -> SolvedLevels:
    """Returns those levels that are solved; levels of generated rooms all are."""
    rng, chosen, solutions = np.random.default_rng([seed, 2]), [], []
    for level in levels:
        if level.moves is None:
            play: Play = SolverPlay(level.board, SOLVER_NODES)
        else:
            table = SolutionTable.of(level.board)
            play = TableExpert(table).play(table.state(level.board))
        solution = _played(rng, play)
        if solution:
            chosen.append(level)
            solutions.append(np.array(solution, np.int8))
    actions = np.concatenate(solutions)
    lengths = np.array([len(solution) for solution in solutions], np.int32)
    starts = np.stack([level.board for level in chosen])
    return SolvedLevels(tuple(chosen), Trajectories(starts, lengths, actions, actions, {}))


def _played(rng: np.random.Generator, play: Play) -> list[int]:
    actions: list[int] = []
    while not play.solved:
        best = play.best()
        if not best:
            return []
        actions.append(best[int(rng.integers(len(best)))])
        play.do(actions[-1])
    return actions


def _kept(said: Sequence[Any], make: Callable[[], SolvedLevels]) -> SolvedLevels:
    """Returns levels from the cache, where they are put if they are not there."""
    key = xxhash.xxh3_64_hexdigest(json.dumps([RECIPE, *said], sort_keys=True).encode())
    path = cache_folder() / "sokoban" / f"levels-{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            made = make()
            about = {"names": [level.name for level in made.levels], "moves": [level.moves for level in made.levels]}
            solutions = made.solutions
            save_trajectories(
                Trajectories(solutions.starts, solutions.lengths, solutions.actions, solutions.targets, about), path
            )
    solutions = load_trajectories(path)
    names, moves = solutions.about["names"], solutions.about["moves"]
    levels = (Level.of(board, names[n], moves[n]) for n, board in enumerate(solutions.starts))
    return SolvedLevels(tuple(levels), solutions)


def check_sokoban_data(config: DictConfig) -> None:
    """Raises an error for a data set that is none of Sokoban's, or numbers that cannot be meant.

    Args:
        config: of the data.

    Raises:
        InputError: see above.
    """
    if config.levels is None or config.trajectories is None:
        raise InputError(
            f"task=sokoban plays levels of Sokoban, not data={config.name}; use data=rooms, or data=boxoban "
            "data.path=DIR"
        )
    for name in ("validation", "test", "max_steps", "boxes"):
        if config.levels[name] < 1:
            raise InputError(f"data.levels.{name} {config.levels[name]}: must be at least 1")
    for name in ("levels", "trajectories"):
        if config[name].seed < 0:
            raise InputError(f"data.{name}.seed {config[name].seed}: must be at least 0")
    if config.trajectories.count < 1:
        raise InputError(f"data.trajectories.count {config.trajectories.count}: must be at least 1")
    if config.trajectories.action not in tuple(ACTIONS):
        raise InputError(f"data.trajectories.action {config.trajectories.action}: must be one of {', '.join(ACTIONS)}")
