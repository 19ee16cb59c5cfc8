"""A* solutions from files as the hub has them: which are taken, which left out, and what is refused."""

import csv
import gzip

import huggingface_hub
import numpy as np
import pytest

from laser_lit.errors import InputError
from rl.sokoban import rules
from rl.sokoban.level import Level, read_levels, write_levels
from rl.sokoban.rooms import generate_levels
from rl.sokoban.rules import step
from rl.sokoban.solver import solve
from rl.trajectories.astar_solutions import ASTAR_FILES, ASTAR_ID, astar_solutions, astar_trajectories, fetch_astar
from rl.trajectories.trajectories import load_trajectories, save_trajectories

COLUMNS = ["File", "Level", "Actions", "Steps", "SearchSteps"]
DIGITS = {"U": "0", "R": "1", "D": "2", "L": "3"}


@pytest.fixture(scope="module")
def levels(tmp_path_factory):
    """Levels as `read_levels` names those of Boxoban's folders."""
    folder = tmp_path_factory.mktemp("valid")
    generated = generate_levels(0, 7, 2, 14, "train")
    write_levels(generated[:12], folder / "000.txt")
    write_levels(generated[12:], folder / "001.txt")
    return read_levels(folder)


@pytest.fixture(scope="module")
def rows(levels):
    """A row a level, as the hub's files have them."""
    rows = []
    for level in levels:
        file, number = level.name.split(".txt#")
        solution = solve(level.board)
        digits = "".join(DIGITS[letter] for letter in solution.actions)
        rows.append([file, number.zfill(3), digits, str(solution.moves), str(solution.nodes)])
    return rows


@pytest.fixture
def written(tmp_path):
    """Writes rows to a file, packed or not."""

    def write(rows, name="valid.csv", columns=COLUMNS):
        path = tmp_path / name
        with gzip.open(path, "wt", newline="") if name.endswith(".gz") else path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
        return path

    return write


@pytest.mark.parametrize("name", ["valid.csv", "valid.csv.gz"])
def test_every_solution_is_an_episode_that_solves_its_level(levels, rows, written, name, tmp_path):
    trajectories, notes = astar_trajectories(levels, written(rows, name))
    assert notes == (f"{name}: solutions of 14 of 14 levels; left out nothing",)
    assert len(trajectories) == 14
    assert trajectories.solved.all()
    assert np.array_equal(trajectories.targets, trajectories.actions)
    assert [int(steps) for _, _, _, steps, _ in rows] == trajectories.lengths.tolist()
    for level, start in zip(levels, trajectories.starts, strict=True):
        assert np.array_equal(start, level.board)
    assert trajectories.about == {"source": "astar", "file": name, "levels": 14, "max_steps": 120}
    save_trajectories(trajectories, tmp_path / "episodes.npz")
    assert np.array_equal(load_trajectories(tmp_path / "episodes.npz").actions, trajectories.actions)


def test_solutions_by_name_are_letters_of_our_actions(levels, rows, written):
    solutions, _ = astar_solutions(levels, written(rows))
    assert list(solutions) == [level.name for level in levels]
    assert solutions == {level.name: solve(level.board).actions for level in levels}
    assert set("".join(solutions.values())) == set("UDLR")
    for level in levels:
        board = level.board
        for letter in solutions[level.name]:
            board = step(board, rules.ACTIONS.index(letter)).board
        assert rules.is_solved(board)


def test_rows_in_another_order_of_other_levels_and_with_plain_numbers_do(levels, rows, written):
    plain = [[str(int(file)), str(int(level)), *rest] for file, level, *rest in rows]
    path = written(plain[::-1])
    assert astar_solutions(levels, path)[0] == astar_solutions(levels, written(rows, "padded.csv"))[0]
    trajectories, notes = astar_trajectories(levels[3:5], path)
    assert notes == ("valid.csv: solutions of 2 of 2 levels; left out nothing",)
    assert np.array_equal(trajectories.starts, [level.board for level in levels[3:5]])
    fewer, notes = astar_solutions(levels, written(rows[:3]))
    assert (len(fewer), notes) == (3, ("valid.csv: solutions of 3 of 14 levels; left out no row: 11",))


def test_what_does_not_solve_its_level_is_left_out_and_counted(levels, rows, written):
    changed = [list(row) for row in rows]
    changed[0][2:4] = "SEARCH_STATE_FAILED", "-1"
    changed[1][2:4] = "NOT_FOUND", "-1"
    changed[2][2:4] = "NOT_FOUND", "-1"
    changed[3][2] = changed[3][2][:-1]
    changed[4][2:4] = changed[4][2][:-1], "INCORRECT_SOLUTION_FOUND"
    changed[5][2:4] = "", "-1"
    changed[6][2] = changed[7][2]
    changed[8][3] = "INCORRECT_SOLUTION_FOUND"  # which is not so
    changed[9][2] += "0123"  # goes on after it is solved
    changed.append(rows[10])
    solutions, notes = astar_solutions(levels, written(changed))
    assert solutions == {level.name: solve(level.board).actions for level in levels[7:]}
    assert notes == (
        "valid.csv: solutions of 7 of 14 levels; left out NOT_FOUND: 2, SEARCH_STATE_FAILED: 1, Steps -1: 1, "
        "Steps INCORRECT_SOLUTION_FOUND: 1, actions that do not solve the level: 2, further rows of a level: 1",
    )
    assert astar_trajectories(levels, written(changed))[0].solved.tolist() == [True] * 7


def test_longer_solutions_are_left_out_of_the_episodes(levels, rows, written):
    steps = sorted({int(row[3]) for row in rows})
    limit = steps[len(steps) // 2]
    longer = sum(int(row[3]) > limit for row in rows)
    trajectories, notes = astar_trajectories(levels, written(rows), max_steps=limit)
    assert trajectories.lengths.max() == limit
    assert len(trajectories) == 14 - longer
    assert notes[1] == f"valid.csv: {longer} solutions of more than {limit} steps left out"
    with pytest.raises(InputError, match="all 14 solutions have more than 1 steps; allow longer ones"):
        astar_trajectories(levels, written(rows), max_steps=1)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["x", "000", "0", "1", "1"], "File 'x': must be a number, as in '023'"),
        (["000", "", "0", "1", "1"], "Level '': must be a number"),
        (["000", "²", "0", "1", "1"], "Level '²': must be a number"),
        (["000"], "Level '': must be a number"),
        (["000", "000", "0142", "4", "1"], "Actions with '4': must be digits 0 up, 1 right, 2 down, 3 left"),
        (["000", "000", "UDLR", "4", "1"], "Actions with 'D' 'L' 'R' 'U'"),
    ],
)
def test_a_broken_row_is_an_error_that_names_its_line(levels, rows, written, row, said):
    with pytest.raises(InputError, match=rf"valid.csv:5: {said}"):
        astar_solutions(levels, written([*rows[:3], row, *rows[3:]]))


def test_files_that_cannot_be_read_are_refused(levels, rows, written, tmp_path):
    with pytest.raises(InputError, match=r"valid.csv:1: no column Actions, Steps; CSV with the columns File, Level"):
        astar_solutions(levels, written([row[:2] for row in rows], columns=COLUMNS[:2]))
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty.csv:1: no column File"):
        astar_solutions(levels, tmp_path / "empty.csv")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match=r"picture.csv:1: .*decode"):
        astar_solutions(levels, tmp_path / "picture.csv")
    packed = written(rows, "valid.csv.gz").read_bytes()
    for name, content in (("cut.csv.gz", packed[:-20]), ("plain.csv.gz", b"File,Level"), ("torn.csv.gz", packed[:30])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}:\d+: "):
            astar_solutions(levels, tmp_path / name)
    with pytest.raises(InputError, match=rf"nowhere.csv: no such file; give a copy of one of {ASTAR_ID}"):
        astar_solutions(levels, tmp_path / "nowhere.csv")


def test_levels_that_the_file_is_not_of_are_refused(levels, rows, written):
    path = written(rows)
    swapped = [Level.of(other.board, level.name) for level, other in zip(levels, levels[::-1], strict=True)]
    with pytest.raises(InputError, match=r"solutions of 0 of 14 levels; left out actions .*: 14; give the levels of"):
        astar_solutions(swapped, path)
    with pytest.raises(InputError, match="level '7x7-2#12': solutions are found by Boxoban's names"):
        astar_solutions([Level.of(levels[0].board, "7x7-2#12")], path)
    with pytest.raises(InputError, match=r"two levels '000.txt#0': take those of one of Boxoban's folders"):
        astar_solutions([levels[0], levels[0]], path)
    with pytest.raises(InputError, match="left out no row: 1; give"):
        astar_solutions([Level.of(levels[0].board, "999.txt#0")], path)


def test_a_file_of_the_hub_comes_by_its_name(levels, rows, written, tmp_path, monkeypatch):
    asked = []

    def download(*args, **kwargs):
        asked.append((args, kwargs))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    name = ASTAR_FILES[2]
    with pytest.raises(InputError, match=f"{name}: {ASTAR_ID} has no such file at revision main"):
        fetch_astar(name)
    written(rows, name)
    assert fetch_astar(name, "refs/pr/1") == tmp_path / name
    assert asked[1] == ((ASTAR_ID,), {"repo_type": "dataset", "revision": "refs/pr/1", "allow_patterns": [name]})
    with pytest.raises(InputError, match=r"unknown file of solutions 'unfiltered_test.csv'; nearest: unfiltered_test"):
        fetch_astar("unfiltered_test.csv")


def test_offline_the_hubs_files_are_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(InputError, match=r"neither from the hub \(offline, HF_HUB_OFFLINE is set\) nor .* a copy"):
        fetch_astar(ASTAR_FILES[0])
