"""The built-in world: trained when it is missing, kept, and shown to gain by LASER."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from laser_lit import main
from laser_lit.lit import facts_training
from laser_lit.lit.facts_folder import is_complete

TINY = ("data.world.subjects=12", "model.facts.steps=6", "model.facts.layers=3", "model.facts.batch_size=16")
SMALL = (*TINY, "model.facts.width=16", "model.facts.heads=2", "model.facts.warmup=1")


def models():
    return [path for path in Path(os.environ["LASER_LIT_CACHE"], "models").iterdir() if path.is_dir()]


def test_the_model_is_trained_once_and_kept(evaluate, capsys, monkeypatch):
    first = evaluate(*SMALL)
    (folder,) = models()
    assert is_complete(folder)
    said = capsys.readouterr().out
    assert said.count("Training the built-in facts model") == 1
    assert str(folder) in said
    monkeypatch.setattr(facts_training, "train_facts", lambda *args, **kwargs: pytest.fail("trained again"))
    second = evaluate(*SMALL)
    assert "Training" not in capsys.readouterr().out
    assert second.record["base"] == first.record["base"]
    assert first.record["model"]["id"] == "facts"
    assert first.record["model"]["architecture"] == "gptj"


def test_bare_evaluation_takes_the_first_edit_of_the_frozen_stack(evaluate):
    record = evaluate(*SMALL).record
    assert [(edit["layer"], edit["matrix"], edit["rank"]) for edit in record["edits"]] == [(2, "fc_in", 1)]
    assert "stack_top3" in record["stack"]["provenance"]
    assert len(record["controls"]) >= 5
    assert len(evaluate(*SMALL, "laser=stack_top3", "controls=false").record["edits"]) == 3


def test_another_world_is_another_model(evaluate):
    evaluate(*SMALL, "laser=none")
    evaluate(*SMALL, "laser=none", "data.world.noise=0.1")
    assert len(models()) == 2


def test_training_by_itself(command, tmp_path):
    said = command(*SMALL, "logger.wandb=false", "trainer.progress_bar=false", entry=main.train)
    assert said.code == 0, said.err
    assert "final loss" in said.out
    assert len(models()) == 1
    rows = [path.read_text().splitlines() for path in Path("outputs").rglob("metrics.csv")]
    assert rows
    assert "train/loss" in rows[0][0]
    again = command(*SMALL, "logger.wandb=false", entry=main.train)
    assert "already trained" in again.out


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Returns a function that runs the bare command in a folder and a cache of its own."""
    folder, cache = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("demo_cache")
    script = Path(__file__).resolve().parents[2] / "evaluate.py"

    def run():
        environment = os.environ | {"LASER_LIT_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stderr
        newest = max(folder.glob("outputs/*/*/result.json"), key=lambda path: path.stat().st_mtime_ns)
        return done, json.loads(newest.read_text()), cache, folder / "results"

    return run


@pytest.mark.slow
def test_the_demo_gains_and_a_second_run_trains_and_scores_nothing_twice(demo):
    done, record, cache, results = demo()
    assert "Training the built-in facts model" in done.stdout
    assert done.stderr == ""
    assert record["gain"]["accuracy"] >= 0.15
    assert record["gain"]["p"] < 1e-4
    assert record["gain"]["n_groups"] > 700
    assert record["validation"]["gain"]["accuracy"] > 0.15
    zeroed = next(control for control in record["controls"] if control["name"] == "same matrices zeroed")
    pruned = next(control for control in record["controls"] if control["name"].startswith("pruned"))
    assert max(zeroed["accuracy"], pruned["accuracy"]) < record["laser"]["accuracy"] - 0.1
    assert f"{record['laser']['accuracy']:.1%}".replace("%", " %") in done.stdout
    kept = [path for folder in (cache / "models", results) for path in folder.rglob("*") if path.suffix != ".jsonl"]
    made = {path: path.stat().st_mtime_ns for path in kept if path.is_file()}
    factors = set(cache.glob("factors/*"))
    assert {path.suffix for path in made} >= {".safetensors", ".parquet"}

    again, second, *_ = demo()
    assert "Training" not in again.stdout
    assert {path: path.stat().st_mtime_ns for path in made} == made  # nothing was trained or scored a second time
    assert set(cache.glob("factors/*")) == factors
    for name in ("base", "laser", "gain", "validation", "controls", "config_hash"):
        assert second[name] == record[name]
    assert second["test_opened"] == record["test_opened"] + 1


@pytest.mark.slow
def test_the_world_with_a_distractor_of_the_same_relation(evaluate):
    record = evaluate("model=facts_distractor").record
    assert record["data"]["name"] == "facts_distractor"
    assert record["gain"]["accuracy"] > 0.05
    assert record["gain"]["p"] < 1e-4
