"""From a config to levels with solutions and to trajectories; what takes long is kept in the cache."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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
from rl.sokoban.rules import ACTIONS, sized
from rl.sokoban.table import SolutionTable
from rl.trajectories.astar_solutions import ASTAR_FILES, ASTAR_ID, astar_trajectories, fetch_astar
from rl.trajectories.generate import SOLVER_NODES, Noise, Rooms, noisy_targets, play_levels, play_rooms
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
    if levels.size is None:
        given = _file_levels(config, split)
        said = ("files", _content(given), split, getattr(levels, split), levels.max_steps)
        return _kept(said, lambda: _solved(given, levels, split))
    rooms = _rooms(levels)

    def make() -> SolvedLevels:
        limits = (rooms.size, rooms.boxes, getattr(levels, split), split, rooms.min_moves, rooms.max_moves)
        return _solved(generate_levels(levels.seed, *limits), levels, split)

    return _kept(("rooms", asdict(rooms), levels.seed, split, getattr(levels, split), levels.max_steps), make)


def trajectories(config: DictConfig) -> Trajectories:
    """Returns the episodes that a policy learns from.

    Args:
        config: of the data.

    Raises:
        InputError: values that cannot be meant, or no levels to play.
    """
    levels, wanted = _plain(config.levels, LevelsConfig), _plain(config.trajectories, TrajectoriesConfig)
    noise = Noise(tuple(wanted.rates), wanted.generic, wanted.action, wanted.dead_tail)
    if wanted.solutions is not None:
        return _solutions(config, wanted, noise)
    if levels.size is None:
        return play_levels(
            _file_levels(config, "train"), wanted.count, noise, seed=wanted.seed, max_steps=levels.max_steps
        )
    return play_rooms(_rooms(levels), wanted.count, noise, seed=wanted.seed, max_steps=levels.max_steps)


def data_content(config: DictConfig) -> dict[str, Any]:
    """Returns all that decides what a policy is trained, watched and tuned on, as plain values.

    Args:
        config: of the data.
    """
    plain: dict[str, Any] = {name: OmegaConf.to_container(config[name]) for name in ("levels", "trajectories")}
    del plain["levels"]["test"]
    named = config.trajectories.solutions is not None  # by names, solutions find their levels
    files = {} if config.levels.size is not None else {"files": _content(_read(config), named)}
    if named:
        content = _solutions_file(config.trajectories.solutions).read_bytes()
        plain["trajectories"]["solutions"] = xxhash.xxh3_128_hexdigest(content)
    return {"recipe": RECIPE, **plain, **files}


def _plain(node: DictConfig, kind: type[Any]) -> Any:
    return kind(**OmegaConf.to_container(node))  # type: ignore[arg-type]


def _rooms(levels: LevelsConfig) -> Rooms:
    """Returns which rooms are generated; what takes more moves than an episode has is left out."""
    most = min(levels.max_moves, levels.max_steps)
    return Rooms(levels.size or 0, levels.boxes, levels.min_moves, most)


def _solutions(config: DictConfig, wanted: TrajectoriesConfig, noise: Noise) -> Trajectories:
    """Returns A* solutions of the first training levels, with noise in the targets."""
    levels = _file_levels(config, "train")[: wanted.count]
    path = _solutions_file(str(wanted.solutions))
    solutions, notes = astar_trajectories(levels, path, max_steps=config.levels.max_steps)
    targets = noisy_targets(np.random.default_rng([wanted.seed, 1]), solutions.actions, noise)
    return replace(solutions, targets=targets, about={**solutions.about, "notes": list(notes)})


def _solutions_file(given: str) -> Path:
    path = Path(given).expanduser()
    if given in ASTAR_FILES and not path.is_file():
        return fetch_astar(given)
    if not path.is_file():
        raise InputError(
            f"data.trajectories.solutions={given}: no such file; give a CSV file of A* solutions, or one of {ASTAR_ID} "
            f"on the hub: {', '.join(ASTAR_FILES)}"
        )
    return path


def _read(config: DictConfig) -> list[Level]:
    """Returns the levels of data.path, all of one size."""
    if config.path is None:
        raise InputError(
            f"data={config.name} needs data.path=FILE_OR_FOLDER with levels in Boxoban's format "
            "(https://github.com/google-deepmind/boxoban-levels)"
        )
    levels = read_levels(Path(config.path))
    for level in levels:
        if level.board.shape != levels[0].board.shape:
            one, other = (sized(each.board.shape) for each in (levels[0], level))
            raise InputError(
                f"data.path={config.path}: {levels[0].name} has {one} cells and {level.name} has {other}; a policy "
                "plays levels of one size, so put each size into a file of its own"
            )
    return levels


def _file_levels(config: DictConfig, split: Split) -> list[Level]:
    """Returns the first level of each room of a split in the files of data.path."""
    rooms: dict[str, Level] = {}
    for level in _read(config):
        if room_split(level.room) == split:
            rooms.setdefault(level.room, level)
    if not rooms:
        raise InputError(f"data.path={config.path}: no level in it falls into the {split} split; give more levels")
    return list(rooms.values())


def _content(levels: Sequence[Level], named: bool = True) -> str:
    digest = xxhash.xxh3_128()
    for level in levels:
        digest.update(f"{level.name if named else ''} {level.board.shape}".encode())
        digest.update(level.board.tobytes())
    return digest.hexdigest()


def _solved(levels: Sequence[Level], config: LevelsConfig, split: Split) -> SolvedLevels:
    """Returns the first levels that are solved within the steps of an episode, as many as are wanted."""
    rng, chosen, solutions = np.random.default_rng([config.seed, 2]), list[Level](), list[NDArray[np.int8]]()
    wanted = getattr(config, split)
    for level in levels:
        solution = _played(rng, level)
        if 0 < len(solution) <= config.max_steps:
            chosen.append(level)
            solutions.append(np.array(solution, np.int8))
        if len(chosen) == wanted:
            break
    if len(chosen) < wanted:
        raise InputError(
            f"data.levels.{split} {wanted}: of {len(levels)} levels, each of another {split} room, solutions of "
            f"at most {config.max_steps} steps were found for {len(chosen)}; ask for fewer, or give more levels"
        )
    actions = np.concatenate(solutions)
    lengths = np.array([len(solution) for solution in solutions], np.int32)
    starts = np.stack([level.board for level in chosen])
    return SolvedLevels(tuple(chosen), Trajectories(starts, lengths, actions, actions, {}))


def _played(rng: np.random.Generator, level: Level) -> list[int]:
    """Returns the actions that solve a level; none where it is solved already, or no solution was found."""
    if level.moves is None:
        play: Play = SolverPlay(level.board, SOLVER_NODES)
    else:
        table = SolutionTable.of(level.board)
        play = TableExpert(table).play(table.state(level.board))
    actions: list[int] = []
    while not play.solved:
        best = play.best()
        if not best:
            return []
        actions.append(best[int(rng.integers(len(best)))])
        play.do(actions[-1])
    return actions


def _kept(said: Sequence[Any], make: Callable[[], SolvedLevels]) -> SolvedLevels:
    """Returns levels from the cache, where they are put if they are not there or cannot be read."""
    key = xxhash.xxh3_64_hexdigest(json.dumps([RECIPE, *said], sort_keys=True).encode())
    path = cache_folder() / "sokoban" / f"levels-{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        kept = _loaded(path)
        if kept is None:
            kept = make()
            about = {"names": [level.name for level in kept.levels], "moves": [level.moves for level in kept.levels]}
            save_trajectories(replace(kept.solutions, about=about), path)
    return kept


def _loaded(path: Path) -> SolvedLevels | None:
    """Returns the levels of a file; None where there is none that can be read."""
    try:
        solutions = load_trajectories(path)
        rows = zip(solutions.starts, solutions.about["names"], solutions.about["moves"], strict=True)
        return SolvedLevels(tuple(Level.of(*row) for row in rows), solutions)
    except (InputError, KeyError, ValueError):
        return None


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
    if config.levels.size is not None:
        _check_rooms(config)
    for name in ("levels", "trajectories"):
        if config[name].seed < 0:
            raise InputError(f"data.{name}.seed {config[name].seed}: must be at least 0")
    if config.trajectories.count < 1:
        raise InputError(f"data.trajectories.count {config.trajectories.count}: must be at least 1")
    if config.trajectories.action not in tuple(ACTIONS):
        raise InputError(f"data.trajectories.action {config.trajectories.action}: must be one of {', '.join(ACTIONS)}")


def _check_rooms(config: DictConfig) -> None:
    levels = config.levels
    if config.name == "boxoban":
        raise InputError(f"data.levels.size={levels.size}: levels of files have the size that they have; leave it out")
    if levels.min_moves > levels.max_steps:
        raise InputError(
            f"data.levels.min_moves {levels.min_moves}: episodes end after data.levels.max_steps {levels.max_steps}; "
            "ask for shorter solutions or longer episodes"
        )
    for name, given in (("path", config.path), ("trajectories.solutions", config.trajectories.solutions)):
        if given is not None:
            raise InputError(
                f"data.{name}={given}: data={config.name} generates its rooms; use data=boxoban data.path=DIR for "
                "levels of files"
            )
