"""lm-evaluation-harness and the numbers here: on a model, on an edited one, and as what a search climbs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import transformers
from lm_eval_tasks import save_tasks

from laser_lit import Edit, Stack, find_matrices, load_model
from laser_lit.data.registry import load_data
from laser_lit.errors import InputError
from laser_lit.export.write import export_model
from laser_lit.jobs.harness import harness_environment, read_results
from laser_lit.jobs.lm_eval import compare_tables
from laser_lit.scoring.score import score

pytest.importorskip("lm_eval", reason="lm-eval is not installed")

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("logger.csv=false", "logger.wandb=false", "trainer.accelerator=cpu", "trainer.progress_bar=false")
SHOTS = 1
METRICS = {"choice": "acc", "letters": "acc", "blanks": "acc", "last": "acc", "writes": "exact_match"}
STACK = Stack([Edit(layer=1, matrix="fc_in", rank=2), Edit(layer=2, matrix="q_proj", rank=3)])
EDIT = ("laser=single", "laser.layer=1", "laser.matrix=fc_in", "laser.rank=3")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    return save_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def loaded(gptj):
    return load_model(gptj)


@pytest.fixture(scope="module")
def edited(gptj, tmp_path_factory):
    """Returns the folder of the model with STACK written into its weights."""
    folder = tmp_path_factory.mktemp("exported") / "edited"
    model, tokenizer = load_model(gptj)
    export_model(model, STACK, folder, tokenizer=tokenizer)
    return folder


def harness(model, tasks, folder):
    """Returns what the plain command says, as the documentation has it: typed in a folder without evaluate.py."""
    folder.mkdir()
    line = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={model}"]
    line += ["--tasks", ",".join(METRICS), "--include_path", str(tasks), "--num_fewshot", str(SHOTS)]
    line += ["--batch_size", "5", "--device", "cpu", "--output_path", str(folder / "out"), "--log_samples"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    return read_results(folder / "out")


def part(results, name):
    samples = {identity: sample for identity, sample in results.samples.items() if identity.startswith(name + "/")}
    return type(results)(results.numbers, samples, results.version)


def compare(model, tokenizer, tasks, results):
    """Asserts that every task has the harness's number and log probs; returns the accuracies."""
    found = {}
    for name, metric in METRICS.items():
        data = load_data("lm_eval", task=name, path=str(tasks), num_fewshot=SHOTS)
        kinds = {metric: {}} | ({"acc_norm": {"length_normalize": True}} if name == "choice" else {})
        for asked, options in kinds.items():
            table = score(model, tokenizer, data, **options)
            (row,) = compare_tables(table, part(results, name), asked)
            assert (row.n, row.verdicts) == (24, 0)
            assert row.ours == row.harness, name
            if metric == "exact_match":
                predictions = [results.samples[identity]["filtered_resps"][0] for identity in table["id"]]
                assert list(table["prediction"]) == predictions
                assert len(set(predictions)) > 3
            else:
                assert row.largest_difference < 1e-4
            found[f"{name} {asked}"] = row.ours
    return found


@pytest.mark.slow
def test_the_harness_gets_our_numbers_on_a_model_and_on_an_exported_edit(loaded, edited, gptj, tasks, tmp_path):
    model, tokenizer = loaded
    base = compare(model, tokenizer, tasks, harness(gptj, tasks, tmp_path / "base"))
    theirs = harness(edited, tasks, tmp_path / "edited")
    with STACK.applied(find_matrices(model)):
        laser = compare(model, tokenizer, tasks, theirs)
    exported = transformers.AutoModelForCausalLM.from_pretrained(edited).eval()
    assert compare(exported, tokenizer, tasks, theirs) == laser
    assert base != laser


@pytest.mark.slow
def test_the_command_runs_beside_evaluate_py(gptj, tasks, tmp_path):
    line = [sys.executable, "evaluate.py", "task=lm_eval", "model=local", f"model.path={gptj}", *EDIT, *QUIET]
    line += ["data=lm_eval", "data.task=both", f"data.path={tasks}", "data.first_rows=8"]
    line += [f"hydra.run.dir={tmp_path / 'run'}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    content = json.loads((tmp_path / "run" / "lm_eval.json").read_text())
    assert [(row["task"], row["metric"], row["n"]) for row in content["tasks"]] == [
        ("choice", "acc", 8),
        ("letters", "acc", 8),
    ]
    for row in content["tasks"]:
        assert row["ours"] == row["harness"]
        assert row["largest_difference"] < 1e-4
    assert content["edits"][0]["rank"] == 3
    assert "Here and in lm-evaluation-harness" in done.stdout


@pytest.mark.parametrize("driver", ["grid", "racing"])
def test_a_search_climbs_a_task(command, gptj, tasks, tmp_path, driver):
    typed = ["model=local", f"model.path={gptj}", "data=lm_eval", "data.task=choice", f"data.path={tasks}", *QUIET]
    typed += [f"search={driver}", "search.rank=[2,8]", "search.matrices=[fc_in,out_proj]", "search.layers=[0,1]"]
    said = command(*typed, f"paths.results={tmp_path / 'results'}", f"hydra.run.dir={tmp_path / 'run'}")
    assert said.code == 0, said.err
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert record["search"]["driver"] == driver
    assert record["search"]["candidates"] == 8
    assert record["data"]["revision"].startswith("choice version 3.0, 0-shot, lm-eval ")
    assert (record["data"]["n_validation"] + record["data"]["n_test"], record["task"]) == (24, "language")


def test_a_task_s_accuracy_is_reported_like_any_other(evaluate, gptj, tasks):
    typed = ("model=local", f"model.path={gptj}", f"data.path={tasks}", "data=lm_eval", "data.task=letters", *EDIT)
    run = evaluate(*typed, "controls=true")
    rows = run.predictions
    assert len(rows) == 24
    assert run.record["laser"]["n"] + run.record["validation"]["laser"]["n"] == 24
    assert len(run.record["controls"]) > 1  # every choice is read off one place
    command = (run.folder / "report.html").read_text()
    assert "data.task=letters" in command


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("data=text",), "the harness has its own tasks"),
        (("search=grid",), "search with task=language"),
        (("data.limit=3",), "data.first_rows works"),
        ((*EDIT, "export.path=new"), "then score the folder"),
        (("data.task=reads",), "measures perplexity"),
        (("scoring=paper",), "scoring=strict"),
    ],
)
def test_what_the_harness_cannot_be_asked_is_refused(command, gptj, tasks, typed, message):
    common = ["model=local", f"model.path={gptj}", "data=lm_eval", "data.task=choice", f"data.path={tasks}", *QUIET]
    overridden = {text.partition("=")[0] for text in typed}
    kept = [text for text in common if text.partition("=")[0] not in overridden]
    said = command("task=lm_eval", *kept, *typed)
    assert (said.code, message in said.err) == (1, True), said.err


def test_what_smoothing_leaves_alone_is_no_edit_of_the_model_that_the_harness_gets(
    command, gptj, tasks, tmp_path, monkeypatch
):
    def no_harness(config, model):
        raise InputError(f"asked about {Path(model).name}")

    monkeypatch.setattr("laser_lit.jobs.lm_eval.run_harness", no_harness)
    typed = ["model=local", f"model.path={gptj}", "laser=svd_smoothing", "laser.method=rmt", "laser.layer=all"]
    typed += ["laser.matrix=all", "data=lm_eval", "data.task=choice", f"data.path={tasks}", *QUIET]
    assert command("task=lm_eval", *typed).err.endswith("error: asked about model\n")


def test_thin_factors_are_refused_before_the_harness_starts(command, loaded, gptj, tasks, tmp_path):
    model, _ = loaded
    thin = export_model(model, Stack([Edit(layer=1, matrix="fc_in", rank=2)]), tmp_path / "thin", "factored").folder
    typed = [f"model.path={thin}", "data=lm_eval", "data.task=choice", f"data.path={tasks}"]
    said = command("task=lm_eval", "model=local", *typed, *QUIET)
    assert said.code == 1
    assert f"python -m laser_lit.export {thin} NEW --format dense" in said.err


def test_folders_with_an_evaluate_py_are_not_searched_by_the_harness(tmp_path):
    (tmp_path / "evaluate.py").write_text("")
    (tmp_path / "other").mkdir()
    given = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(tmp_path / "other")]), "HF_HUB_OFFLINE": "1"}
    expected = {"PYTHONPATH": str(tmp_path / "other"), "PYTHONSAFEPATH": "1", "HF_HUB_OFFLINE": "1"}
    assert harness_environment(given) == expected
