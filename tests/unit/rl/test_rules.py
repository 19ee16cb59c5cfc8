"""The rules by hand-made boards, and the boards stepped together against them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laser_lit.errors import InputError
from rl.sokoban import rules
from rl.sokoban.boards import Boards
from rl.sokoban.rules import ACTIONS, from_text, step, to_text

UP, DOWN, LEFT, RIGHT = range(4)


def played(board, letters):
    for letter in letters:
        board = step(board, ACTIONS.index(letter)).board
    return board


def test_a_push_moves_box_and_player():
    done = step(from_text("######\n#@$ .#\n######"), RIGHT)
    assert to_text(done.board) == "######\n# @$.#\n######"
    assert (done.moved, done.pushed, done.solved, done.reward) == (True, True, False, -0.1)


def test_the_last_box_solves():
    done = step(from_text("#####\n#@$.#\n#####"), RIGHT)
    assert to_text(done.board) == "#####\n# @*#\n#####"
    assert done.solved
    assert done.reward == pytest.approx(10.9)


def test_a_box_off_its_target_costs():
    done = step(from_text("#######\n#@*  .#\n#  $  #\n#######".replace(". ", "  ")), RIGHT)
    assert done.reward == pytest.approx(-1.1)
    assert to_text(done.board).splitlines()[1] == "# +$ .#"


@pytest.mark.parametrize("row", ["#@$#. $.#", "#@$$ ..#", "#@#$ . #"])
def test_what_is_not_possible_changes_nothing(row):
    board = from_text(f"{'#' * len(row)}\n{row}\n{'#' * len(row)}")
    done = step(board, RIGHT)
    assert np.array_equal(done.board, board)
    assert (done.moved, done.pushed, done.reward) == (False, False, -0.1)


def test_the_player_stands_on_a_target_and_leaves_it():
    board = from_text("#####\n#@.$#\n#####")
    assert to_text(played(board, "R")) == "#####\n# +$#\n#####"
    assert to_text(played(board, "RL")) == to_text(board)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("####\n#@.#\n####", "0 boxes, 1 targets"),
        ("#####\n# $.#\n#####", "this one has 0"),
        ("#####\n#@@$.#\n#####", "this one has 2"),
        ("#####\n#@$. \n#####", "hole"),
        ("#####\n#@$x#\n#####", "'x'"),
        ("##\n##", "at least 3"),
    ],
)
def test_a_board_that_cannot_be_played_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        from_text(text)


@st.composite
def boards(draw):
    height, width = draw(st.integers(4, 7)), draw(st.integers(4, 7))
    inside = draw(st.permutations([(r, c) for r in range(1, height - 1) for c in range(1, width - 1)]))
    board = np.full((height, width), rules.FLOOR, np.int8)
    board[0] = board[-1] = board[:, 0] = board[:, -1] = rules.WALL
    n = draw(st.integers(1, (len(inside) - 1) // 3))
    for place in inside[:n]:
        board[place] = rules.BOX
    for place in inside[n : 2 * n]:
        board[place] = rules.TARGET
    on = draw(st.booleans())
    if on:
        board[inside[0]], board[inside[n]] = rules.BOX_ON_TARGET, rules.FLOOR
    board[inside[2 * n]] = rules.PLAYER
    for place in inside[2 * n + 1 :]:
        if draw(st.integers(0, 3)) == 0:
            board[place] = rules.WALL
    return board


@given(board=boards(), actions=st.lists(st.integers(0, 3), min_size=1, max_size=40))
@settings(max_examples=150, deadline=None)
def test_the_rules_keep_what_they_must(board, actions):
    start = board
    for action in actions:
        before = board
        done = step(board, action)
        board = done.board
        assert np.array_equal(rules.without_movables(board), rules.without_movables(start))
        assert rules.is_box(board).sum() == rules.is_box(start).sum()
        assert (board >= rules.PLAYER).sum() == 1
        assert done.moved == (rules.player(board) != rules.player(before))
        assert np.array_equal(from_text(to_text(board)), board)


@given(board=boards(), other=boards(), actions=st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=1, max_size=40))
@settings(max_examples=150, deadline=None)
def test_boards_stepped_together_obey_the_rules(board, other, actions):
    pair = [board, other if other.shape == board.shape else board]
    together = Boards(pair)
    for both in actions:
        moves = together.step(np.array(both))
        done = [step(one, action) for one, action in zip(pair, both, strict=True)]
        pair = [one.board for one in done]
        assert np.array_equal(together.tiles, np.stack(pair))
        assert moves.reward.tolist() == pytest.approx([one.reward for one in done])
        assert moves.moved.tolist() == [one.moved for one in done]
        assert moves.pushed.tolist() == [one.pushed for one in done]
        assert moves.solved.tolist() == [one.solved for one in done] == together.solved.tolist()
        assert together.on_target.tolist() == [(one == rules.BOX_ON_TARGET).sum() for one in pair]


def test_boards_are_taken_and_replaced():
    first, second = from_text("#####\n#@$.#\n#####"), from_text("#####\n#.$@#\n#####")
    together = Boards([first, second, first])
    some = together.take(np.array([2, 1]))
    some.step(np.array([RIGHT, LEFT]))
    assert some.solved.all()
    assert not together.solved.any()
    some.replace(np.array([0]), Boards([first, second]), np.array([1]))
    assert np.array_equal(some.tiles[0], second)
    assert some.solved.tolist() == [False, True]


def test_boards_of_several_sizes_are_refused():
    with pytest.raises(InputError, match="3 × 5, 3 × 6"):
        Boards([from_text("#####\n#@$.#\n#####"), from_text("######\n#@$ .#\n######")])
    with pytest.raises(InputError, match="given none"):
        Boards([])
    with pytest.raises(InputError, match="boards of 3 × 6 among boards of 3 × 5"):
        Boards([from_text("#####\n#@$.#\n#####")]).replace(
            np.array([0]), Boards([from_text("######\n#@$ .#\n######")]), np.array([0])
        )
