"""General text before and after the edit, against the definitions."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from checkpoints import save_checkpoint

from laser_lit.analyses.text import compared_text, general_text
from laser_lit.data.registry import load_data
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.results.general_text import GeneralText
from laser_lit.results.record import jsonable
from laser_lit.search.guard import Guard
from laser_lit.tasks.language import LanguageTask

STACK = Stack([Edit(1, "mlp", rank=2)])


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    picks = np.random.default_rng(0).integers(91, size=3000)
    path = tmp_path_factory.mktemp("book") / "book.txt"
    path.write_text(" ".join(f"w{i}" for i in picks))
    return path


@pytest.fixture
def make(configured, book):
    """Returns a maker of a task and its config: kind of data, then overrides of analysis.text."""

    def made(kind="token", *overrides):
        text = ["data=text", f"path={book}", "window=16", "tokens=600", *overrides]
        config = configured(kind, *(f"analysis.text.{override}" for override in text))
        return LanguageTask(config, load_data(config.data)), config

    return made


def directly(task, windows, stack):
    """Returns log losses and most probable tokens, token by token, one window at a time."""
    losses, firsts = [], []
    with stack.applied(task.matrices), torch.no_grad():
        for window in windows:
            p = task.model(torch.tensor([window.tokens])).logits[0, list(window.reads)].double().log_softmax(-1)
            losses.append(-p.gather(1, torch.tensor(window.targets)[:, None])[:, 0])
            firsts.append(p.argmax(-1))
    return torch.cat(losses), torch.cat(firsts)


def test_perplexity_and_first_choices_are_those_of_the_definition(make):
    task, config = make()
    text = general_text(task, config)
    found = compared_text(task, STACK, text, config)
    base, first = directly(task, text.parts["test"], Stack([]))
    edited, other = directly(task, text.parts["test"], STACK)
    assert (found.tokens, found.window) == (len(base), 16)
    assert found.base == pytest.approx(float(base.mean().exp()), rel=1e-5)
    assert found.edited == pytest.approx(float(edited.mean().exp()), rel=1e-5)
    assert found.change == pytest.approx(float((edited - base).mean()), rel=1e-3)
    assert found.moved == float((first != other).double().mean()) > 0
    assert found.change_ci95[0] < found.change < found.change_ci95[1]
    assert found.base_ci95[0] < found.base < found.base_ci95[1]
    assert found.moved_ci95[0] < found.moved < found.moved_ci95[1]
    assert 0 < found.kl < found.kl_bound < found.kl_p99
    assert GeneralText.of(json.loads(json.dumps(jsonable(asdict(found))))) == found


def test_no_edit_changes_nothing(make):
    task, config = make()
    found = compared_text(task, Stack([]), general_text(task, config), config)
    assert (found.change, found.change_ci95, found.kl, found.kl_bound, found.moved) == (0, (0, 0), 0, 0, 0)
    assert found.base == found.edited


def test_a_guard_on_the_same_text_chose_by_other_windows(make, book):
    task, config = make()
    config.search.guard.update({"data": "text", "path": str(book), "window": 16, "tokens": 600})
    chosen = Guard(task, config)._text.parts["validation"]
    assert not {w.tokens for w in general_text(task, config).parts["test"]} & {w.tokens for w in chosen}


def test_questions_are_read_without_their_answers(make):
    task, config = make("token")
    config.analysis.text.update({"data": "counterfact", "path": None, "window": 16})
    assert general_text(task, config).name == "counterfact (questions without their answers)"


def test_none_is_none(configured):
    assert general_text(None, configured()) is None


@pytest.mark.parametrize(
    ("kind", "overrides", "words"),
    [
        ("token", ("path=nowhere.txt",), r"analysis.text.data=text analysis.text.path=nowhere.txt: "),
        ("token", ("tokens=32",), r"analysis.text: the test part of .* has [23] windows .* more analysis.text.tokens"),
        ("token", ("data=hyperion", "path=null"), "unknown .*hyperion"),
    ],
)
def test_texts_that_cannot_be_had(make, kind, overrides, words):
    with pytest.raises(InputError, match=words):
        general_text(*make(kind, *overrides))


def test_the_text_that_is_evaluated_is_refused(make):
    task, config = make("text")
    config.analysis.text.path = config.data.path
    with pytest.raises(InputError, match=r"analysis\.text\.data=text: that is the text that is evaluated"):
        general_text(task, config)


def test_models_without_next_token_predictions_are_refused(make, tmp_path):
    masked = save_checkpoint(tmp_path / "masked", "bert")
    config = make()[1]
    config.model.path = str(masked)
    with pytest.raises(InputError, match=r"analysis\.text\.data=text: masked makes no next-token predictions"):
        general_text(LanguageTask(config, load_data(config.data)), config)
