"""Files of episodes: what is written comes back, and other files are refused."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from laser_lit.errors import InputError
from rl.sokoban.level import Level
from rl.sokoban.rules import from_text
from rl.trajectories.generate import Noise, Rooms, play_levels, play_rooms
from rl.trajectories.trajectories import load_trajectories, save_trajectories

LEVEL = Level.of(from_text("#######\n#@$ . #\n# $.  #\n#     #\n#######"), "small#0")
ARRAYS = ("starts", "lengths", "actions", "targets")


def same(one, other):
    """Returns whether two sets of episodes are the same bit for bit."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ARRAYS]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs) and one.about == other.about


def test_a_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "new" / "episodes.npz"
    for trajectories in (
        play_rooms(Rooms(6, 1, 3, 30), 20, Noise(generic=0.3), seed=0),
        play_levels([LEVEL], 3, Noise(), seed=0),
    ):
        save_trajectories(trajectories, path)
        again = load_trajectories(path)
        assert same(again, trajectories)
        assert np.array_equal(again.returns_to_go, trajectories.returns_to_go)
    assert again.about["noise"] == json.loads(json.dumps(asdict(Noise())))
    assert [file.name for file in path.parent.iterdir()] == ["episodes.npz"]


def test_a_write_that_fails_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    path, trajectories = tmp_path / "episodes.npz", play_levels([LEVEL], 2, Noise(), seed=0)
    save_trajectories(trajectories, path)

    def torn(file, **_):
        file.write(b"PK")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", torn)
    with pytest.raises(OSError, match="no space left"):
        save_trajectories(trajectories, path)
    assert same(load_trajectories(path), trajectories)
    assert [file.name for file in tmp_path.iterdir()] == ["episodes.npz"]


@pytest.fixture
def content(tmp_path):
    """Returns the arrays of a file of trajectories."""
    path = tmp_path / "good.npz"
    save_trajectories(play_levels([LEVEL], 5, Noise(), seed=0), path)
    with np.load(path) as file:
        return dict(file)


def about(content, **changed):
    return {"about": np.array(json.dumps(json.loads(str(content["about"])) | changed))}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (lambda content: about(content, schema=2), "made by another version of laser_lit"),
        (lambda content: {"about": np.array("{}")}, "made by another version"),
        (lambda content: {"about": np.array("[1]")}, "pop"),
        (lambda content: {"about": np.array("{")}, "Expecting"),
        (lambda content: {"actions": content["actions"][:-1]}, "do not fit together"),
        (lambda content: {"lengths": content["lengths"].astype("U")}, "lengths of type <U"),
        (lambda content: {"lengths": content["lengths"].astype(float)}, "lengths of type float64"),
    ],
)
def test_files_with_other_content_are_refused(content, tmp_path, changes, said):
    path = tmp_path / "other.npz"
    np.savez(path, **(content | changes(content)))
    with pytest.raises(InputError, match=f"other.npz: no trajectories that can be read .*{said}.*remove the file"):
        load_trajectories(path)


@pytest.mark.parametrize("missing", ["about", "starts", "lengths", "actions", "targets"])
def test_a_file_without_an_array_is_refused(content, tmp_path, missing):
    path = tmp_path / "other.npz"
    del content[missing]
    np.savez(path, **content)
    with pytest.raises(InputError, match=f"other.npz: no trajectories that can be read .*{missing}"):
        load_trajectories(path)


def test_other_files_are_refused(content, tmp_path):
    good = (tmp_path / "good.npz").read_bytes()
    middle = len(good) // 2
    broken = {
        "text": b"nothing of the kind\n",
        "empty": b"",
        "cut": good[:middle],
        "torn": good[:middle] + bytes(8) + good[middle + 8 :],
    }
    for name, content_ in broken.items():
        path = tmp_path / name
        path.write_bytes(content_)
        with pytest.raises(InputError, match=f"{name}: no trajectories that can be read"):
            load_trajectories(path)
    np.save(tmp_path / "one.npy", content["actions"])
    with pytest.raises(InputError, match=r"one.npy: no trajectories that can be read"):
        load_trajectories(tmp_path / "one.npy")
    with pytest.raises(InputError, match=r"nowhere.npz: no such file"):
        load_trajectories(tmp_path / "nowhere.npz")
