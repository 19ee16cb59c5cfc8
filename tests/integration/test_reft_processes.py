"""Trainings of interventions in processes of their own: killed ones, and two at once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false")
BOTH = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")

pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path):
    """Returns a function that starts train.py in a process group of its own; what still runs is killed."""
    started = []

    def run(*arguments):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *arguments],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


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
def test_a_killed_training_goes_on_to_the_same_bits(start, typed, tmp_path, type):
    line = [
        *typed,
        *QUIET,
        f"reft={type}",
        "reft.dropout=0.1",
        "reft.steps=150",
        "reft.save_every=5",
        "reft.holdout=0.2",
    ]
    whole = finished(start(*line, "paths.results=whole"))
    assert "training begins" in whole
    process = start(*line, "paths.results=twice")
    while process.poll() is None and not list(tmp_path.glob("twice/*/last.ckpt")):
        pass
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=100)
    assert not list((tmp_path / "twice").rglob("*.safetensors"))
    assert "training goes on after step " in finished(start(*line, "paths.results=twice"))
    (one, curve), (two, again) = (trained(tmp_path / name) for name in ("whole", "twice"))
    assert curve == again
    assert len(curve) == 151
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


@pytest.mark.parametrize("type", ["loreft", "lora"])
def test_two_processes_are_one_with_twice_the_batch(start, typed, tmp_path, type):
    line = [*typed, f"reft={type}", "reft.dropout=0", "reft.holdout=0.3", "reft.steps=6", "reft.save_every=3"]
    out = finished(start(*line, *BOTH, "trainer.progress_bar=false", "reft.batch_size=1", "paths.results=both"))
    assert out.count("trainable parameters") == 1
    finished(start(*line, *QUIET, "reft.batch_size=2", "paths.results=one"))
    (one, curve), (two, other) = (trained(tmp_path / name) for name in ("one", "both"))
    pd.testing.assert_frame_equal(pd.DataFrame(curve), pd.DataFrame(other), rtol=0, atol=1e-5)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-4)
    assert not list(tmp_path.rglob("last.ckpt"))
