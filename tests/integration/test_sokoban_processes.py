"""Trainings of policies in processes of their own: killed ones, two at once, and evaluations that miss one."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from commands import stop, wait_for
from safetensors.torch import load_file
from sokoban_settings import ROOMS, sokoban_config

from laser_lit import main
from rl.jobs import train as job

FEW = ("data.levels.validation=10", "data.levels.test=10", "data.trajectories.count=80")
SMALL = (*FEW, "policy.hidden=16", "policy.heads=2", "policy.layers=1", "policy.batch_steps=64", "policy.warmup=0")
LINE = ("task=sokoban", *ROOMS, *SMALL, "logger=none", "trainer.progress_bar=false")
BOTH = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")

pytestmark = pytest.mark.slow


@pytest.fixture
def begin(start):
    """Returns a function that starts train.py in a process of its own."""
    return partial(start, script="train.py")


def finished(process):
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out


def trained(folder):
    """Returns the tensors and the curve of a policy."""
    return load_file(folder / "model.safetensors"), json.loads((folder / "training.json").read_text())["curve"]


def test_a_killed_training_goes_on_to_the_same_bits(begin, tmp_path, monkeypatch):
    line = (*LINE, "trainer=cpu", "policy.steps=300", "policy.save_every=5")
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path / "cache1"))
    assert "training begins" in finished(begin(*line, "policy.path=whole"))
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path / "cache2"))
    process = begin(*line, "policy.path=twice")
    wait_for(process, tmp_path, "cache2/models/*/last.ckpt")
    stop(process)
    assert not (tmp_path / "twice").exists()
    assert "training goes on after step " in finished(begin(*line, "policy.path=twice"))
    (one, curve), (two, again) = trained(tmp_path / "whole"), trained(tmp_path / "twice")
    assert curve == again
    assert len(curve) == 301
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []
    assert not list(tmp_path.rglob("last.ckpt"))


def test_two_processes_are_one_that_takes_two_packs_a_step(begin, tmp_path, monkeypatch):
    line = (*LINE, "policy.steps=6", "policy.save_every=3")
    out = finished(begin(*line, *BOTH, "policy.path=both"))
    assert out.count("trained on rooms") == 1
    settings = job._finetuning
    monkeypatch.setattr(job, "_finetuning", lambda given: replace(settings(given), accumulate=2))
    places = (f"policy.path={tmp_path / 'one'}", f"paths.output={tmp_path / 'run'}")
    main.run_job(sokoban_config(*LINE[len(ROOMS) + 1 :], *places, *line[len(LINE) :], command="train"))
    (one, curve), (two, other) = trained(tmp_path / "one"), trained(tmp_path / "both")
    pd.testing.assert_frame_equal(pd.DataFrame(curve), pd.DataFrame(other), rtol=0, atol=1e-5)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-4)


def test_of_two_evaluations_that_miss_a_policy_one_trains_and_the_other_waits(start, tmp_path):
    line = (*LINE, "trainer=cpu", "policy.steps=200", "laser=none")
    processes = [start(*line, f"hydra.run.dir=run{number}") for number in range(2)]
    outs = [finished(process) for process in processes]
    assert sorted("training begins" in out for out in outs) == [False, True]
    records = [json.loads((tmp_path / f"run{number}/result.json").read_text()) for number in range(2)]
    assert records[0]["config_hash"] == records[1]["config_hash"]
    assert Path(records[0]["config"]["model"]["path"]) == Path(records[1]["config"]["model"]["path"])
