"""Levels with solutions, and what a policy learns from, as a config asks for them."""

import csv

import numpy as np
import pytest
from sokoban_settings import sokoban_config

from laser_lit.errors import InputError
from laser_lit.files import cache_folder
from rl import data
from rl.data import check_sokoban_data, data_content, solved_levels, trajectories
from rl.sokoban.level import read_levels, room_split, write_levels
from rl.sokoban.rooms import generate_levels
from rl.sokoban.rules import ACTIONS, is_solved, step
from rl.sokoban.solver import solve
from rl.trajectories.trajectories import GENERIC, NO_TARGET

SPLITS = ("train", "validation", "test")
DIGITS = {"U": "0", "R": "1", "D": "2", "L": "3"}


def settings(*overrides):
    return sokoban_config(*overrides).data


@pytest.fixture(scope="module")
def levels():
    """Levels by split, of small rooms."""
    return {split: generate_levels(3, 6, 1, 12, split, 2, 10) for split in SPLITS}


@pytest.fixture
def file(levels, tmp_path):
    """A file of all the levels, the first of each split twice."""
    path = tmp_path / "levels.txt"
    write_levels([level for split in SPLITS for level in (levels[split][0], *levels[split])], path)
    return path


def files(path, *overrides):
    few = ("data.levels.validation=12", "data.levels.test=9", "data.levels.max_steps=20")
    return sokoban_config("data=boxoban", "data.levels.size=null", f"data.path={path}", *few, *overrides).data


def boards(solved):
    return [level.board.tobytes() for level in solved.levels]


def assert_solutions(solved, most):
    for row, level in enumerate(solved.levels):
        board, actions = level.board, solved.solution(row)
        assert np.array_equal(solved.solutions.starts[row], board)
        assert 0 < len(actions) <= most
        for action in actions:
            assert not is_solved(board)
            board = step(board, int(action)).board
        assert is_solved(board)
        assert level.moves in (None, len(actions))


def test_rooms_are_solved_in_the_fewest_moves_and_splits_share_none():
    found = {split: solved_levels(settings(), split) for split in ("validation", "test")}
    assert (len(found["validation"]), len(found["test"])) == (12, 9)
    for split, solved in found.items():
        assert_solutions(solved, 10)
        assert all(level.moves is not None for level in solved.levels)
        assert {room_split(level.room) for level in solved.levels} == {split}
        assert len({level.room for level in solved.levels}) == len(solved)


def test_the_second_time_levels_come_from_their_file(monkeypatch):
    first = solved_levels(settings(), "test")
    monkeypatch.setattr(data, "generate_levels", lambda *_: pytest.fail("made again"))
    second = solved_levels(settings(), "test")
    assert second.digest == first.digest
    named = [[(level.name, level.room, level.moves) for level in solved.levels] for solved in (first, second)]
    assert named[0] == named[1]
    assert boards(first) == boards(second)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_of_levels_that_cannot_be_read_is_made_anew(content):
    first = solved_levels(settings(), "test")
    (file,) = cache_folder().glob("sokoban/levels-*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert solved_levels(settings(), "test").digest == first.digest
    assert solved_levels(settings(), "test").digest == first.digest
    assert len(file.read_bytes()) == len(whole)


def test_a_file_of_episodes_without_names_is_made_anew():
    first = solved_levels(settings(), "test")
    (file,) = cache_folder().glob("sokoban/levels-*.npz")
    data.save_trajectories(data.replace(first.solutions, about={"names": []}), file)
    again = solved_levels(settings(), "test")
    assert [level.name for level in again.levels] == [level.name for level in first.levels]


@pytest.mark.parametrize(
    ("changed", "other"),
    [("seed=1", True), ("boxes=2", True), ("max_moves=5", True), ("max_steps=25", False), ("validation=3", False)],
)
def test_the_digest_names_the_levels(changed, other):
    one, two = (solved_levels(settings(*typed), "test") for typed in ((), (f"data.levels.{changed}",)))
    assert (one.digest != two.digest) is other


def test_levels_take_no_more_moves_than_an_episode_has():
    config = settings("data.levels.max_moves=40", "data.levels.max_steps=6")
    assert max(level.moves for level in solved_levels(config, "validation").levels) <= 6
    episodes = trajectories(
        settings("data.levels.max_moves=40", "data.levels.max_steps=6", "data.trajectories.rates=[0]")
    )
    assert episodes.solved.all()


def test_of_files_each_room_gives_one_level_of_its_split_and_the_solver_solves_it(levels, file):
    for split in ("validation", "test"):
        solved = solved_levels(files(file), split)
        assert boards(solved) == [level.board.tobytes() for level in levels[split]][: len(solved)]
        assert_solutions(solved, 20)
        assert all(level.moves is None for level in solved.levels)
    assert {len(solved_levels(files(file), split)) for split in ("validation", "test")} == {12, 9}


def test_fewer_levels_than_asked_for_are_refused_with_their_number(file, tmp_path):
    with pytest.raises(InputError, match=r"data.levels.validation 13: of 12 levels, .* found for 12; ask for fewer"):
        solved_levels(files(file, "data.levels.validation=13"), "validation")
    longest = max(solved_levels(files(file), "validation").solutions.lengths)
    with pytest.raises(InputError, match=f"solutions of at most {longest - 1} steps"):
        solved_levels(files(file, f"data.levels.max_steps={longest - 1}"), "validation")
    with pytest.raises(InputError, match=r"500 levels wanted .* found, then no more"):
        solved_levels(settings("data.levels.size=5", "data.levels.validation=500"), "validation")


def test_levels_that_are_not_solved_in_time_make_room_for_others(file):
    whole = solved_levels(files(file), "validation")
    limit = int(np.sort(whole.solutions.lengths)[5])
    short = [row for row, length in enumerate(whole.solutions.lengths) if length <= limit]
    config = files(file, f"data.levels.max_steps={limit}", f"data.levels.validation={len(short)}")
    assert boards(solved_levels(config, "validation")) == [boards(whole)[row] for row in short]


def test_the_solver_plays_the_training_levels_of_files(levels, file):
    made = trajectories(files(file, "data.trajectories.count=24", "data.trajectories.rates=[0]"))
    assert [board.tobytes() for board in made.starts[:12]] == [level.board.tobytes() for level in levels["train"]]
    assert made.solved.all()


@pytest.fixture
def astar(file, tmp_path):
    """A CSV file of A* solutions to half of the levels."""
    path = tmp_path / "solutions.csv"
    with path.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["File", "Level", "Actions", "Steps", "SearchSteps"])
        for number, level in list(enumerate(read_levels(file)))[::2]:
            digits = "".join(DIGITS[letter] for letter in solve(level.board).actions)
            writer.writerow(["000", number, digits, len(digits), 1])
    return path


def test_solutions_of_a_file_are_learned_from_with_noise_in_their_targets(file, astar, tmp_path):
    numbered = file.rename(tmp_path / "000.txt")
    typed = (f"data.trajectories.solutions={astar}", "data.trajectories.count=10")
    plain = trajectories(files(numbered, *typed))
    train = [level for level in read_levels(numbered) if room_split(level.room) == "train"]
    rooms = list({level.room: level for level in reversed(train)}.values())[::-1][:10]
    solved = {level.board.tobytes() for number, level in enumerate(read_levels(numbered)) if number % 2 == 0}
    assert {board.tobytes() for board in plain.starts} == {level.board.tobytes() for level in rooms} & solved
    assert plain.solved.all()
    assert np.array_equal(plain.targets, plain.actions)
    assert any("left out" in note for note in plain.about["notes"])
    noisy = trajectories(files(numbered, *typed, "data.trajectories.generic=0.5", "data.trajectories.action=D"))
    assert np.array_equal(noisy.actions, plain.actions)
    changed = noisy.targets != noisy.actions
    assert changed.any()
    assert set(noisy.targets[changed]) == {GENERIC + ACTIONS.index("D")}
    assert NO_TARGET not in noisy.targets


def test_the_content_is_of_files_and_not_of_paths(file, astar, tmp_path):
    copies = [tmp_path / name for name in ("000.txt", "copies/000.txt", "copy.csv")]
    copies[1].parent.mkdir()
    copies[0].write_bytes(file.read_bytes())
    copies[1].write_bytes(file.read_bytes())
    copies[2].write_bytes(astar.read_bytes())
    one = data_content(files(copies[0], f"data.trajectories.solutions={astar}"))
    assert one == data_content(files(copies[1], f"data.trajectories.solutions={copies[2]}"))
    copies[2].write_text(astar.read_text() + "000,999,0,1,1\n")
    assert one != data_content(files(copies[0], f"data.trajectories.solutions={copies[2]}"))
    assert one != data_content(files(copies[0]))
    assert data_content(files(file)) == data_content(files(copies[0]))
    copies[1].write_text(file.read_text().replace("; 0\n", "; 999\n", 1))
    assert one != data_content(files(copies[1], f"data.trajectories.solutions={astar}"))
    assert data_content(settings()) != data_content(settings("data.levels.seed=1"))


def test_files_that_cannot_be_meant_are_refused(file, tmp_path):
    mixed = tmp_path / "mixed.txt"
    mixed.write_text(file.read_text() + "\n; 999\n#####\n#@$.#\n#####\n")
    with pytest.raises(InputError, match=r"mixed.txt#0 has 6 × 6 cells and mixed.txt#999 has 3 × 5"):
        solved_levels(files(mixed), "validation")
    one = tmp_path / "one.txt"
    split = room_split(read_levels(file)[0].room)
    write_levels(read_levels(file)[:1], one)
    with pytest.raises(InputError, match="no level in it falls into the test split"):
        solved_levels(files(one), "test")
    assert split == "train"
    with pytest.raises(InputError, match=r"data.trajectories.solutions=nowhere: .* unfiltered_train.csv.gz"):
        trajectories(files(file, "data.trajectories.solutions=nowhere"))
    with pytest.raises(InputError, match=r"data=boxoban needs data\.path="):
        solved_levels(files("null"), "test")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["data.levels.test=0"], "data.levels.test 0: must be at least 1"),
        (["data.levels.max_steps=0"], "data.levels.max_steps 0"),
        (["data.levels.seed=-1"], "data.levels.seed -1: must be at least 0"),
        (["data.trajectories.seed=-1"], "data.trajectories.seed -1"),
        (["data.trajectories.count=0"], "data.trajectories.count 0"),
        (["data.trajectories.action=X"], "must be one of U, D, L, R"),
        (["data.levels.max_moves=90", "data.levels.min_moves=21"], "min_moves 21: episodes end after .* 20"),
        (["data.path=x"], "data.path=x: data=rooms generates its rooms"),
        (["data.trajectories.solutions=x"], "solutions=x: data=rooms generates its rooms"),
        (["data=boxoban", "data.levels.size=6"], "data.levels.size=6: levels of files have the size"),
    ],
)
def test_what_cannot_be_meant_is_refused(typed, said):
    with pytest.raises(InputError, match=said):
        check_sokoban_data(settings(*typed))


def test_other_data_are_refused():
    config = settings()
    config.name, config.levels = "facts", None
    with pytest.raises(InputError, match="not data=facts; use data=rooms"):
        check_sokoban_data(config)


def test_a_policy_is_the_same_however_many_levels_test_it():
    one = data_content(sokoban_config().data)
    assert one == data_content(sokoban_config("data.levels.test=77").data)
    for other in ("data.levels.validation=13", "data.levels.max_steps=21", "data.trajectories.generic=0.1"):
        assert one != data_content(sokoban_config(other).data)
