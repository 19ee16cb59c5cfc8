"""Commands in processes of their own: several at once, killed, interrupted."""

import json
import signal

import pandas as pd
import pytest
from checkpoints import save_data
from commands import stop, wait_for
from interventions import saved_reft

from laser_lit.results.store import ResultsStore

DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
EDIT = ("laser=single", "laser.layer=1", "laser.matrix=mlp", "laser.rank=3")
QUIET = ("logger=none", "controls=false", "analysis.mechanism=false")  # both need all logits in one process

pytestmark = pytest.mark.slow


def finished(process, seconds=200):
    """Returns the output of a process that ends well and says nothing on stderr."""
    out, err = process.communicate(timeout=seconds)
    assert process.returncode == 0, err
    assert err == ""
    return out


def assert_same(one, two):
    tables = [pd.read_parquet(folder / "predictions.parquet") for folder in (one, two)]
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=1e-5)
    for name in ("base_correct", "laser_correct", "base_prediction", "laser_prediction"):
        assert tables[0][name].equals(tables[1][name])
    records = [json.loads((folder / "result.json").read_text()) for folder in (one, two)]
    assert records[0]["config_hash"] == records[1]["config_hash"]
    for who in ("base", "laser"):
        known = [{name: entry for name, entry in record[who].items() if entry is not None} for record in records]
        assert known[0] == pytest.approx(known[1], rel=1e-5, abs=1e-5)
    return records


@pytest.mark.parametrize("kind", ["token", "choice", "generate", "text"])
def test_two_processes_give_the_numbers_of_one(evaluate, start, tmp_path, gptj, files, kind):
    line = ["model=local", f"model.path={gptj}", *files[kind], *EDIT, *QUIET, "batch_size=5"]  # batches: an odd number
    alone = evaluate(*line)
    run = tmp_path / "both"
    out = finished(start(*line, *DDP, f"hydra.run.dir={run}", f"paths.results={tmp_path / 'shared'}"))
    records = assert_same(alone.folder, run)
    assert out.count("Base against LASER") == 1
    assert {path.name for path in run.iterdir()} == {
        *(".hydra", "evaluate.log"),
        *("result.json", "predictions.parquet", "stack.yaml", "report.html"),
    }
    assert not (tmp_path / "outputs").exists()
    assert [record["test_opened"] for record in records] == [1, 1]


def test_two_processes_after_the_base_was_kept_by_one(evaluate, start, tmp_path, local):
    alone = evaluate(*local, *QUIET)  # leaves its base tables in `results`
    run = tmp_path / "both"
    finished(start(*local, *QUIET, *DDP, f"hydra.run.dir={run}", f"paths.results={tmp_path / 'results'}"))
    records = assert_same(alone.folder, run)
    assert records[1]["test_opened"] == 2


def test_two_processes_score_interventions_as_one_does(evaluate, start, tmp_path, gptj, local):
    line = [*local, *QUIET, f"reft.path={saved_reft(gptj, tmp_path / 'reft')}", "batch_size=5"]
    run = tmp_path / "both"
    alone = evaluate(*line)
    out = finished(start(*line, *DDP, f"hydra.run.dir={run}", f"paths.results={tmp_path / 'shared'}"))
    records = assert_same(alone.folder, run)
    assert out.count("LASER + ReFT over LASER alone") == 1
    for who in ("reft", "laser_reft"):
        numbers = [record["reft"]["test"][who]["log_loss"] for record in records]
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-5)


def test_more_processes_than_batches(evaluate, start, tmp_path, local):
    run = tmp_path / "both"
    finished(start(*local, *QUIET, *DDP, "data.limit=4", "batch_size=64", f"hydra.run.dir={run}"))
    assert_same(evaluate(*local, *QUIET, "data.limit=4").folder, run)


def test_two_processes_stop_together_at_an_error(start, local):
    process = start(*local, *DDP, "data.limit=1")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "raise data.limit" in err
    assert out == ""


def test_two_processes_train_a_missing_model_once(start, tmp_path):
    tiny = ("data.world.subjects=12", "model.facts.steps=6", "model.facts.width=16", "model.facts.heads=2")
    run = tmp_path / "both"
    out = finished(start(*tiny, *QUIET, *DDP, f"hydra.run.dir={run}"))
    assert out.count("Training the built-in facts model") == 1
    assert json.loads((run / "result.json").read_text())["gain"]["n"] > 0


@pytest.fixture
def long(tmp_path, gptj):
    """Returns what to type for a run that takes a while."""
    file = save_data(tmp_path / "many", n=2000) / "token.json"
    return ["model=local", f"model.path={gptj}", "data=counterfact", f"data.path={file}", *EDIT, *QUIET]


def test_a_killed_run_leaves_a_folder_that_the_next_run_can_use(evaluate, start, tmp_path, long):
    process = start(*long, "batch_size=1", "paths.results=kept")
    wait_for(process, tmp_path / "kept", "openings-*")  # validation is scored, test has begun
    stop(process)
    assert process.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob("outputs/*/*/result.json"))
    assert ResultsStore(tmp_path / "kept").pieces() == {}
    again = tmp_path / "again"
    finished(start(*long, "paths.results=kept", f"hydra.run.dir={again}"))
    _, record = assert_same(evaluate(*long).folder, again)
    assert record["test_opened"] == 2  # the killed run had looked


def test_a_launcher_runs_jobs_side_by_side(start, tmp_path, local):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install 'laser_lit[launch]'")
    launcher = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep")
    process = start(*launcher, *local[:-1], *QUIET, "laser.rank=3,5")
    process.communicate(timeout=120)
    assert process.returncode == 0
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("sweep/*/result.json"))]
    assert [record["edits"][0]["rank"] for record in records] == [3, 5]
    assert records[0]["base"] == records[1]["base"]


@pytest.mark.parametrize("processes", [(), DDP], ids=["one", "two"])
def test_an_interrupt_ends_a_run_in_one_line(start, tmp_path, long, processes):
    process = start(*long, *processes, "batch_size=1", "paths.results=kept")
    wait_for(process, tmp_path / "kept", "openings-*")
    err = stop(process, signal.SIGINT)
    assert process.returncode == 130
    assert set(err.split()) == {"interrupted"}
    assert not list(tmp_path.glob("outputs/*/*/result.json"))
