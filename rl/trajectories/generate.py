"""Episodes of an expert, with noise in what it does or in what is to be learned from it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError
from rl.sokoban.boards import Boards
from rl.sokoban.level import Level
from rl.sokoban.rooms import generate_levels
from rl.sokoban.rules import ACTIONS, MAX_STEPS, Board
from rl.sokoban.table import SolutionTable
from rl.trajectories.play import Play, SolverPlay, TableExpert
from rl.trajectories.trajectories import GENERIC, NO_TARGET, Trajectories

STARTS_A_ROOM = 8
"""Most episodes that begin in one room."""
SOLVER_NODES = 20_000
"""States that the solver looks at for one level, about a second; what takes more counts as lost."""


@dataclass(frozen=True)
class Noise:
    """What keeps the episodes from being perfect.

    Attributes:
        rates: each episode draws one: the probability that a step takes any of the four actions instead of the best.
        generic: probability that a step's target is replaced by one and the same action; what was done stays.
        action: that action, a letter of `ACTIONS`.
        dead_tail: steps that are learned from once the level is lost, where the expert has nothing to show.
    """

    rates: tuple[float, ...] = (0.0, 0.1, 0.3)
    generic: float = 0.0
    action: str = "U"
    dead_tail: int = 4

    def __post_init__(self) -> None:
        if not self.rates or not all(0 <= rate <= 1 for rate in self.rates):
            raise InputError(f"noise rates {list(self.rates)}: one or more probabilities, each in [0, 1]")
        if not 0 <= self.generic < 1:
            raise InputError(f"generic noise {self.generic}: must lie in [0, 1)")
        if self.action not in tuple(ACTIONS):
            raise InputError(f"generic action {self.action!r}: must be one of {', '.join(ACTIONS)}")
        if self.dead_tail < 0:
            raise InputError(f"dead_tail {self.dead_tail}: must be at least 0")


@dataclass(frozen=True)
class Rooms:
    """Which generated rooms are played, and from where; as in `generate_levels`.

    Attributes:
        size: height and width in cells.
        boxes: how many.
        min_moves: that the shortest solution takes at least.
        max_moves: that it takes at most.
    """

    size: int = 7
    boxes: int = 2
    min_moves: int = 6
    max_moves: int = 60


def play_rooms(rooms: Rooms, count: int, noise: Noise, *, seed: int, max_steps: int = MAX_STEPS) -> Trajectories:
    """Returns episodes in rooms of the training split, up to STARTS_A_ROOM from different starts in each.

    Args:
        rooms: which.
        count: how many episodes.
        noise: what goes wrong in them.
        seed: of rooms, starts and noise.
        max_steps: longest episode.

    Raises:
        InputError: a value out of its range, or rooms too large for a table of solutions.
    """
    _check(count, max_steps, seed)
    rng = np.random.default_rng([seed, 1])
    levels = generate_levels(
        seed, rooms.size, rooms.boxes, -(-count // STARTS_A_ROOM), "train", rooms.min_moves, rooms.max_moves
    )
    plays = islice(_in_rooms(rng, levels, rooms), count)
    episodes = [(board, *_episode(rng, play, noise, max_steps)) for board, play in plays]
    about = {"rooms": asdict(rooms), "seed": seed, "max_steps": max_steps}
    return _collected(rng, episodes, noise, {**about, "source": "expert"})


def play_levels(
    levels: Sequence[Level], count: int, noise: Noise, *, seed: int, max_steps: int = MAX_STEPS
) -> Trajectories:
    """Returns episodes on given levels, each level as often as another, played by the solver.

    Args:
        levels: of one size.
        count: how many episodes.
        noise: what goes wrong in them; after every action that the solver did not have in mind it solves anew.
        seed: of the noise.
        max_steps: longest episode.

    Raises:
        InputError: a value out of its range, no levels, levels of several sizes, or one that is solved already.
    """
    _check(count, max_steps, seed)
    given = Boards([level.board for level in levels])
    if given.solved.any():
        raise InputError(f"level {levels[int(given.solved.argmax())].name} is solved as it begins; leave it out")
    rng = np.random.default_rng([seed, 1])
    boards = [levels[number % len(levels)].board for number in range(count)]
    episodes = [(board, *_episode(rng, SolverPlay(board, SOLVER_NODES), noise, max_steps)) for board in boards]
    about = {"levels": len(levels), "seed": seed, "max_steps": max_steps, "source": "solver"}
    return _collected(rng, episodes, noise, about)


def _check(count: int, max_steps: int, seed: int) -> None:
    if seed < 0:
        raise InputError(f"seed {seed}: must be at least 0")
    if count < 1 or max_steps < 1:
        raise InputError(f"{count} trajectories of at most {max_steps} steps: there must be at least 1 of each")


def _in_rooms(rng: np.random.Generator, levels: Sequence[Level], rooms: Rooms) -> Iterator[tuple[Board, Play]]:
    """Yields plays from several starts of each level's room, then from starts drawn anew, room by room."""
    begun = partial(_starts, rng, least=rooms.min_moves, most=rooms.max_moves)
    while True:
        for level in levels:
            if level.moves is None:  # too large a room for a table
                yield level.board, SolverPlay(level.board, SOLVER_NODES)
                continue
            table = SolutionTable.of(level.board)
            expert, starts = TableExpert(table), begun(table)
            for board, state in zip(table.boards(starts), starts.tolist(), strict=True):
                yield board, expert.play(state)


def _starts(rng: np.random.Generator, table: SolutionTable, least: int, most: int) -> NDArray[np.int64]:
    """Returns some states, no box of which is on a target; each number of moves is as likely as another."""
    states = table.states_with(least, most, on_target=0)
    distances = table.distance[states]
    weights = 1.0 / np.bincount(distances)[distances]
    n = min(STARTS_A_ROOM, len(states))
    return rng.choice(states, n, replace=False, p=weights / weights.sum())


def _episode(rng: np.random.Generator, play: Play, noise: Noise, max_steps: int) -> tuple[list[int], int]:
    """Returns the actions of an episode, and how many of its steps are learned from."""
    rate = noise.rates[rng.integers(len(noise.rates))]
    wrong, drawn, choice = rng.random(max_steps) < rate, rng.integers(4, size=max_steps), rng.random(max_steps)
    actions: list[int] = []
    lost = None
    for step in range(max_steps):
        best = play.best()
        if not best and lost is None:
            lost = step
        action = int(drawn[step]) if wrong[step] or not best else best[int(choice[step] * len(best))]
        actions.append(action)
        play.do(action)
        if play.solved:
            break
    return actions, len(actions) if lost is None else min(len(actions), lost + noise.dead_tail)


def noisy_targets(rng: np.random.Generator, actions: NDArray[np.int8], noise: Noise) -> NDArray[np.int8]:
    """Returns the targets of steps, some of them replaced by the generic action.

    Args:
        rng: where chance comes from.
        actions: (steps,) what was done.
        noise: how many are replaced.
    """
    replaced = rng.random(len(actions)) < noise.generic
    return np.where(replaced, np.int8(GENERIC + ACTIONS.index(noise.action)), actions)


def _collected(
    rng: np.random.Generator,
    episodes: Sequence[tuple[Board, list[int], int]],
    noise: Noise,
    about: dict[str, object],
) -> Trajectories:
    lengths = np.array([len(actions) for _, actions, _ in episodes], np.int32)
    actions = np.concatenate([np.array(actions, np.int8) for _, actions, _ in episodes])
    targets = noisy_targets(rng, actions, noise)
    place = np.arange(len(actions)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    targets[place >= np.repeat([learned for _, _, learned in episodes], lengths)] = NO_TARGET
    about = {**about, "noise": {**asdict(noise), "rates": list(noise.rates)}}
    return Trajectories(np.stack([board for board, _, _ in episodes]), lengths, actions, targets, about)
