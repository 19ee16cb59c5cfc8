"""Sokoban on levels of files, as data=boxoban types them, and what a training tells its loggers."""

import json
from pathlib import Path

import pandas as pd
import pytest
import wandb
from offline_runs import records
from sokoban_settings import ROOMS
from wandb.proto import wandb_internal_pb2

from rl.sokoban.level import read_levels, room_split, write_levels
from rl.sokoban.rooms import generate_levels
from rl.sokoban.solver import solve

TINY = ("data.trajectories.count=40", "policy.hidden=16", "policy.heads=2", "policy.layers=1", "policy.steps=4")
QUICK = (*TINY, "policy.batch_steps=64", "policy.save_every=2", "policy.warmup=0", "trainer=cpu")
FEW = ("data.levels.validation=10", "data.levels.test=10", "data.levels.max_steps=20")


@pytest.fixture
def file(tmp_path):
    """Returns a file of small levels in Boxoban's format, ten or more a split."""
    parts = (("train", 20), ("validation", 11), ("test", 10))
    levels = [level for split, count in parts for level in generate_levels(1, 6, 1, count, split, 2, 10)]
    write_levels(levels, tmp_path / "000.txt")
    return tmp_path / "000.txt"


def test_levels_of_a_file_are_played_by_the_solver_and_learned_from(command, file, tmp_path):
    line = ("task=sokoban", "data=boxoban", *FEW, *QUICK, "logger=none", "laser=none")
    said = command(*line, f"data.path={file}", "hydra.run.dir=run")
    assert said.code == 0, said.err
    record, table = json.loads(Path("run/result.json").read_text()), pd.read_parquet("run/predictions.parquet")
    assert (record["data"]["name"], record["data"]["n_validation"], record["data"]["n_test"]) == ("boxoban", 10, 10)
    levels = {level.name: level for level in read_levels(file)}
    for row in table.itertuples():
        assert room_split(levels[row.id].room) == row.split
        assert levels[row.id].room == row.group
        assert len(row.answer) <= 20
    trained = json.loads(next(Path(record["config"]["model"]["path"]).glob("training.json")).read_text())
    assert trained["data"]["trajectories"] == 40
    assert trained["data"]["validation_levels"] == 10
    moved = file.rename(tmp_path / "moved.txt")
    again = command(*line, f"data.path={moved}", "hydra.run.dir=again")
    assert again.code == 0, again.err
    assert "training begins" in said.out
    assert "training" not in again.out
    assert json.loads(Path("again/result.json").read_text())["config_hash"] == record["config_hash"]


def test_solutions_of_a_file_are_trained_on_and_what_is_left_out_is_said(train, file, tmp_path):
    levels = [level for level in read_levels(file) if room_split(level.room) == "train"]
    rows = [f"000,{level.name.partition('#')[2]},NOT_FOUND,NOT_FOUND,1" for level in levels[1:]]
    number = levels[0].name.partition("#")[2]
    digits = solve(levels[0].board).actions.translate(str.maketrans("URDL", "0123"))
    (tmp_path / "astar.csv").write_text(
        "\n".join(["File,Level,Actions,Steps,SearchSteps", f"000,{number},{digits},1,1", *rows])
    )
    line = ("task=sokoban", "data=boxoban", *FEW, *QUICK, f"data.path={file}")
    said = train(*line, f"data.trajectories.solutions={tmp_path / 'astar.csv'}", "hydra.run.dir=run")
    assert said.code == 0, said.err
    record = json.loads(Path("run/training.json").read_text())
    assert (record["data"]["trajectories"], record["data"]["steps"]) == (1, len(digits))
    assert "solutions of 1 of 20 levels; left out NOT_FOUND: 19" in " ".join(said.out.split())


def test_the_share_of_solved_levels_is_on_wandb(train):
    said = train("task=sokoban", *ROOMS, *FEW, *QUICK, "logger=default", "logger.csv=false", "hydra.run.dir=run")
    assert said.code == 0, said.err
    wandb.teardown()  # its service writes the last bytes
    (file,) = Path("run").rglob("run-*.wandb")
    history = [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.item}
        for kind, record in records(file, wandb_internal_pb2)
        if kind == "history"
    ]
    curve = json.loads(Path("run/training.json").read_text())["curve"]
    told = [row["validation/solved"] for row in history if "validation/solved" in row]
    assert told == [row["validation/solved"] for row in curve if "validation/solved" in row]
    assert len(told) == 3
    assert f"W&B, offline: wandb sync {file.parent.resolve()}" in said.out
