"""Rotations and reflections of boards, against the rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sokoban_boards import random_board

from rl.sokoban.rules import ACTIONS, step
from rl.sokoban.symmetry import symmetries

SHAPES = ((5, 5), (6, 6), (4, 6), (6, 4))


def image(board, symmetry):
    return board.ravel()[symmetry.cells].reshape(board.shape)


@given(seed=st.integers(0, 2**32 - 1), shape=st.sampled_from(SHAPES), action=st.integers(0, len(ACTIONS) - 1))
def test_what_is_done_in_the_image_is_the_image_of_what_is_done(seed, shape, action):
    board = random_board(np.random.default_rng(seed), *shape, boxes=2)
    done = step(board, action)
    for symmetry in symmetries(*shape):
        mirrored = step(image(board, symmetry), int(symmetry.actions[action]))
        assert np.array_equal(mirrored.board, image(done.board, symmetry))
        assert (mirrored.reward, mirrored.pushed, mirrored.solved) == (done.reward, done.pushed, done.solved)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_identity_is_first_and_all_are_different(shape):
    found = symmetries(*shape)
    cells = np.arange(shape[0] * shape[1])
    assert len(found) == (8 if shape[0] == shape[1] else 4)
    assert np.array_equal(found[0].cells, cells)
    assert found[0].actions.tolist() == [0, 1, 2, 3]
    assert len({symmetry.cells.tobytes() for symmetry in found}) == len(found)
    assert len({symmetry.actions.tobytes() for symmetry in found}) == len(found)
    for symmetry in found:
        assert np.array_equal(np.sort(symmetry.cells), cells)
        assert sorted(symmetry.actions.tolist()) == [0, 1, 2, 3]
