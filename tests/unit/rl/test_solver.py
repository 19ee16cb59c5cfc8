"""The solver beside plain searches and tables: shortest solutions that replay, and what cannot be solved."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sokoban_boards import fewest_moves, fewest_pushes, random_board, small_boards

from laser_lit.errors import InputError
from rl.sokoban import rules
from rl.sokoban.bitboard import NEVER, Bitboard, cells_of, to_bits
from rl.sokoban.rooms import generate_level
from rl.sokoban.rules import ACTIONS, from_text, is_box, is_solved, step
from rl.sokoban.solver import UnsolvableError, UnsolvedError, solve
from rl.sokoban.table import SolutionTable


def check_replays(board, solution):
    """Plays a solution by the rules, and checks that it solves at its last action and has the lengths that it says."""
    pushes = 0
    for action in solution.actions:
        assert not is_solved(board)
        done = step(board, ACTIONS.index(action))
        assert done.moved
        board, pushes = done.board, pushes + done.pushed
    assert is_solved(board)
    assert (solution.moves, solution.pushes) == (len(solution.actions), pushes)


@pytest.mark.parametrize(("size", "boxes", "count"), [(5, 2, 40), (6, 1, 80), (6, 2, 80), (7, 2, 80), (7, 3, 20)])
def test_solutions_are_the_shortest(size, boxes, count):
    rng = np.random.default_rng(size * boxes)
    for _ in range(count):
        level = generate_level(rng, size, boxes, min_moves=1)
        by_moves, by_pushes = solve(level.board, "moves"), solve(level.board)
        check_replays(level.board, by_moves)
        check_replays(level.board, by_pushes)
        assert by_moves.moves == level.moves == fewest_moves(level.board)
        assert by_pushes.pushes == fewest_pushes(level.board)


@given(board=small_boards())
@settings(max_examples=200)
def test_what_is_unsolvable_is_said_to_be(board):
    fewest = fewest_moves(board)
    for optimal, least in (("moves", fewest), ("pushes", fewest_pushes(board))):
        if fewest is None:
            with pytest.raises(UnsolvableError, match="no solution"):
                solve(board, optimal)
        else:
            solution = solve(board, optimal)
            check_replays(board, solution)
            assert getattr(solution, optimal) == least


@given(seed=st.integers(0, 2**32 - 1), boxes=st.integers(1, 3))
@settings(max_examples=40)
def test_states_are_dead_in_the_table_where_the_solver_finds_nothing(seed, boxes):
    rng = np.random.default_rng(seed)
    table = SolutionTable.of(random_board(rng, 5, 6, boxes))
    placement, cell = np.divmod(np.arange(len(table.distance)), len(table.cells))
    states = np.flatnonzero((table.placements[placement] != cell[:, None]).all(1))
    for state in rng.choice(states, 5):
        (board,) = table.boards(np.array([state]))
        try:
            assert solve(board, "moves").moves == table.distance[state]
        except UnsolvableError:
            assert table.distance[state] == -1


@given(seed=st.integers(0, 2**32 - 1), weight=st.floats(1, 5))
@settings(max_examples=40)
def test_a_weight_lengthens_a_solution_by_at_most_so_much(seed, weight):
    level = generate_level(np.random.default_rng(seed), 7, 2)
    for optimal in ("pushes", "moves"):
        shortest, found = solve(level.board, optimal), solve(level.board, optimal, weight)
        check_replays(level.board, found)
        assert getattr(found, optimal) <= weight * getattr(shortest, optimal) + 1e-9


def test_a_solved_level_needs_nothing():
    solution = solve(from_text("#####\n#@* #\n#####"))
    assert (solution.actions, solution.moves, solution.pushes) == ("", 0, 0)


def test_walks_between_pushes_are_the_shortest():
    board = from_text("########\n#      #\n#@ $.  #\n#      #\n########")
    assert solve(board).actions == "RR"
    assert solve(from_text("######\n#    #\n#.$@ #\n#    #\n######")).actions == "L"
    assert solve(from_text("######\n#    #\n#.$  #\n#@   #\n######")).actions == "RRUL"


def test_many_boxes_are_assigned_to_targets():
    rows = ["#########", "#@      #", *["#  $  . #"] * 6, "#       #", "#########"]
    assert solve(from_text("\n".join(rows)), weight=2).pushes >= 18


def test_the_limit_of_nodes_is_not_the_same_as_no_solution():
    level = generate_level(np.random.default_rng(0), 7, 2, min_moves=15)
    nodes = solve(level.board).nodes
    assert solve(level.board, limit=nodes).nodes == nodes
    with pytest.raises(UnsolvedError, match=f"not solved within {nodes - 1:,} nodes"):
        solve(level.board, limit=nodes - 1)
    with pytest.raises(UnsolvableError, match="all 1 states"):
        solve(from_text("#######\n#@# $.#\n#######"), limit=1)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"optimal": "steps"}, "unknown optimal 'steps'"),
        ({"weight": 0.5}, "weight 0.5 and limit 200000"),
        ({"weight": float("nan")}, "weight nan"),
        ({"weight": float("inf")}, "weight inf"),
        ({"limit": 0}, "limit 0"),
        ({"board": np.zeros((5, 5), np.int8)}, "one player"),
    ],
)
def test_arguments_out_of_range_are_refused(changed, said):
    with pytest.raises(InputError, match=said):
        solve(**({"board": from_text("#####\n#@$.#\n#####")} | changed))


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("######\n#@ $.#\n#    #\n#    #\n######", False),  # along the wall of its target
        ("#######\n#@ $$ #\n#  .. #\n#     #\n#######", True),  # two at a wall hold each other
        ("#######\n#@    #\n# $$  #\n# $$..#\n#   ..#\n#######", True),  # a square of four
        ("#######\n#@    #\n# $ $.#\n#    .#\n#     #\n#######", False),
        (
            "#######\n#@#$ .#\n# $#  #\n#    .#\n#######",
            True,
        ),  # held by a wall on one side, a box in a corner on the other
        ("######\n#@**##\n#  $.#\n#    #\n######", False),  # those that are held are on targets
    ],
)
def test_boxes_that_hold_each_other_are_lost(text, lost):
    board = from_text(text)
    bits, boxes = Bitboard(board), to_bits(is_box(board))
    assert bits.is_lost(boxes, next(iter(cells_of(boxes)))) == lost
    if lost:
        assert fewest_moves(board) is None


@given(board=small_boards())
@settings(max_examples=100)
def test_the_bound_is_at_most_what_is_needed(board):
    bits, boxes = Bitboard(board), to_bits(is_box(board))
    least = fewest_pushes(board)
    assert least is None or bits.fewest_pushes(boxes) <= least < NEVER
    assert least is None or not any(bits.is_lost(boxes, cell) for cell in cells_of(boxes))


def test_cells_and_their_sets():
    board = from_text("#####\n#@$.#\n#####")
    assert list(cells_of(to_bits(board != rules.WALL))) == [6, 7, 8]
    assert list(cells_of(0)) == []
