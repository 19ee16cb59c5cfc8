"""The command that makes files of episodes."""

import csv
import sys

import numpy as np
import pytest

from rl.sokoban.level import read_levels, write_levels
from rl.sokoban.rooms import generate_levels
from rl.sokoban.solver import solve
from rl.trajectories.__main__ import main
from rl.trajectories.astar_solutions import ASTAR_FILES
from rl.trajectories.generate import Noise, Rooms, play_rooms
from rl.trajectories.trajectories import load_trajectories


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.npz"


@pytest.fixture
def folder(tmp_path):
    """Returns a folder of levels, and beside it their solutions in solutions.csv."""
    write_levels(generate_levels(0, 6, 1, 4, "train"), tmp_path / "levels" / "000.txt")
    with (tmp_path / "solutions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["File", "Level", "Actions", "Steps", "SearchSteps"])
        for number, level in enumerate(read_levels(tmp_path / "levels")[:3]):
            solution = solve(level.board)
            writer.writerow(["000", f"{number:03}", solution.actions.translate(str.maketrans("URDL", "0123")), 9, 9])
    return tmp_path / "levels"


def test_generated_rooms_are_played(out, capsys):
    told = "--size 6 --boxes 1 --min-moves 3 --max-moves 30 --rates 0 0.5 --generic 0.2 --action R --dead-tail 1"
    assert main(["generate", str(out), "--count", "20", "--seed", "3", "--max-steps", "50", *told.split()]) == 0
    trajectories = load_trajectories(out)
    wanted = play_rooms(Rooms(6, 1, 3, 30), 20, Noise((0.0, 0.5), 0.2, "R", 1), seed=3, max_steps=50)
    assert np.array_equal(trajectories.actions, wanted.actions)
    assert np.array_equal(trajectories.targets, wanted.targets)
    said = capsys.readouterr().out
    assert said == f"20 episodes of {len(wanted.actions)} steps, {wanted.solved.sum()} solved: {out}\n"


def test_given_levels_are_played(out, folder):
    assert main(["generate", str(out), "--count", "6", "--levels", str(folder)]) == 0
    starts = [level.board for level in read_levels(folder)]
    assert np.array_equal(load_trajectories(out).starts, [*starts, *starts[:2]])


def test_solutions_become_a_file_and_what_is_left_out_is_said(out, folder, capsys):
    assert main(["astar", str(folder), str(folder.parent / "solutions.csv"), str(out)]) == 0
    assert len(load_trajectories(out)) == 3
    said = capsys.readouterr()
    assert said.err == "note: solutions.csv: solutions of 3 of 4 levels; left out no row: 1\n"
    assert said.out.endswith(f"3 solved: {out}\n")


def test_the_hubs_solutions_are_fetched_by_name(out, folder, monkeypatch):
    monkeypatch.setattr("rl.trajectories.__main__.fetch_astar", lambda name: folder.parent / "solutions.csv")
    assert main(["astar", str(folder), ASTAR_FILES[0], str(out)]) == 0
    assert len(load_trajectories(out)) == 3


def test_a_data_set_of_minari_is_made(out, tmp_path, monkeypatch, capsys):
    main(["generate", str(out), "--count", "5"])
    monkeypatch.setattr("rl.trajectories.__main__.export_minari", lambda trajectories, id: tmp_path / id)
    assert main(["export-minari", str(out), "test/x-v0"]) == 0
    assert capsys.readouterr().out.endswith(f"solved: {tmp_path / 'test/x-v0'}\n")


def test_what_cannot_be_done_is_one_message(out, folder, monkeypatch, capsys):
    assert main(["export-minari", str(out), "x-v0"]) == 1
    assert capsys.readouterr().err == f"error: {out}: no such file of trajectories\n"
    main(["generate", str(out), "--count", "5"])
    for given in (["generate", str(out)], ["astar", str(folder), str(folder.parent / "solutions.csv"), str(out)]):
        assert main(given) == 1
        assert "is there already, and nothing is written over" in capsys.readouterr().err
    assert main(["generate", str(out) + "2", "--rates", "2"]) == 1
    assert "noise rates [2.0]" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "minari", None)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert main(["export-minari", str(out), "x-v0"]) == 1
    assert "pip install 'laser_lit[minari]'" in capsys.readouterr().err
