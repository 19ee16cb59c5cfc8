"""Pictures and text of boards."""

import gymnasium
import numpy as np
import pytest

from rl.sokoban.render import MIN_TILE_SIZE, RENDER_MODES, render
from rl.sokoban.rules import TILES, from_text

TEXT = "#######\n#@ .$ #\n# *   #\n#######"


def test_text_is_the_levels_own():
    env = gymnasium.make("rl:laser_lit/Boxoban-v0", levels=[from_text(TEXT)], render_mode="ansi")
    env.reset()
    assert env.render() == TEXT
    env.step(3)
    assert env.render() == TEXT.replace("@ ", " @")


@pytest.mark.parametrize("tile_size", [MIN_TILE_SIZE, 7, 16, 32])
def test_every_tile_has_a_picture_of_its_own(tile_size):
    board = np.arange(TILES, dtype=np.int8)[None].repeat(2, 0)
    picture = render(board, "rgb_array", tile_size)
    assert picture.shape == (2 * tile_size, TILES * tile_size, 3)
    assert picture.dtype == np.uint8
    tiles = picture.reshape(2, tile_size, TILES, tile_size, 3).swapaxes(1, 2)
    assert np.array_equal(tiles[0], tiles[1])
    assert len({tile.tobytes() for tile in tiles[0]}) == TILES


def test_pictures_are_the_callers_own():
    board = from_text(TEXT)
    first = render(board, "rgb_array", 8)
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(render(board, "rgb_array", 8), kept)


def test_without_a_mode_nothing_is_drawn():
    env = gymnasium.make("rl:laser_lit/Sokoban-small-v0").unwrapped
    env.reset()
    assert env.render() is None
    assert env.metadata["render_modes"] == list(RENDER_MODES)
