"""Sokoban as a gymnasium vector environment: hundreds of boards stepped at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from laser_lit.errors import InputError, unknown_name
from rl.sokoban.boards import Boards
from rl.sokoban.env import SokobanEnv, chosen_level
from rl.sokoban.render import RenderMode, check_rendering, render
from rl.sokoban.rules import ACTIONS, MAX_STEPS, TILES
from rl.sokoban.source import Levels, level_source

Step = tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]

_MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)
_INFOS = ("moved", "pushed", "on_target", "boxes", "solved")
_NAMES = (*_INFOS, *(f"_{name}" for name in _INFOS))


class SokobanVectorEnv(VectorEnv):
    """Boards of Sokoban that are what as many `SokobanEnv` under gymnasium's `TimeLimit` and `SyncVectorEnv` would be.

    Each board has a random generator of its own, so that it plays the same episodes whatever the others do. Infos hold
    `SokobanEnv`'s as arrays (num_envs,). An episode that has ended begins anew by the mode in
    `metadata["autoreset_mode"]`: NEXT_STEP, gymnasium's own default, takes the next step for the reset (its action does
    not count, its reward is 0); SAME_STEP resets at once and gives the last observation and info as
    `infos["final_obs"]` and `infos["final_info"]`.
    """

    metadata = {**SokobanEnv.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        size: int = 7,
        boxes: int = 2,
        levels: Levels | None = None,
        max_episode_steps: int | None = MAX_STEPS,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: RenderMode | None = None,
        tile_size: int = 32,
    ) -> None:
        """Makes the environment; without given levels each episode has a newly generated room.

        Args:
            num_envs: number of boards.
            size: as of `SokobanEnv`.
            boxes: as of `SokobanEnv`.
            levels: as of `SokobanEnv`; all boards draw from the same.
            max_episode_steps: steps after which an episode is truncated; None for never.
            autoreset_mode: NEXT_STEP or SAME_STEP, or its value, "NextStep" or "SameStep".
            render_mode: as of `SokobanEnv`.
            tile_size: as of `SokobanEnv`.

        Raises:
            InputError: what `SokobanEnv` refuses, another mode, or a number below 1.
        """
        check_rendering(render_mode, tile_size)
        _check_positive(num_envs=num_envs, max_episode_steps=max_episode_steps)
        self.num_envs, self.render_mode, self._tile_size = num_envs, render_mode, tile_size
        self.metadata = {**self.metadata, "autoreset_mode": _mode_of(autoreset_mode)}
        self._source = level_source(levels, size, boxes)
        self.single_observation_space = spaces.Box(0, TILES - 1, self._source.shape, np.int8)
        self.single_action_space = spaces.Discrete(len(ACTIONS))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._last = np.inf if max_episode_steps is None else max_episode_steps
        self._generators: list[np.random.Generator] = []
        self._seeds: list[int] = []
        self._boards: Boards | None = None  # until the first reset
        self._steps, self._over = np.zeros(num_envs, np.int64), np.zeros(num_envs, np.bool_)

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:
        """The random generators, one a board."""
        self._seed([None] * self.num_envs)
        return tuple(self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:
        """What the generators were seeded with, one a board."""
        self._seed([None] * self.num_envs)
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """Begins an episode on every board.

        Args:
            seed: of the boards' generators, one each or the first of consecutive ones; None goes on with what there is.
            options: {"level": L} begins with L everywhere: a board, a Level, or the number of a given level.

        Returns:
            the observations (num_envs, height, width) and the infos.

        Raises:
            InputError: another option, a level that cannot be played here, or another number of seeds.
        """
        level = chosen_level(options)
        named = None if level is None else self._source.find(level)
        self._seed(self._seeds_from(seed))
        self._boards = Boards([self._source.draw(rng) if named is None else named for rng in self._generators])
        self._steps[:], self._over[:] = 0, False
        return self._boards.tiles, _infos(self._boards, *np.zeros((2, self.num_envs), np.bool_))

    def step(self, actions: NDArray[np.integer] | Sequence[int]) -> Step:
        """Takes an action on each board.

        Args:
            actions: (num_envs,) of 0 up, 1 down, 2 left, 3 right.

        Returns:
            observations (num_envs, height, width), rewards, terminations, truncations (num_envs,) and infos.

        Raises:
            InputError: actions that are not such, or no reset before.
        """
        boards = self._begun()
        reward, moved, pushed, terminated = boards.step(self._checked(actions))
        self._steps += 1
        truncated = self._steps >= self._last
        final: dict[str, Any] = {}
        if self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP:
            rows = (terminated | truncated).nonzero()[0]
            if len(rows):
                final = self._final(boards, moved, pushed, rows)
                self._restart(boards, rows, moved, pushed)
        else:
            rows = self._over.nonzero()[0]
            if len(rows):
                self._restart(boards, rows, moved, pushed)
                reward[rows], terminated[rows], truncated[rows] = 0.0, False, False
            self._over = terminated | truncated
        return boards.tiles, reward, terminated, truncated, _infos(boards, moved, pushed) | final

    def render(self) -> tuple[Any, ...] | None:
        """Returns every board as text or picture, or None where the environment was made without a mode."""
        if self.render_mode is None:
            return None
        return tuple(render(board, self.render_mode, self._tile_size) for board in self._begun().tiles)

    def _seeds_from(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        """Returns a seed a board, of what was given to a reset."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + row for row in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise InputError(f"{len(seed)} seeds for {self.num_envs} boards: give one each, or one number for all")
        return seed

    def _seed(self, seeds: Sequence[int | None]) -> None:
        """Seeds the boards' generators; None leaves one as it is, or at first takes chance from the system."""
        if self._generators:
            now = zip(seeds, self._generators, self._seeds, strict=True)
            seeded = [(kept, old) if seed is None else seeding.np_random(seed) for seed, kept, old in now]
        else:
            seeded = [seeding.np_random(seed) for seed in seeds]
        self._generators, self._seeds = [each[0] for each in seeded], [each[1] for each in seeded]

    def _restart(self, boards: Boards, rows: NDArray[np.integer], *moves: NDArray[np.bool_]) -> None:
        """Begins new episodes in some rows, in which nothing has moved yet."""
        boards.replace(rows, *self._source.draw_several([self._generators[row] for row in rows.tolist()]))
        self._steps[rows] = 0
        for each in moves:
            each[rows] = False

    def _final(
        self, boards: Boards, moved: NDArray[np.bool_], pushed: NDArray[np.bool_], rows: NDArray[np.integer]
    ) -> dict[str, Any]:
        """Returns the last observations and infos of episodes that have ended in some rows, others left empty."""
        ended = np.zeros(self.num_envs, np.bool_)
        ended[rows] = True
        observations = np.full(self.num_envs, None, object)
        for row, board in zip(rows, boards.tiles[rows], strict=True):
            observations[row] = board
        infos = {name: values * ended for name, values in _infos(boards, moved, pushed).items()}
        return {"final_obs": observations, "_final_obs": ended, "final_info": infos, "_final_info": ended.copy()}

    def _checked(self, actions: NDArray[np.integer] | Sequence[int]) -> NDArray[np.integer]:
        """Returns the actions as an array that is one of actions."""
        given = np.asarray(actions)
        if given.shape != (self.num_envs,) or given.dtype.kind not in "iu":
            raise InputError(
                f"actions of shape {given.shape} and type {given.dtype}: give {self.num_envs} integers, one a board"
            )
        if not 0 <= np.bitwise_or.reduce(given) < len(ACTIONS):  # as are all of them: there are four actions
            (row, *_) = ((given < 0) | (given >= len(ACTIONS))).nonzero()[0]
            raise InputError(f"action {given[row]} of board {row}: must be one of 0 up, 1 down, 2 left, 3 right")
        return given

    def _begun(self) -> Boards:
        if self._boards is None:
            raise InputError("no episode has begun; call reset() first")
        return self._boards


def _infos(boards: Boards, moved: NDArray[np.bool_], pushed: NDArray[np.bool_]) -> dict[str, Any]:
    """Returns `SokobanEnv`'s info of every board, and by gymnasium's custom for which boards each entry is there."""
    present = np.ones((len(_INFOS), len(boards)), np.bool_)
    values = (moved, pushed, boards.on_target, boards.boxes, boards.solved, *present)
    return dict(zip(_NAMES, values, strict=True))


def _check_positive(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise InputError(f"{name} {number}: must be at least 1")


def _mode_of(given: AutoresetMode | str) -> AutoresetMode:
    for mode in _MODES:
        if given in (mode, mode.value):
            return mode
    raise unknown_name("autoreset_mode", given, [mode.value for mode in _MODES])
