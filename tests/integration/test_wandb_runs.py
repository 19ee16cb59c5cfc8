"""What an evaluation, a search and trainings leave on W&B, read back from their offline runs."""

import json
from pathlib import Path

import pytest
import wandb
from offline_runs import offline_run

from laser_lit import main
from laser_lit.results.logged_run import read_logged_run

LOGGED = ("logger.csv=false", "logger.wandb=true", "controls=false")
TRAINED = ("logger=default", "logger.csv=false", "hydra.run.dir=run")
REFT = ("task=reft", "reft.split=all", "reft.steps=4", "reft.batch_size=2", "reft.show=2", "reft.holdout=0.3")


@pytest.fixture
def model(local):
    return local[:-4]  # without the edit


def read(folder):
    """Returns the offline run of a job."""
    wandb.teardown()  # its service writes the last bytes
    return offline_run(Path(folder))


def in_folder(folder):
    """Returns the files of a folder by name, as an artifact refers to them."""
    return {str(path.relative_to(folder)): str(path) for path in folder.rglob("*") if path.is_file()}


def test_an_evaluation(evaluate, local, tmp_path):
    job = evaluate(*local, *LOGGED, "controls=true", f"export.path={tmp_path / 'edited'}")
    run, record = read(job.folder), job.record
    assert run.config["config_hash"] == record["config_hash"]
    assert run.config["laser"]["rank"] == 3
    assert run.summary["test/gain/accuracy"] == pytest.approx(record["gain"]["accuracy"])
    assert set(run.tables) >= {"examples", "edits", "controls"}
    assert len(run.tables["examples"]["data"]) == len(job.predictions)
    (edit,) = run.tables["edits"]["data"]
    assert edit[run.tables["edits"]["columns"].index("parameter")] == record["edits"][0]["name"]
    named = {row[0] for row in run.tables["controls"]["data"]}
    assert named >= {"base", "LASER", *(control["name"] for control in record["controls"])}
    edited, controls = run.figures["gain"]["data"]
    assert (edited["y"], edited["x"]) == (["LASER"], [pytest.approx(100 * record["gain"]["accuracy"], abs=1e-4)])
    assert set(controls["y"]) == {control["name"] for control in record["controls"]}
    assert {"run_table", "stack"} == set(run.artifacts)  # the exported weights only where they are asked for
    assert run.artifacts["stack"] == {"stack.yaml": str(job.folder / "stack.yaml")}
    assert (run.about.job_type, run.about.run_group) == ("language", "")
    logged = read_logged_run(job.folder)
    assert (logged.id, logged.media["gain"]) == (run.about.run_id, "plotly-file")


def test_an_export_that_is_asked_for_is_referred_to(evaluate, local, tmp_path):
    folder = tmp_path / "edited"
    job = evaluate(*local, *LOGGED, f"export.path={folder}", "logger.artifacts=[export]")
    run = read(job.folder)
    assert set(run.artifacts) == {"run_table", "export"}
    assert run.artifacts["export"] == in_folder(folder)
    assert "model.safetensors" in run.artifacts["export"]


@pytest.mark.parametrize("asked", [False, True])
def test_an_edited_checkpoint_has_a_run_only_where_it_is_asked_for(evaluate, gptj, tmp_path, asked):
    folder = tmp_path / "edited"
    edit = ("laser=single", "laser.layer=1", "laser.matrix=fc_in", "laser.rank=3")
    typed = ("task=edit_checkpoint", "model=local", f"model.path={gptj}", *edit, f"export.path={folder}")
    job = evaluate(*typed, *LOGGED[:2], *(["logger.artifacts=[export]"] if asked else []))
    assert (read_logged_run(job.folder) is not None) == asked
    if asked:
        run = read(job.folder)
        assert run.artifacts["export"] == in_folder(folder)
        assert run.about.job_type == "edit_checkpoint"


def test_a_search(evaluate, model):
    job = evaluate(*model, *LOGGED, "search=grid", "search.rank=[2,8]", "search.matrices=[fc_in,out_proj]")
    run = read(job.folder)
    assert run.summary["search/candidates"] == 12
    assert len(run.tables["search/cells"]["data"]) == 12
    assert set(run.figures) >= {"gain", "search/map", "search/cost"}
    assert run.artifacts["stack"] == {"stack.yaml": str(job.folder / "stack.yaml")}
    assert run.about.display_name.endswith("search grid")


def test_a_training_of_interventions(command, gptj, files):
    typed = (*REFT, "model=local", f"model.path={gptj}", *files["generate"], "trainer=cpu")
    said = command(*typed, *TRAINED, "trainer.progress_bar=false", entry=main.train)
    assert said.code == 0, said.err
    run, record = read("run"), json.loads(Path("run/training.json").read_text())
    assert run.config["reft"]["steps"] == 4
    told = {row["trainer/global_step"]: row["train/loss"] for row in run.history if "train/loss" in row}
    assert told == {row["step"]: row["train/loss"] for row in record["curve"] if "train/loss" in row}
    assert len(told) == 4
    assert run.summary["training/parameters"] == record["parameters"]
    assert run.summary["training/validation_loss_last"] == pytest.approx(record["validation_loss"]["last"])
    assert len(run.tables["training/losses"]["data"]) == len(record["curve"])
    assert len(run.tables["training/answers"]["data"]) == 2
    train, held_out = run.figures["training/curve"]["data"]
    assert train["x"] == [1, 2, 3, 4]
    assert held_out["y"][-1] == pytest.approx(record["validation_loss"]["last"], abs=1e-5)
    assert run.artifacts["adapter"] == in_folder(Path(record["path"]))
    assert run.about.job_type == "reft-training"


@pytest.mark.parametrize("asked", [False, True])
def test_a_finetuned_model_is_sent_only_where_it_is_asked_for(command, gptj, files, tmp_path, asked):
    file = tmp_path / "unfrozen.yaml"
    file.write_text("unfrozen_parameters:\n- transformer.h.1.mlp.fc_in\n")
    typed = ("task=finetune", "model=local", f"model.path={gptj}", *files["text"], f"finetune.unfrozen={file}")
    fast = ("finetune.steps=2", "finetune.batch_size=2", "trainer=cpu", "trainer.progress_bar=false")
    kinds = ["logger.artifacts=[model]"] if asked else []
    said = command(*typed, *fast, *TRAINED, *kinds, entry=main.train)
    assert said.code == 0, said.err
    run, record = read("run"), json.loads(Path("run/training.json").read_text())
    assert run.artifacts.get("model") == (in_folder(Path(record["path"])) if asked else None)
    assert set(run.figures) == {"training/curve"}


def test_the_built_in_model(command):
    small = ("model.facts.steps=3", "model.facts.layers=1", "model.facts.width=16", "trainer.progress_bar=false")
    said = command(*small, *TRAINED, entry=main.train)
    assert said.code == 0, said.err
    run = read("run")
    assert run.summary["training/final_loss"] == pytest.approx(float(run.summary["train/loss"]), rel=1e-4)
    assert any("train/loss" in row for row in run.history)
    assert run.about.job_type == "facts-training"
    assert run.artifacts == {}


def test_the_jobs_of_a_multirun_are_one_group(command, local):
    said = command("-m", *local[:-1], "logger.csv=false", "controls=false", "laser.rank=3,5", "hydra.sweep.dir=ranks")
    assert said.code == 0, said.err
    runs = [read(f"ranks/{job}") for job in (0, 1)]
    assert [run.about.run_group for run in runs] == ["ranks", "ranks"]
    assert [run.config["laser"]["rank"] for run in runs] == [3, 5]
    assert [read_logged_run(Path(f"ranks/{job}")).group for job in (0, 1)] == ["ranks", "ranks"]


def test_a_result_is_logged_though_its_export_fails(evaluate, local, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("laser_lit.jobs.export.export_model", fail)
    with pytest.raises(OSError, match="no space left"):
        evaluate(*local, *LOGGED, f"export.path={tmp_path / 'edited'}")
    assert "test/gain/accuracy" in read(tmp_path / "run0").summary
