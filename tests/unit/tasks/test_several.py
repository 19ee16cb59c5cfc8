"""One model on several data sets, each of which counts alike."""

import numpy as np
import pytest
import torch
from checkpoints import data_arguments, save_checkpoint, save_data
from omegaconf import OmegaConf

from laser_lit.data.registry import load_data
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.results.compare import compare
from laser_lit.results.predictions import predictions_table, read_predictions, write_predictions
from laser_lit.results.store import ResultsStore
from laser_lit.results.weights import row_weights
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.rows import Rows
from laser_lit.search.space import Space
from laser_lit.tasks.language import LanguageTask
from laser_lit.tasks.several import SeveralTasks, several

STACK = Stack([Edit(1, "mlp", rank=2)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = save_data(tmp_path_factory.mktemp("data"))
    (folder / "prose.txt").write_text(" ".join(reversed((folder / "text.txt").read_text().split())))
    return folder


@pytest.fixture
def make(composed, folder, files):
    """Returns a maker of tasks on token questions and more kinds of data: kinds, overrides."""
    rows = {"name": "jsonl", "prompt": "{question}", "answer": "label"}
    more = {
        "choice": {**rows, "path": str(files / "choice.jsonl"), "choices": "options"},
        "generate": {**rows, "path": str(files / "generate.jsonl"), "max_new_tokens": 4},
        "text": {"name": "text", "path": str(files / "text.txt"), "window": 12},
        "prose": {"name": "text", "path": str(files / "prose.txt"), "window": 12},
    }

    def made(*kinds, overrides=(), first="token"):
        line = ["model=local", f"model.path={folder}", *data_arguments(files)[first]]
        config = composed(*line, "trainer=cpu", "trainer.progress_bar=false", *overrides)
        config.search.also = [more[kind] for kind in kinds]
        return several(config, LanguageTask(config, load_data(config.data)), config.search.also)

    return made


def test_tables_are_those_of_each_data_set_with_names_that_stay_apart(make):
    task = make("choice", "generate")
    assert list(task.tasks) == ["counterfact", "jsonl", "jsonl 2"]
    for stack in (None, STACK):
        table = task.score(stack, "validation")
        assert table["id"].is_unique
        start = 0
        for name, alone in task.tasks.items():
            own = alone.score(stack, "validation")
            part = table.iloc[start : start + len(own)]
            assert list(part["id"]) == [f"{name}/{id}" for id in own["id"]]
            assert list(part["group"]) == [f"{name}/{group}" for group in own["group"]]
            assert set(part["data"]) == {name}
            assert list(part["log_loss"]) == list(own["log_loss"])
            assert list(part["correct"]) == list(own["correct"])
            start += len(own)
        assert start == len(table)


def test_each_data_set_counts_alike(make):
    task = make("choice")
    base, laser = task.score(None, "validation"), task.score(STACK, "validation")
    each = {name: alone.score(None, "validation") for name, alone in task.tasks.items()}
    sizes = [len(table) for table in each.values()]
    assert sizes[0] != sizes[1]
    weights = row_weights(base)
    assert weights.mean() == pytest.approx(1.0)
    assert base.groupby("data")["weight"].sum().to_numpy() == pytest.approx([sum(sizes) / 2] * 2)
    expected = np.mean([table["correct"].mean() for table in each.values()])
    numbers = task.metrics(base)
    assert numbers["accuracy"] == pytest.approx(expected)
    assert task.objective(base) == numbers["accuracy"]
    assert np.average(base["correct"].astype(float), weights=weights) == pytest.approx(expected)
    assert numbers["n"] == sum(sizes)
    assert list(numbers["data_sets"]) == list(task.tasks)
    for name, table in each.items():
        assert numbers["data_sets"][name] == task.tasks[name].metrics(table)
    gain = compare(base, laser, weight="weight")
    assert gain.accuracy == pytest.approx(task.metrics(laser)["accuracy"] - numbers["accuracy"])
    assert gain.log_loss == pytest.approx(numbers["log_loss"] - task.metrics(laser)["log_loss"])
    assert gain.n_groups == sum(table["group"].nunique() for table in each.values())


def test_metrics_are_none_where_a_data_set_has_none_and_flags_are_any(make):
    task = make("choice")
    numbers = task.metrics(task.score(None, "test"))
    assert numbers["data_sets"]["jsonl"]["p_true_over_new"] is None
    assert numbers["p_true_over_new"] is None
    assert numbers["collapsed"] is any(each["collapsed"] for each in numbers["data_sets"].values())


def test_there_is_one_model_in_memory_and_its_content_is_named_once(make):
    task = make("choice", "generate")
    models = {id(alone.model) for alone in task.tasks.values()}
    assert models == {id(task.model)}
    content = task.content()
    alone = task.tasks["counterfact"].content()
    assert content["model"] == alone["model"]
    assert content["data_sets"][0] == ["counterfact", alone]
    assert len({entry["tokens"] for _, entry in content["data_sets"]}) == 3
    assert make("choice").content() != make("generate").content()
    other = SeveralTasks(make("choice").tasks)
    with pytest.raises(InputError, match="scored on one model"):
        SeveralTasks({"one": task, "two": other})


def test_a_search_scores_the_rows_it_asks_for_in_its_order(make):
    task = make("choice", "generate")
    whole = task.score(STACK, "validation")
    rows = np.random.default_rng(0).permutation(len(whole))[:11].tolist()
    with task.searching("validation", 0.2) as scorer:
        assert_same(scorer.score(STACK, rows), whole.iloc[rows])
        assert_same(scorer.score(STACK), whole)
        scorer.hold(STACK)
        more = Stack([*STACK.edits, Edit(2, "out_proj", rank=3)])
        assert_same(scorer.score(more, rows), task.score(more, "validation").iloc[rows])
        scorer.hold(None)
        one = [row for row in rows if whole["data"][row] == "jsonl"]
        assert_same(scorer.score(None, one), task.score(None, "validation").iloc[one])


def assert_same(found, expected):
    assert list(found["id"]) == list(expected["id"])
    assert list(found["correct"]) == list(expected["correct"])
    assert found["log_loss"].to_numpy(float) == pytest.approx(expected["log_loss"].to_numpy(float), abs=1e-5)


def test_the_differentiable_loss_is_the_mean_over_data_sets(make):
    task = make("choice")
    table = task.score(None, "validation")
    rows = list(range(len(table)))
    expected = np.mean(table.groupby("data")["log_loss"].mean())
    with task.searching("validation", 0.2) as scorer:
        losses = list(scorer.losses(rows))
        assert all(loss.requires_grad for loss in losses)
        assert float(torch.stack(losses).sum().detach()) == pytest.approx(expected, rel=1e-4)
        some = rows[:2] + rows[-3:]
        found = float(torch.stack(list(scorer.losses(some))).sum().detach())
    assert found == pytest.approx(
        np.average(table["log_loss"].iloc[some], weights=table["weight"].iloc[some]), rel=1e-4
    )


def test_a_search_finds_the_edit_that_is_best_on_average(make, tmp_path):
    task = make("choice")
    base = task.score(None, "validation")
    rows = Rows.of(base, row_weights(base), 0)
    space = Space.of(task.matrices, matrix=["fc_in", "out_proj"], ranks=(1, 16))
    with task.searching("validation", 0.2) as scorer:
        content = task.content()
        loop = Loop(
            scorer, space, Objective("log_loss", rows.weights), rows, task.matrices, ResultsStore(tmp_path), content
        )
        best = loop.best([loop.score((edit,)) for edit in space.edits])
    losses = {
        edit: np.mean([t.metrics(t.score(Stack([edit]), "validation"))["log_loss"] for t in task.tasks.values()])
        for edit in space.edits
    }
    assert best.edits == (min(losses, key=losses.get),)


def test_text_and_questions_have_no_mean_accuracy_but_a_mean_log_loss(make):
    with pytest.raises(InputError, match=r"text is text.* counterfact is questions.*search.objective=log_loss"):
        make("text")
    task = make("text", overrides=["search.objective=log_loss"])
    base, laser = task.score(None, "validation"), task.score(STACK, "validation")
    numbers = task.metrics(base)
    assert numbers["accuracy"] is None
    assert task.objective(base) == -numbers["log_loss"]
    losses = [alone.metrics(alone.score(None, "validation"))["log_loss"] for alone in task.tasks.values()]
    assert numbers["log_loss"] == pytest.approx(np.mean(losses))
    gain = compare(base, laser, weight="weight")
    assert gain.accuracy is None
    assert gain.log_loss == pytest.approx(numbers["log_loss"] - task.metrics(laser)["log_loss"])
    texts = make("prose", first="text")
    assert texts.objective(texts.score(None, "validation")) < 0


def test_the_record_names_every_data_set(make):
    task = make("choice")
    described = task.describe()
    data = described["data"]
    assert data["name"] == "counterfact + jsonl"
    assert [entry["name"] for entry in data["data_sets"]] == ["counterfact", "jsonl"]
    for split in ("validation", "test"):
        table = task.score(None, split)
        assert data[f"n_{split}"] == len(table)
        assert data[f"groups_{split}"] == table["group"].nunique()
    assert described["model"] == task.tasks["jsonl"].describe()["model"]


def test_there_are_no_controls(make):
    task = make("choice")
    assert task.no_controls == "they are fitted on one data set, and 2 are scored"
    with pytest.raises(InputError, match="no answer logits"):
        task.answer_logits("validation")
    with pytest.raises(InputError, match="column 3"):
        task.answer_name(3)


def test_tables_survive_the_folder_of_a_run(make, tmp_path):
    task = make("choice", "text", overrides=["search.objective=log_loss"])
    tables = {split: (task.score(None, split), task.score(STACK, split)) for split in ("validation", "test")}
    write_predictions(predictions_table(tables), tmp_path / "predictions.parquet")
    read = read_predictions(tmp_path)
    assert len(read) == sum(len(base) for base, _ in tables.values())
    assert set(read["data"]) == set(task.tasks)
    assert "base_weight" not in read
    kept = ResultsStore(tmp_path).base_table("0" * 16, lambda: tables["test"][0])
    assert task.metrics(ResultsStore(tmp_path).base_table("0" * 16, lambda: kept)) == task.metrics(tables["test"][0])


def test_a_limit_is_every_data_sets_and_a_data_set_needs_its_name(make, composed, folder, files):
    task = make("choice", overrides=["data.limit=12"])
    assert [sum(len(part.groups) for part in alone.parts.values()) for alone in task.tasks.values()] == [12, 12]
    config = composed("model=local", f"model.path={folder}", *data_arguments(files)["token"], "trainer=cpu")
    first = LanguageTask(config, load_data(config.data))
    with pytest.raises(InputError, match="has no name; say which data set"):
        several(config, first, [OmegaConf.create({"path": "x"})])
    with pytest.raises(InputError, match="unknown data 'fevr'; nearest: fever"):
        several(config, first, ["fevr"])
    with pytest.raises(InputError, match=r"unknown field in search\.also 'pth'; nearest: path"):
        several(config, first, [{"name": "text", "pth": "x"}])
    with pytest.raises(InputError, match="has the examples of jsonl, which would count twice"):
        make("choice", "choice")
    with pytest.raises(InputError, match=r"search\.also: .*none\.txt.*: no such file"):
        several(config, first, [{"name": "text", "path": "none.txt"}])
