"""A board as a picture or as text, for people."""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError, unknown_name
from rl.sokoban.rules import (
    BOX,
    BOX_ON_TARGET,
    PLAYER,
    PLAYER_ON_TARGET,
    TILES,
    WALL,
    Board,
    is_target,
    to_text,
)

RenderMode = Literal["ansi", "rgb_array"]
RENDER_MODES: tuple[RenderMode, ...] = ("ansi", "rgb_array")
MIN_TILE_SIZE = 6
"""The smallest tile, in pixels, on which shapes can be told apart."""

_FLOOR, _BRICK, _MORTAR = (231, 222, 203), (134, 92, 78), (92, 62, 54)
_RING, _WOOD, _PLANK, _PLACED, _PLACED_PLANK = (
    (205, 46, 58),
    (202, 138, 52),
    (122, 74, 22),
    (104, 166, 66),
    (44, 96, 30),
)
_BODY, _HEAD = (38, 92, 176), (244, 196, 154)


def check_rendering(mode: str | None, tile_size: int) -> None:
    """Raises an error for what cannot be drawn.

    Raises:
        InputError: an unknown mode, or tiles that are too small.
    """
    if mode is not None and mode not in RENDER_MODES:
        raise unknown_name("render_mode", mode, RENDER_MODES)
    if tile_size < MIN_TILE_SIZE:
        raise InputError(f"tile_size {tile_size}: at least {MIN_TILE_SIZE} pixels, so that tiles can be told apart")


def render(board: Board, mode: RenderMode, tile_size: int) -> str | NDArray[np.uint8]:
    """Returns a board as lines of characters ("ansi") or as a picture ("rgb_array").

    Args:
        board: (height, width) tiles.
        mode: which of the two.
        tile_size: pixels of a side of a tile.

    Returns:
        text, or (height · tile_size, width · tile_size, 3) red, green and blue of 0 to 255.
    """
    if mode == "ansi":
        return to_text(board)
    picture = _tiles(tile_size)[board].swapaxes(1, 2)  # (height, tile_size, width, tile_size, 3)
    return picture.reshape(board.shape[0] * tile_size, board.shape[1] * tile_size, 3)


@lru_cache(maxsize=8)
def _tiles(size: int) -> NDArray[np.uint8]:
    """Returns the picture of each tile, (TILES, size, size, 3)."""
    tiles = np.empty((TILES, size, size, 3), np.uint8)
    tiles[:] = _FLOOR
    row, column = np.mgrid[0:size, 0:size]
    y, x = ((axis + 0.5) * 2 / size - 1 for axis in (row, column))  # −1 to 1 from side to side
    line = max(1.0, size / 12)
    course = row * 4 // size
    joint = (column + (course % 2) * (size // 4)) % max(2, size // 2) < line
    tiles[WALL] = np.where(((row % max(2, size // 4) < line) | joint)[..., None], _MORTAR, _BRICK)
    ring = (np.hypot(x, y) < 0.62) & ((np.hypot(x, y) > 0.34) | (np.hypot(x, y) < 0.14))
    tiles[is_target(np.arange(TILES, dtype=np.int8))[:, None, None] & ring] = _RING
    side = np.maximum(abs(x), abs(y))
    for tile, wood, plank in ((BOX, _WOOD, _PLANK), (BOX_ON_TARGET, _PLACED, _PLACED_PLANK)):
        tiles[tile][side < 0.84] = wood
        tiles[tile][
            (side < 0.84) & ((side > 0.84 - 2.4 * line / size) | (abs(abs(x) - abs(y)) < 1.2 * line / size))
        ] = plank
    for tile in (PLAYER, PLAYER_ON_TARGET):
        tiles[tile][(abs(x) < 0.46 - 0.2 * (y < 0.2)) & (y > -0.2) & (y < 0.8)] = _BODY
        tiles[tile][np.hypot(x, y + 0.36) < 0.34] = _HEAD
    return tiles
