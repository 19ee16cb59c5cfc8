"""Hydra's multirun: every job leaves its record, and nothing of one job reaches the next."""

import json
from pathlib import Path

import pytest
import wandb

from laser_lit.lit import loggers

QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false", "controls=false")


def records(folder="multirun"):
    """Returns the records of a sweep by job number."""
    return {path.parent.name: json.loads(path.read_text()) for path in Path(folder).glob("*/*/*/result.json")}


def test_every_job_leaves_its_record(command, local):
    said = command("-m", *local[:-1], *QUIET, "laser.rho=0.1,0.5", "seed=0,1")
    assert said.code == 0, said.err
    found = records()
    assert sorted(found) == ["0", "1", "2", "3"]
    typed = {job: (record["edits"][0]["rank"], record["seed"]) for job, record in found.items()}
    assert typed == {"0": (3, 0), "1": (3, 1), "2": (16, 0), "3": (16, 1)}
    assert len({record["config_hash"] for record in found.values()}) == 4
    assert found["0"]["base"] == found["2"]["base"]
    assert [found[job]["test_opened"] for job in "0123"] == [1, 1, 2, 2]  # by split
    for job in "0123":
        (folder,) = Path("multirun").glob(f"*/*/{job}")
        assert {"stack.yaml", "predictions.parquet", "report.html", "evaluate.log"} <= {
            p.name for p in folder.iterdir()
        }


def test_a_job_that_fails_leaves_the_others_alone(command, local):
    said = command("-m", *local[:-1], *QUIET, "laser.rank=3,99,5")
    assert said.code == 1
    assert "Traceback" not in said.err
    assert "rank 99" in said.err
    assert {record["edits"][0]["rank"] for record in records().values()} == {3, 5}


@pytest.mark.parametrize("typed", [["trainer.devices=2"], ["trainer=ddp", "trainer.accelerator=cpu"]])
def test_several_devices_are_refused(command, local, typed):
    quiet = QUIET if typed[0] != "trainer=ddp" else QUIET[:1]
    said = command("-m", *local[:-1], *quiet, *typed, "laser.rank=3,5")
    assert said.code == 1
    assert "Traceback" not in said.err
    assert "-m with trainer.devices=2" in said.err
    assert "launcher" in said.err
    assert records() == {}
    assert not Path("results").exists()


@pytest.mark.slow
def test_each_job_has_its_own_finished_run_on_wandb(command, local, monkeypatch):
    kept = []
    finish = loggers.finish_loggers

    def finish_and_look(made):
        said = finish(made)
        kept.append((said, wandb.run))
        return said

    monkeypatch.setattr("laser_lit.jobs.log.finish_loggers", finish_and_look)
    said = command("-m", *local[:-1], *QUIET[1:], "laser.rank=3,5", "logger.group=sweep")
    wandb.teardown()  # its service writes the last bytes
    assert said.code == 0, said.err
    assert said.err == ""
    assert [run for _, run in kept] == [None, None]
    files = sorted(Path("multirun").rglob("run-*.wandb"))
    assert [file.parents[2].name for file in files] == ["0", "1"]
    assert len({file.name for file in files}) == 2
    for (lines, _), file in zip(kept, files, strict=True):
        assert lines == [f"W&B, offline: wandb sync {file.parent.resolve()}"]
        content = file.read_bytes()
        assert content.startswith(b":W&B")
        assert all(name in content for name in (b"test/gain/accuracy", b"sweep", b"config_hash", b"stack.yaml"))
    assert said.out.count("wandb sync") == 2
