"""A language model on a data set, scored under stacks."""

import pytest
import torch
from checkpoints import data_arguments, save_checkpoint, save_data
from lightning.pytorch import Trainer

from laser_lit.data.registry import load_data
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.tasks import language
from laser_lit.tasks.language import LanguageTask, model_id

STACK = Stack([Edit(1, "mlp", rank=2)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return data_arguments(save_data(tmp_path_factory.mktemp("data")))


@pytest.fixture
def task(composed, folder, files):
    """Returns a maker of tasks: kind of data, overrides."""

    def make(kind="token", *overrides):
        line = ["model=local", f"model.path={folder}", *files[kind], "trainer=cpu", "trainer.progress_bar=false"]
        config = composed(*line, *overrides)
        return LanguageTask(config, load_data(config.data))

    return make


def test_a_table_has_a_row_an_example_under_any_stack(task):
    made = task()
    base, laser = made.score(None, "test"), made.score(STACK, "test")
    assert list(base["id"]) == list(laser["id"]) == [example.id for example in made.parts["test"].examples.examples]
    assert not base["log_loss"].equals(laser["log_loss"])
    assert made.score(None, "test").equals(base)  # the weights are back
    assert made.objective(base) == made.metrics(base)["accuracy"]
    with pytest.raises(InputError, match="unknown split 'tset'; nearest: test"):
        made.score(None, "tset")


def test_the_splits_share_no_group_and_lose_no_example(task):
    made = task()
    validation, test = made.parts["validation"], made.parts["test"]
    assert validation.groups.isdisjoint(test.groups)
    assert validation.n + test.n == len(made.examples.examples)
    described = made.describe()["data"]
    assert (described["n_validation"], described["n_test"]) == (validation.n, test.n)
    assert described["groups_test"] == len(test.groups)
    limited = task("token", "data.limit=9")
    assert sum(len(part.groups) for part in limited.parts.values()) == 9


def test_text_is_scored_by_window(task):
    made = task("text")
    table = made.score(None, "validation")
    assert made.parts["validation"].n == len(table)
    assert made.objective(table) == -made.metrics(table)["log_loss"] < 0


def test_the_content_names_what_decides_the_scores_and_nothing_else(task):
    content = task().content()
    assert task("token", "batch_size=3", "padding=left", "laser=none", "paths.results=x").content() == content
    for typed in ("scoring=paper", "split=paper", "seed=1", "max_length=20", "data.limit=30", "normalize_choices=true"):
        assert task("token", typed).content() != content
    assert task("choice").content()["data"] != content["data"]
    assert task("token", "model.dtype=bfloat16").content()["model"] != content["model"]


def test_logits_of_the_answers_are_those_of_the_model(task):
    made = task()
    found = made.answer_logits("validation")
    part = made.parts["validation"]
    assert found.logits.shape == (part.n, 96)
    for row, (example, request) in enumerate(zip(part.examples.examples, part.requests, strict=True)):
        ids = torch.tensor([made.tokenizer(example.prompt)["input_ids"]])
        with torch.no_grad():
            expected = made.model(ids).logits[0, -1]
        torch.testing.assert_close(found.logits[row], expected, rtol=1e-4, atol=1e-5)
        assert made.answer_name(int(found.gold[row])) == example.answer
        assert request.targets[0] == int(found.gold[row])
    assert made._module.keep_logits is False


def test_the_same_few_choices_have_logits_of_their_own(task):
    made = task("choice")
    assert made.no_controls is None
    for stack in (None, STACK):
        found, table = made.answer_logits("test", stack), made.score(stack, "test")
        assert found.logits.shape == (len(table), len(table["choices"].iloc[0]))
        best = [choices[int(place)] for choices, place in zip(table["choices"], found.logits.argmax(-1), strict=True)]
        assert best == table["prediction"].tolist()
        assert [choices[int(g)] for choices, g in zip(table["choices"], found.gold, strict=True)] == list(
            table["answer"]
        )
    assert made.answer_name(0) == made.examples.examples[0].choices[0]


def test_controls_and_why_not(task, monkeypatch):
    assert task().no_controls is None
    for kind in ("generate", "text"):
        assert "nor the same few choices" in task(kind).no_controls
    assert "nor the same few choices" in task("choice", "normalize_choices=true").no_controls
    made = task()
    made.processes = 2
    assert "several processes" in made.no_controls
    monkeypatch.setattr(language, "MOST_LOGITS", 96 * 10)
    assert "set data.limit" in task().no_controls


def test_memory_that_runs_out_is_said(task, monkeypatch):
    made = task("token", "batch_size=7")

    def test(self, *args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "test", test)
    with pytest.raises(InputError, match="batch_size 7: the cpu is out of memory"):
        made.score(None, "test")


def test_names_of_models(composed, folder):
    assert model_id(composed().model) == "facts"
    assert model_id(composed("model=gptj").model) == "EleutherAI/gpt-j-6b"
    assert model_id(composed("model=local", f"model.path={folder}/").model) == "small"


def test_a_local_copy_has_no_revision_of_the_hub(task):
    described = task("token", "model.revision=abc").describe()["model"]
    assert described["revision"] is None
    assert described["id"] == "small"
    assert len(described["content"]) == 32


def test_a_prompt_longer_than_the_model_takes(task):
    with pytest.raises(InputError, match="max_length 65: model local takes at most 64 tokens"):
        task("token", "max_length=65")
