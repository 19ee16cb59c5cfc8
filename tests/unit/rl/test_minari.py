"""Episodes as a data set of Minari: what is read back is what was written, board for board."""

import sys

import gymnasium
import numpy as np
import pytest

from laser_lit.errors import InputError
from rl.sokoban.level import Level
from rl.sokoban.rules import from_text, step
from rl.trajectories.generate import Noise, Rooms, play_levels, play_rooms
from rl.trajectories.minari import export_minari
from rl.trajectories.trajectories import NO_TARGET

ID = "sokoban/small/expert-v0"


@pytest.fixture
def minari(tmp_path, monkeypatch):
    """Returns Minari's package, with its data sets in a folder of the test's."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    for name in ("h5py", "PIL"):
        pytest.importorskip(name, reason="pip install 'laser_lit[minari]'")
    return pytest.importorskip("minari", reason="pip install 'laser_lit[minari]'")


@pytest.fixture
def trajectories():
    """Returns episodes of which some are not solved and some have steps without a target."""
    trajectories = play_rooms(Rooms(6, 2, 3, 20), 40, Noise((0.0, 0.9), 0.1, "R", 1), seed=0, max_steps=25)
    assert 0 < trajectories.solved.sum() < 40
    assert (trajectories.targets == NO_TARGET).any()
    return trajectories


def large_episodes():
    """Returns episodes on boards so large that Minari would take uint8 ones for pictures."""
    line = "#@$ ." + " " * 28 + "#"
    board = from_text("\n".join(["#" * 34, line, *["#" + " " * 32 + "#"] * 31, "#" * 34]))
    return play_levels([Level.of(board, "large#0")], 3, Noise((0.0, 0.9)), seed=0, max_steps=10)


@pytest.mark.parametrize("large", [False, True])
def test_what_is_read_back_is_what_was_written(minari, trajectories, tmp_path, large):
    trajectories = large_episodes() if large else trajectories
    folder = export_minari(trajectories, ID)
    assert folder == tmp_path / "datasets" / ID / "data"
    assert sorted(file.name for file in folder.iterdir()) == ["main_data.hdf5", "metadata.json"]
    assert [file.name for file in folder.parent.iterdir()] == ["data"]
    dataset = minari.load_dataset(ID)
    assert (dataset.total_episodes, dataset.total_steps) == (len(trajectories), len(trajectories.actions))
    for number, episode in enumerate(dataset.iterate_episodes()):
        first, length = trajectories.first[number], trajectories.lengths[number]
        places = slice(first, first + length)
        board, boards, rewards = trajectories.starts[number], [trajectories.starts[number]], []
        for action in trajectories.actions[places]:
            done = step(board, action)
            board = done.board
            boards.append(board)
            rewards.append(done.reward)
        ends = [False] * (length - 1)
        assert episode.observations.dtype == np.int8
        assert np.array_equal(episode.observations, boards)
        assert np.array_equal(episode.actions, trajectories.actions[places])
        assert np.array_equal(episode.rewards, rewards)
        assert episode.terminations.tolist() == [*ends, done.solved]
        assert episode.truncations.tolist() == [*ends, not done.solved]
        assert episode.infos["target"].tolist() == [NO_TARGET, *trajectories.labels[places]]


def test_a_data_set_is_listed_and_names_its_environment(minari, trajectories):
    export_minari(trajectories, ID)
    assert list(minari.list_local_datasets()) == [ID]
    dataset = minari.load_dataset(ID)
    assert dataset.spec.observation_space == gymnasium.spaces.Box(0, 6, (6, 6), np.int8)
    assert dataset.spec.action_space == gymnasium.spaces.Discrete(4)
    assert '"generic": 0.1' in dataset.storage.metadata["description"]
    env = dataset.recover_environment()
    assert env.spec.max_episode_steps == 25
    board, info = env.reset(seed=0)
    assert (board.shape, info["boxes"]) == ((6, 6), 2)


def test_levels_that_were_given_have_no_environment(minari):
    export_minari(large_episodes(), "large-v0")
    assert minari.load_dataset("large-v0").env_spec is None


def test_nothing_is_written_over_and_ids_are_checked(minari, trajectories):
    before = export_minari(trajectories, ID).joinpath("metadata.json").read_bytes()
    with pytest.raises(InputError, match=r"expert-v0/data: the folder is not empty, and nothing is written over"):
        export_minari(large_episodes(), ID)
    assert minari.load_dataset(ID).total_episodes == 40
    assert before == minari.load_dataset(ID).storage.data_path.joinpath("metadata.json").read_bytes()
    with pytest.raises(InputError, match=r"id 'no version': must be as in 'sokoban/expert-v0' \(Malformed"):
        export_minari(trajectories, "no version")


def test_a_data_set_that_fails_leaves_nothing(minari, trajectories, monkeypatch):
    monkeypatch.setattr("rl.trajectories.minari._episodes", lambda *_: iter([None]))
    with pytest.raises(AttributeError):
        export_minari(trajectories, ID)
    assert minari.list_local_datasets() == {}


@pytest.mark.parametrize("name", ["minari", "h5py", "PIL"])
def test_without_minari_the_error_says_what_to_install(trajectories, monkeypatch, name):
    for each in ("minari", "h5py", "PIL"):
        monkeypatch.setitem(sys.modules, each, sys)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"needs {name}, which is not installed: pip install 'laser_lit\[minari\]'"):
        export_minari(trajectories, ID)
