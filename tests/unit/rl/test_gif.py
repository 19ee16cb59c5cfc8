"""GIFs of episodes."""

import numpy as np
import pytest
from gif_frames import decoded

from laser_lit.errors import InputError
from rl.report.gif import gif


@pytest.mark.parametrize("colours", [1, 2, 3, 16, 17, 256])
@pytest.mark.parametrize("side", [1, 7, 200])
def test_frames_come_back_as_they_were(colours: int, side: int):
    rng = np.random.default_rng(colours)
    palette = rng.permutation(1 << 12)[:colours, None] // np.array([256, 16, 1]) % 16 * 17
    frames = palette.astype(np.uint8)[rng.integers(0, colours, (3, side, side + 2))]
    found, shown, _ = decoded(gif(frames, [250, 40, 1500]))
    assert np.array_equal(found, frames)
    assert shown == [250, 40, 1500]


def test_only_what_changes_is_stored():
    frames = np.zeros((3, 50, 60, 3), np.uint8)
    frames[1:, 20:24, 30:33] = 255
    found, _, stored = decoded(gif(frames, [100] * 3))
    assert np.array_equal(found, frames)
    assert stored == [3000, 12, 1]


def test_pictures_with_too_many_colours_are_refused():
    frames = np.arange(17 * 17, dtype=np.uint16)[:, None] // np.array([17, 1, 300]) % 17
    with pytest.raises(InputError, match="289 colours"):
        gif(frames.astype(np.uint8).reshape(1, 17, 17, 3), [100])
