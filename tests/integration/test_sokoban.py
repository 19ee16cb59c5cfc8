"""Sokoban as it is typed: a policy is trained, searched, edited, exported and scored again, on small rooms."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers
import yaml
from sokoban_settings import ROOMS, TRAINED, sokoban_config

from laser_lit import main
from laser_lit.errors import InputError
from laser_lit.results.cells import read_cells
from rl.decision_transformer import load_policy

GRID = ("search.rank=[4,16]", "search.matrices=[fc_in,out_proj]")
EDIT = ("laser=single", "laser.layer=1", "laser.matrix=fc_in", "laser.rank=4")
TINY = ("data.trajectories.count=40", "policy.hidden=16", "policy.heads=2", "policy.layers=1", "policy.steps=4")
QUICK = (*TINY, "policy.batch_steps=64", "policy.save_every=2", "policy.warmup=0")
FEW = ("data.levels.validation=20", "data.levels.test=20")


@pytest.fixture(scope="session")
def policy(tmp_path_factory):
    """Returns the folder of a policy that solves about half of its levels, trained by the job of train.py."""
    folder = tmp_path_factory.mktemp("sokoban")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASER_LIT_CACHE", str(folder / "cache"))
        places = (f"policy.path={folder / 'policy'}", f"paths.output={folder / 'run'}")
        main.run_job(sokoban_config(*TRAINED, *places, "trainer.progress_bar=false", command="train"))
    return folder / "policy"


@pytest.fixture
def typed(policy):
    """Returns what to type to evaluate that policy on few levels."""
    return ["task=sokoban", *ROOMS, *FEW, f"model.path={policy}"]


def scores(run, who):
    """Returns the columns of a run that are of its base or of LASER, without saying so."""
    table = run.predictions.set_index(["split", "id"])
    return table[[name for name in table if name.startswith(f"{who}_")]].rename(columns=lambda name: name[len(who) :])


def test_a_search_on_a_trained_policy_leaves_a_whole_run(command, policy):
    many = ("data.levels.validation=80", "data.levels.test=80")
    line = ("task=sokoban", *ROOMS, *many, f"model.path={policy}", "search=grid", *GRID, "trainer=cpu")
    said = command(*line, "logger=none", "hydra.run.dir=run")
    assert said.code == 0, said.err
    run = Path("run")
    files = {"result.json", "predictions.parquet", "stack.yaml", "cells.parquet", "report.html"}
    assert files <= {path.name for path in run.iterdir()}
    record, table, cells = (
        json.loads((run / "result.json").read_text()),
        pd.read_parquet(run / "predictions.parquet"),
        read_cells(run),
    )
    trained = json.loads((policy / "training.json").read_text())
    assert record["validation"]["base"]["accuracy"] > 0.3
    assert record["base"]["accuracy"] > 0.3
    assert record["validation"]["base"]["accuracy"] == trained["validation_solved"][str(trained["target_return"])]
    assert (record["task"], record["model"]["architecture"]) == ("sokoban", "decision_transformer")
    assert (record["data"]["n_validation"], record["data"]["n_test"]) == (80, 80)
    assert record["model"]["target_return"] == trained["target_return"]
    assert record["search"]["scored"] == len(cells) == 8
    assert cells["complete"].all()
    for split, result in (("test", record), ("validation", record["validation"])):
        rows = table[table["split"] == split]
        assert len(rows) == 80
        assert result["base"]["accuracy"] == rows["base_correct"].astype(float).mean()
        assert result["base"]["log_loss"] == pytest.approx(rows["base_log_loss"].mean())
    assert set(table.loc[table["split"] == "test", "group"]).isdisjoint(
        table.loc[table["split"] == "validation", "group"]
    )
    (edit,) = record["edits"]
    (kept,) = yaml.safe_load((run / "stack.yaml").read_text())["edits"]
    assert (edit["layer"], edit["matrix"], edit["rank"]) == (kept["layer"], kept["matrix"], kept["rank"])
    assert record["config_hash"] in (run / "report.html").read_text(encoding="utf-8")
    assert "Base against LASER" in said.out
    assert "steps over optimal" in said.out


@pytest.mark.parametrize("driver", ["auto", "gradient", "greedy", "racing", "optuna"])
def test_every_driver_runs_from_end_to_end(evaluate, typed, driver):
    few = ("search.verify=2", "search.trials=3", "search.steps=2", "search.examples=10", "search.budget=0.5")
    run = evaluate(*typed, f"search={driver}", *GRID, *few)
    search, cells = run.record["search"], read_cells(run.folder)
    assert search["driver"] == ("racing" if driver == "auto" else driver)
    assert search["candidates"] == 8
    assert search["scored"] == cells["complete"].sum() >= 1
    if driver in ("gradient", "greedy"):
        assert cells["predicted"].notna().any()
    if search["chosen"] is not None:
        assert run.record["validation"]["laser"]["accuracy"] == pytest.approx(search["chosen"])


@pytest.mark.parametrize(("driver", "own"), [("rmt", "search.max_mod=2"), ("snr", "search.k=2")])
def test_the_drivers_with_a_rank_rule_run_from_end_to_end(evaluate, typed, driver, own):
    run = evaluate(*typed, f"search={driver}", own)
    assert run.record["search"]["driver"] == driver
    assert run.record["search"]["scored"] == read_cells(run.folder)["complete"].sum()


def test_shards_and_collect_choose_what_one_job_chooses(evaluate, typed, tmp_path):
    whole = evaluate(*typed, "search=grid", *GRID, f"paths.results={tmp_path / 'whole'}")
    for shard in range(2):
        part = evaluate(*typed, "search=grid", *GRID, "search.shards=2", f"search.shard={shard}")
        assert not (part.folder / "result.json").exists()
    collected = evaluate(*typed, "search=collect", *GRID)
    assert collected.record["edits"] == whole.record["edits"]
    columns = ["edits", "n", "accuracy", "log_loss", "p", "p_adjusted"]
    pd.testing.assert_frame_equal(read_cells(collected.folder)[columns], read_cells(whole.folder)[columns])


def test_a_second_search_scores_nothing_and_says_the_same(evaluate, typed, monkeypatch):
    first = evaluate(*typed, "search=grid", *GRID)
    monkeypatch.setattr("rl.task.SokobanScorer.score", lambda *_: pytest.fail("scored again"))
    second = evaluate(*typed, "search=grid", *GRID)
    pd.testing.assert_frame_equal(read_cells(first.folder), read_cells(second.folder))
    assert second.record["edits"] == first.record["edits"]


def test_an_edit_is_applied_again_from_its_manifest(evaluate, typed):
    first = evaluate(*typed, *EDIT)
    again = evaluate(*typed, "laser=file", f"laser.path={first.folder / 'stack.yaml'}")
    pd.testing.assert_frame_equal(first.predictions, again.predictions)
    assert first.record["config_hash"] == again.record["config_hash"]
    assert not first.predictions["base_log_loss"].equals(first.predictions["laser_log_loss"])
    assert not again.record["warnings"]
    other = ("task=sokoban", *ROOMS, *FEW, *QUICK, "policy.layers=2")
    line = (*other, "laser=file", f"laser.path={first.folder / 'stack.yaml'}")
    assert any("was made for another policy" in note for note in evaluate(*line).record["warnings"])


def test_an_export_is_the_policy_under_its_edit(evaluate, typed, policy, tmp_path):
    edited = evaluate(*typed, *EDIT, f"export.path={tmp_path / 'export'}")
    exported = load_policy(tmp_path / "export")
    assert exported.shape == load_policy(policy).shape
    card = (tmp_path / "export" / "README.md").read_text()
    assert 'model = AutoModel.from_pretrained("DIR")' in card
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "export").state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in exported.state_dict().items())
    read = evaluate(*typed, f"model.path={tmp_path / 'export'}", f"paths.results={tmp_path / 'fresh'}", "laser=none")
    pd.testing.assert_frame_equal(scores(edited, "laser"), scores(read, "base"))
    assert not scores(edited, "laser").equals(scores(edited, "base"))
    assert read.record["model"]["target_return"] == edited.record["model"]["target_return"]


@pytest.mark.parametrize("kind", ["layout=triples", "conditioned=false"])
def test_every_kind_of_policy_is_trained_where_it_is_missing_and_edited(evaluate, kind, monkeypatch):
    line = ["task=sokoban", *ROOMS, *FEW, *QUICK, f"policy.{kind}"]
    run = evaluate(*line, *EDIT[:1], "laser.layer=0", *EDIT[2:])
    name, _, value = kind.partition("=")
    assert str(run.record["model"][name]).lower() == value
    assert not run.predictions["base_log_loss"].equals(run.predictions["laser_log_loss"])
    monkeypatch.setattr("rl.jobs.train._train", lambda *_: pytest.fail("trained again"))
    asked = (*line, "laser=none", "policy.target_return=-3", "paths.results=other")
    if kind == "conditioned=false":
        with pytest.raises(InputError, match="is told no return"):
            evaluate(*asked)
        return
    other = evaluate(*asked)
    assert run.predictions["base_log_loss"].equals(other.predictions["base_log_loss"])  # it is told the solution's
    assert other.record["model"]["target_return"] == -3


def test_a_named_folder_is_taken_for_the_training_that_it_is_of_alone(command, policy, monkeypatch):
    monkeypatch.setattr("rl.jobs.train._train", lambda *_: pytest.fail("trained again"))
    line = ("task=sokoban", *ROOMS, *TRAINED, f"policy.path={policy}", "laser=none", "trainer=cpu", "logger=none")
    said = command(*line, "hydra.run.dir=run")
    assert said.code == 0, said.err
    other = command(*line, "policy.seed=1", "hydra.run.dir=other")
    assert other.code == 1
    assert f"policy.path={policy} holds a policy that these settings did not train there" in other.err
    assert f"model.path={policy}" in other.err
    assert not Path("other").exists()


def test_a_training_leaves_its_curve_and_is_not_repeated(train, command, monkeypatch):
    line = ("task=sokoban", *ROOMS, *FEW, *QUICK)
    said = train(*line, "logger=csv", "hydra.run.dir=run")
    assert said.code == 0, said.err
    record = json.loads(Path("run/training.json").read_text())
    weights = Path(record["path"]) / "model.safetensors"
    before = weights.stat().st_mtime_ns
    table = pd.read_csv("run/csv/metrics.csv")
    assert table["step"].tolist() == [0, 1, 2, 3, 4] == [row["step"] for row in record["curve"]]
    for name in ("validation/solved", "validation/loss"):
        assert table[name].notna().tolist() == [True, False, True, False, True]
    assert table["validation/solved"].between(0, 1).sum() == 3
    assert set(record["validation_solved"].values()) <= {n / 20 for n in range(21)}
    assert f"{record['data']['steps']:,} steps to learn from" in " ".join(said.out.split())
    again = train(*line)
    assert again.code == 0, again.err
    assert "trained before; remove" in again.out
    monkeypatch.setattr("rl.jobs.train._train", lambda *_: pytest.fail("trained again"))
    assert command(*line, "trainer=cpu", "logger=none", "laser=none", "hydra.run.dir=scored").code == 0
    assert weights.stat().st_mtime_ns == before
    scored = json.loads(Path("scored/result.json").read_text())
    assert scored["model"]["target_return"] == record["target_return"]
    assert scored["validation"]["base"]["accuracy"] == record["validation_solved"][str(record["target_return"])]


def test_other_settings_are_another_training(train):
    line = ("task=sokoban", *ROOMS, *FEW, *QUICK)
    paths = set()
    for changed in ("policy.seed=0", "policy.seed=1", "data.trajectories.generic=0.5", "policy.save_every=3"):
        assert train(*line, changed, "hydra.run.dir=run").code == 0
        paths.add(json.loads(Path("run/training.json").read_text())["path"])
    assert len(paths) == 3  # how often it is looked at changes no training
