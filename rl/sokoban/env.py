"""Sokoban as a gymnasium environment of one board."""

import operator
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from laser_lit.errors import InputError, unknown_name
from rl.sokoban.render import RENDER_MODES, RenderMode, check_rendering, render
from rl.sokoban.rules import (
    ACTIONS,
    BOX,
    BOX_ON_TARGET,
    FLOOR,
    OFF_REWARD,
    ON_REWARD,
    PLAYER,
    PLAYER_ON_TARGET,
    SOLVED_REWARD,
    STEP_REWARD,
    STEPS,
    TARGET,
    TILES,
    Board,
)
from rl.sokoban.source import Levels, level_source

_TILE = np.dtype(np.int8)
_FREE, _BOXED = (FLOOR, TARGET), (BOX, BOX_ON_TARGET)
_REWARDS = (STEP_REWARD, STEP_REWARD + ON_REWARD, STEP_REWARD + OFF_REWARD)  # by boxes gained: 0, 1, −1


class SokobanEnv(gymnasium.Env):
    """One board of Sokoban: the player pushes boxes onto targets, by the rules and rewards of `rl.sokoban.rules`.

    Observation: the tiles, (height, width) int8 of 0 to 6. Actions: 0 up, 1 down, 2 left, 3 right; one that is not
    possible changes nothing and costs its step. The episode terminates when every box is on a target;
    `gymnasium.make` truncates it after 120 steps. Info: moved (whether the player moved), pushed (whether a box did),
    on_target (boxes on targets), boxes (all of them), solved.

    Moves are played on plain bytes, which for a single board is several times as fast as on arrays.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 5}  # noqa: RUF012

    def __init__(
        self,
        size: int = 7,
        boxes: int = 2,
        levels: Levels | None = None,
        render_mode: RenderMode | None = None,
        tile_size: int = 32,
    ) -> None:
        """Makes the environment; without given levels each episode has a newly generated room.

        Args:
            size: side of generated boards in cells, outer wall included; given levels bring their own.
            boxes: number of boxes in generated rooms.
            levels: a file or folder in Boxoban's format, levels, or boards, all of one size.
            render_mode: "ansi" (text) or "rgb_array" (a picture).
            tile_size: pixels of a side of a tile in pictures.

        Raises:
            InputError: levels that cannot be read or played, an unknown mode, or tiles that are too small.
        """
        check_rendering(render_mode, tile_size)
        self.render_mode, self._tile_size = render_mode, tile_size
        self._source = level_source(levels, size, boxes)
        self._shape = self._source.shape
        self.observation_space = spaces.Box(0, TILES - 1, self._shape, np.int8)
        self.action_space = spaces.Discrete(len(ACTIONS))
        self._ahead: list[int] = (STEPS @ np.array([self._shape[1], 1])).tolist()
        self._cells = bytearray()  # empty before the first reset
        self._player = self._on = self._boxes = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Board, dict[str, Any]]:
        """Begins an episode.

        Args:
            seed: of the generator that levels are drawn with; None goes on with the one there is.
            options: {"level": L} begins with L: a board, a Level, or the number of a given level.

        Returns:
            the observation and the info.

        Raises:
            InputError: another option, or a level that cannot be played here.
        """
        level = chosen_level(options)
        named = None if level is None else self._source.find(level)
        super().reset(seed=seed)
        board = self._source.draw(self.np_random) if named is None else named
        cells = bytearray(board.tobytes())
        self._player = max(cells.find(PLAYER), cells.find(PLAYER_ON_TARGET))
        self._on = cells.count(BOX_ON_TARGET)
        self._boxes = self._on + cells.count(BOX)
        self._cells = cells
        return self._board(), self._info(False, False)

    def step(self, action: int) -> tuple[Board, float, bool, bool, dict[str, Any]]:
        """Takes an action.

        Args:
            action: 0 up, 1 down, 2 left, 3 right.

        Returns:
            observation, reward, whether the board is solved, False (time limits are wrappers'), and info.

        Raises:
            InputError: no such action, or no reset before.
        """
        by = self._way(action)
        cells, place = self._cells, self._player
        ahead = place + by
        tile, gained, pushed = cells[ahead], 0, False
        if tile in _BOXED:
            beyond = cells[ahead + by]
            if beyond in _FREE:
                pushed = True
                gained = (beyond == TARGET) - (tile == BOX_ON_TARGET)
                cells[ahead + by] = BOX if beyond == FLOOR else BOX_ON_TARGET
                tile = FLOOR if tile == BOX else TARGET
                self._on += gained
        moved = tile in _FREE
        if moved:
            cells[place] = FLOOR if cells[place] == PLAYER else TARGET
            cells[ahead] = PLAYER if tile == FLOOR else PLAYER_ON_TARGET
            self._player = ahead
        solved = self._on == self._boxes
        reward = _REWARDS[gained] + SOLVED_REWARD if solved and moved else _REWARDS[gained]
        return self._board(), reward, solved, False, self._info(moved, pushed)

    def render(self) -> Any:
        """Returns the board as text or picture, or None where the environment was made without a mode."""
        if self.render_mode is None:
            return None
        self._check_begun()
        return render(self._board(), self.render_mode, self._tile_size)

    def _way(self, action: int) -> int:
        """Returns by how many cells an action moves."""
        self._check_begun()
        try:
            number = operator.index(action)
        except TypeError:
            number = -1
        if not 0 <= number < len(ACTIONS):
            raise InputError(f"action {action!r}: must be one of 0 up, 1 down, 2 left, 3 right")
        return self._ahead[number]

    def _check_begun(self) -> None:
        if not self._cells:
            raise InputError("no episode has begun; call reset() first")

    def _board(self) -> Board:
        """Returns a new array of the tiles."""
        return np.ndarray(self._shape, _TILE, self._cells[:])

    def _info(self, moved: bool, pushed: bool) -> dict[str, Any]:
        on, boxes = self._on, self._boxes
        return {"moved": moved, "pushed": pushed, "on_target": on, "boxes": boxes, "solved": on == boxes}


def chosen_level(options: Mapping[str, Any] | None) -> Any:
    """Returns the level that the options of a reset name, or None.

    Raises:
        InputError: another option.
    """
    for name in options or {}:
        if name != "level":
            raise unknown_name("option of reset", name, ["level"])
    return (options or {}).get("level")
