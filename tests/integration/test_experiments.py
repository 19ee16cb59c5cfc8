"""Every file of conf/experiment: it composes as it is, and runs where it is made small."""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from laser_lit import main
from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder
from laser_lit.config_errors import check_keys

EXPERIMENTS = sorted(path.stem for path in (config_folder() / "experiment").glob("*.yaml"))
ROWS = [{"instruction": f"w{n} w{n + 1}", "input": "", "output": f"w{n + 2} w{n}", "answer": str(n)} for n in range(12)]
BUILT_IN = ("emoji",)
"""Data that is in no file."""
ELSEWHERE = ("glue",)
"""Trains a classifier: test_reft_glue.py."""
SMALL = ("reft.max_length=60", "reft.steps=2", "reft.batch_size=2", "reft.accumulate=1", "reft.rank=2")
QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false", "paths.results=kept")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_composes_with_values_that_can_be_meant(name):
    register_schemas()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [f"experiment={name}", "paths.output=run"])
    check_keys(config)
    assert config.task.name == "reft"
    assert config.task._target_ == "laser_lit.jobs.reft.run"
    assert config.reft.name == config.reft.type == "loreft"
    assert config.data.name != "facts"  # train.yaml's own


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in ELSEWHERE])
def test_it_runs(command, gptj, name):
    Path("rows.json").write_text(json.dumps(ROWS))
    data = [] if name in BUILT_IN else ["data.path=rows.json"]
    model = ("model=local", f"model.path={gptj}", "reft.layer=[0,-1]", "reft.new_tokens=2")
    said = command(f"experiment={name}", *model, *data, *SMALL, *QUIET, entry=main.train)
    assert said.code == 0, said.err
    (file,) = Path("kept").rglob("reft.safetensors")
    record = json.loads(file.with_name("training.json").read_text())
    assert record["data"]["train"] == (10 if name in BUILT_IN else len(ROWS))
    assert len(record["curve"]) >= 2


def test_it_may_be_a_lora(command, gptj):
    line = ("experiment=emoji", "reft=lora", "model=local", f"model.path={gptj}", "reft.layer=1", *SMALL, *QUIET)
    said = command(*line, entry=main.train)
    assert said.code == 0, said.err
    assert list(Path("kept").rglob("adapter_config.json"))
