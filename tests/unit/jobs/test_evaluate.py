"""One evaluation of any task: what is scored, when, and what is kept."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from families import FAMILIES

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.analyses import wanted
from laser_lit.jobs.evaluate import results_folder, run_task, score_both
from laser_lit.jobs.laser import ConfiguredStack
from laser_lit.models.matrices import find_matrices
from laser_lit.results.store import ResultsStore

STACK = Stack([Edit(1, "fc_in", rank=2)])


class CountingTask:
    """A task without data: its score of an example is a sum of weights."""

    id = "some/model"
    device = "cpu"
    processes = 1
    writes = True
    no_controls = "there is no vocabulary"

    def __init__(self) -> None:
        self.model = FAMILIES["gptj"]()
        self.matrices = find_matrices(self.model)
        self.scored: list[tuple[bool, str]] = []

    def score(self, stack, split):
        self.scored.append((stack is not None, split))
        if stack is None:
            return self.table(split)
        with stack.applied(self.matrices):
            return self.table(split)

    def table(self, split):
        total = float(sum(weight.detach().double().sum() for weight in self.model.parameters()))
        ids = [f"{split}{i}" for i in range(6)]
        frame = pd.DataFrame({"id": ids, "group": ids, "prompt": ids, "answer": "a", "prediction": "a"})
        return frame.assign(correct=[i % 2 == 0 for i in range(6)], log_loss=abs(total))

    def metrics(self, table):
        return {"accuracy": float(table["correct"].mean()), "log_loss": float(table["log_loss"].mean()), "n": 6}

    def objective(self, table):
        return self.metrics(table)["log_loss"]

    def content(self):
        return {"model": "m", "data": "d"}

    def describe(self):
        return {
            "model": {"id": self.id, "revision": None, "dtype": "float32", "parameters": 3},
            "data": {"name": "sums", "revision": None, "n_validation": 6, "n_test": 6},
        }


@pytest.fixture
def task() -> CountingTask:
    return CountingTask()


@pytest.fixture
def configured(composed, tmp_path, monkeypatch):
    """Returns a function from overrides to a config whose relative paths are below an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: composed("logger=none", *overrides)


def test_base_and_laser_on_both_splits(task, configured, tmp_path):
    before = {name: weight.clone() for name, weight in task.model.named_parameters()}
    objective = run_task(task, ConfiguredStack(STACK, notes=("mind this",)), configured())
    assert task.scored == [(False, "validation"), (True, "validation"), (False, "test"), (True, "test")]
    assert all(torch.equal(weight, before[name]) for name, weight in task.model.named_parameters())
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert objective == record["validation"]["laser"]["log_loss"] != record["validation"]["base"]["log_loss"]
    assert record["warnings"] == ["mind this"]
    assert record["stack"] == {"provenance": "given on the command line", "verified": None, "file": "stack.yaml"}
    assert record["gain"]["n_groups"] == 6
    assert (tmp_path / "results" / "language" / "some--model" / "facts").is_dir()


def test_the_base_alone(task, configured, tmp_path):
    objective = run_task(task, ConfiguredStack(None), configured())
    assert task.scored == [(False, "validation"), (False, "test")]
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert objective == record["validation"]["base"]["log_loss"]
    assert not (tmp_path / "run" / "stack.yaml").exists()


def test_a_stack_that_does_not_fit_is_refused_before_anything_is_scored(task, configured, tmp_path):
    with pytest.raises(InputError, match="layer 9"):
        run_task(task, ConfiguredStack(Stack([Edit(9, "fc_in", rank=1)])), configured())
    with pytest.raises(InputError, match="controls=true: there is no vocabulary"):
        run_task(task, ConfiguredStack(STACK), configured("controls=true"))
    assert task.scored == []
    assert not (tmp_path / "results").exists()


def test_only_one_process_writes(task, configured, tmp_path):
    task.writes, task.processes = False, 2
    run_task(task, ConfiguredStack(STACK), configured())
    assert len(task.scored) == 4
    assert list(tmp_path.iterdir()) == []


def test_several_processes_score_the_base_though_it_is_kept(task, tmp_path):
    store = ResultsStore(tmp_path)
    score_both(task, None, store, task.content())
    score_both(task, None, store, task.content())
    assert len(task.scored) == 2  # the second time from the folder
    task.processes = 2
    score_both(task, None, store, task.content())
    assert len(task.scored) == 4


def test_looks_at_the_test_split_are_counted_before_it_is_scored(task, tmp_path, monkeypatch):
    store = ResultsStore(tmp_path)

    def score(stack, split):
        if split == "test":
            raise RuntimeError("killed while looking")
        return task.table(split)

    monkeypatch.setattr(task, "score", score)
    with pytest.raises(RuntimeError):
        score_both(task, None, store, task.content())
    monkeypatch.undo()
    assert score_both(task, STACK, store, task.content()).test_opened == 2


def test_folders(task, configured):
    assert results_folder(configured("data=facts"), task) == Path("results/language/some--model/facts")
    assert results_folder(configured("paths.results=elsewhere"), task) == Path("elsewhere")


@pytest.mark.parametrize("name", ["controls", "analysis.mechanism"])
@pytest.mark.parametrize(
    ("edited", "problem", "asked", "expected"),
    [
        (True, None, "null", True),
        (None, None, "null", True),
        (True, None, "true", True),
        (True, None, "false", False),
        (True, "why not", "null", False),
        (True, "why not", "false", False),
        (False, None, "null", False),
        (False, None, "false", False),
    ],
)
def test_what_is_scored_besides(task, configured, name, edited, problem, asked, expected):
    task.no_controls = problem
    found = wanted(task, configured(f"{name}={asked}"), edited=edited)
    assert getattr(found, name.rpartition(".")[2]) is expected


@pytest.mark.parametrize("name", ["controls", "analysis.mechanism"])
@pytest.mark.parametrize(("edited", "problem", "words"), [(True, "why not", "why not"), (False, None, "no edits")])
def test_what_cannot_be_had(task, configured, name, edited, problem, words):
    task.no_controls = problem
    with pytest.raises(InputError, match=f"{name}=true: .*{words}.*leave {name} out"):
        wanted(task, configured(f"{name}=true"), edited=edited)
