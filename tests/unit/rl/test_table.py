"""Tables of all states of a room, beside the rules of the game and a plain search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sokoban_boards import fewest_moves, random_board, small_boards

from laser_lit.errors import InputError
from rl.sokoban import rules
from rl.sokoban.rules import from_text, step
from rl.sokoban.table import SolutionTable


def playable(table):
    """Returns the states in which the player does not stand on a box."""
    placement, cell = np.divmod(np.arange(len(table.distance)), len(table.cells))
    return np.flatnonzero((table.placements[placement] != cell[:, None]).all(1))


@given(board=small_boards())
@settings(max_examples=60)
def test_a_board_has_the_distance_that_a_plain_search_finds(board):
    table = SolutionTable.of(board)
    fewest = fewest_moves(board)
    assert table.distance[table.state(board)] == (-1 if fewest is None else fewest)


@given(board=small_boards(), data=st.data())
@settings(max_examples=100)
def test_states_follow_each_other_by_the_rules(board, data):
    table = SolutionTable.of(board)
    states = playable(table)
    state = int(states[data.draw(st.integers(0, len(states) - 1))])
    (board,) = table.boards(np.array([state]))
    assert table.state(board) == state
    assert table.boxes_on_target[state] == (board == rules.BOX_ON_TARGET).sum()
    assert (table.distance[state] == 0) == rules.is_solved(board)
    for action in range(4):
        done = step(board, action)
        assert table.state(done.board) == table.next[state, action]
        nearer = table.distance[state] > 0 and table.distance[table.next[state, action]] == table.distance[state] - 1
        assert table.optimal(np.array([state]))[0, action] == nearer


@pytest.mark.parametrize("boxes", [1, 2, 3, 4])
def test_every_distance_is_one_more_than_the_best_that_follows(boxes):
    board = random_board(np.random.default_rng(boxes), 6, 6, boxes)
    table = SolutionTable.of(board)
    unsolved = np.setdiff1d(playable(table), table.states_with(0, 0))
    after = table.distance[table.next[unsolved]].astype(int)
    best = np.where(after < 0, 10**6, after).min(1)
    assert np.array_equal(table.distance[unsolved], np.where(best == 10**6, -1, best + 1))
    assert (table.distance > 0).any()


def test_states_are_chosen_by_distance_and_boxes_on_targets():
    table = SolutionTable.of(from_text("#######\n#@$ . #\n# $.  #\n#     #\n#######"))
    states = table.states_with(3, 6, on_target=1)
    assert len(states)
    assert set(table.distance[states].tolist()) == {3, 4, 5, 6}
    boards = table.boards(states)
    assert ((boards == rules.BOX_ON_TARGET).sum((1, 2)) == 1).all()
    assert len(np.unique(boards, axis=0)) == len(states)
    everything = table.states_with(3, 6)
    assert set(states) < set(everything)
    assert (table.distance[table.states_with(-5, 10**6)] >= 0).all()


def test_optimal_actions_lead_to_the_solution():
    board = from_text("#######\n#@$ . #\n# $.  #\n#     #\n#######")
    table = SolutionTable.of(board)
    left = table.distance[table.state(board)]
    for _ in range(left):
        board = step(board, int(table.optimal(np.array([table.state(board)]))[0].argmax())).board
    assert rules.is_solved(board)
    assert not table.optimal(np.array([table.state(board)])).any()


def test_a_room_that_has_no_table_is_refused():
    board = from_text("#######\n#@$ . #\n# $.  #\n#     #\n#######")
    with pytest.raises(InputError, match=r"15 cells and 2 boxes has 1,575 states, a table at most 1,000"):
        SolutionTable.of(board, limit=1000)
    with pytest.raises(InputError, match="without a target"):
        SolutionTable.of(np.where(board == rules.WALL, rules.WALL, rules.FLOOR))


def test_a_board_of_another_room_has_no_state():
    table = SolutionTable.of(from_text("#####\n#@$.#\n#####"))
    for other in ("#####\n#.$@#\n#####", "#####\n#@*.#\n#####".replace(".", " "), "######\n#@$. #\n######"):
        with pytest.raises(InputError, match="not this table's"):
            table.state(from_text(other))
