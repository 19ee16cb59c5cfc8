"""Boxoban's published levels: read whole, and solved within a number of nodes that takes a second or so."""

from pathlib import Path

import numpy as np
import pytest

from rl.sokoban.level import Level, read_levels, write_levels
from rl.sokoban.rules import ACTIONS, BOX, is_solved, step
from rl.sokoban.solver import Solution, UnsolvedError, solve

pytestmark = pytest.mark.reference

FOLDERS = ("unfiltered/train", "unfiltered/valid", "medium/valid")


@pytest.fixture
def boxoban(shared: Path) -> Path:
    return shared / "data" / "boxoban"


def replayed(level: Level, solution: Solution) -> bool:
    """Returns whether a solution solves its level by the rules, and has the lengths that it says."""
    board, pushes = level.board, 0
    for action in solution.actions:
        done = step(board, ACTIONS.index(action))
        board, pushes = done.board, pushes + done.pushed
    return is_solved(board) and (solution.moves, solution.pushes) == (len(solution.actions), pushes)


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_are_read_and_come_back(boxoban: Path, folder: str, tmp_path: Path):
    levels = read_levels(boxoban / folder)
    assert [level.name for level in levels] == [f"000.txt#{number}" for number in range(1000)]
    assert {level.board.shape for level in levels} == {(10, 10)}
    assert {int((level.board == BOX).sum()) for level in levels} == {4}
    write_levels(levels, tmp_path / "again.txt")
    again = read_levels(tmp_path / "again.txt")
    assert all(np.array_equal(one.board, other.board) for one, other in zip(levels, again, strict=True))


def test_rooms_of_published_levels_differ(boxoban: Path):
    assert len({level.room for folder in FOLDERS for level in read_levels(boxoban / folder)}) == 3000


@pytest.mark.parametrize(("folder", "count", "share"), [("unfiltered/valid", 200, 0.99), ("medium/valid", 100, 0.95)])
def test_levels_are_solved(boxoban: Path, folder: str, count: int, share: float):
    solved = 0
    for level in read_levels(boxoban / folder)[:count]:
        try:
            solution = solve(level.board, limit=20_000)
        except UnsolvedError:
            continue
        assert replayed(level, solution), level.name
        solved += 1
    assert solved >= share * count


def test_fewest_moves_and_fewest_pushes_bound_each_other(boxoban: Path):
    for level in read_levels(boxoban / "medium/valid")[:12]:
        by_moves, by_pushes = solve(level.board, "moves"), solve(level.board)
        assert replayed(level, by_moves), level.name
        assert by_moves.moves <= by_pushes.moves, level.name
        assert by_moves.pushes >= by_pushes.pushes, level.name
