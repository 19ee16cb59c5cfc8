"""Trainings of interventions in processes of their own: killed ones, and two at once."""

import json
from functools import partial

import pandas as pd
import pytest
import torch
from commands import stop, wait_for
from safetensors.torch import load_file

QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false")
BOTH = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")

pytestmark = pytest.mark.slow


@pytest.fixture
def begin(start):
    """Returns a function that starts train.py in a process of its own."""
    return partial(start, script="train.py")


@pytest.fixture
def typed(gptj, tmp_path):
    """Returns what to type for questions of one word to four and answers of one."""
    words = [" ".join(f"w{n + i}" for i in range(1 + n % 4)) for n in range(24)]
    rows = [{"question": question, "label": f"w{n}"} for n, question in enumerate(words)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = ("data=jsonl", f"data.path={tmp_path / 'rows.jsonl'}", "data.prompt='{question}'", "data.answer=label")
    settings = ("reft.split=all", "reft.positions=f3+l3", "reft.share=none", "reft.rank=2", "reft.learning_rate=0.01")
    return ["task=reft", "model=local", f"model.path={gptj}", *data, *settings]


def finished(process):
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out


def trained(folder):
    """Returns the tensors and the curve of the one training in a folder."""
    (file,) = folder.rglob("*-*/*.safetensors")
    curve = json.loads(file.with_name("training.json").read_text())["curve"]
    return load_file(file), curve


@pytest.mark.parametrize("type", ["loreft", "lora"])
def test_a_killed_training_goes_on_to_the_same_bits(begin, typed, tmp_path, type):
    line = [
        *typed,
        *QUIET,
        f"reft={type}",
        "reft.dropout=0.1",
        "reft.steps=150",
        "reft.save_every=5",
        "reft.holdout=0.2",
    ]
    whole = finished(begin(*line, "paths.results=whole"))
    assert "training begins" in whole
    process = begin(*line, "paths.results=twice")
    wait_for(process, tmp_path, "twice/*/last.ckpt")
    stop(process)
    assert not list((tmp_path / "twice").rglob("*.safetensors"))
    assert "training goes on after step " in finished(begin(*line, "paths.results=twice"))
    (one, curve), (two, again) = (trained(tmp_path / name) for name in ("whole", "twice"))
    assert curve == again
    assert len(curve) == 151
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


@pytest.mark.parametrize("type", ["loreft", "lora"])
def test_two_processes_are_one_with_twice_the_batch(begin, typed, tmp_path, type):
    line = [*typed, f"reft={type}", "reft.dropout=0", "reft.holdout=0.3", "reft.steps=6", "reft.save_every=3"]
    out = finished(begin(*line, *BOTH, "trainer.progress_bar=false", "reft.batch_size=1", "paths.results=both"))
    assert out.count("trainable parameters") == 1
    finished(begin(*line, *QUIET, "reft.batch_size=2", "paths.results=one"))
    (one, curve), (two, other) = (trained(tmp_path / name) for name in ("one", "both"))
    pd.testing.assert_frame_equal(pd.DataFrame(curve), pd.DataFrame(other), rtol=0, atol=1e-5)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-4)
    assert not list(tmp_path.rglob("last.ckpt"))
