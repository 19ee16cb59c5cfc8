"""A guard turns stacks away that change a text too much, and reports on other windows than those that chose."""

import numpy as np
import pytest
import torch
from checkpoints import data_arguments, save_checkpoint, save_data

from laser_lit.data.registry import load_data
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.results.store import ResultsStore
from laser_lit.search import guard as guards
from laser_lit.search.bound import upper_bound
from laser_lit.search.guard import Guard
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.rows import Rows
from laser_lit.search.space import Space
from laser_lit.tasks.language import LanguageTask
from laser_lit.tasks.several import several

HARMLESS, HARMFUL = (Edit(1, "out_proj", rank=31),), (Edit(0, "mlp", rank=1),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = save_data(tmp_path_factory.mktemp("data"))
    picks = np.random.default_rng(0).integers(91, size=3000)
    (folder / "guard.txt").write_text(" ".join(f"w{i}" for i in picks))
    (folder / "second.txt").write_text(" ".join(f"w{i}" for i in reversed(picks)))
    (folder / "other.txt").write_text(" ".join(f"word{i}" for i in picks))
    return folder


@pytest.fixture
def make(composed, folder, files):
    """Returns a maker of a task and its config: overrides of search.guard."""

    def made(*overrides, kind="token", guard="guard.txt"):
        text = [] if guard is None else ["search.guard.data=text", f"search.guard.path={files / guard}"]
        line = ["model=local", f"model.path={folder}", *data_arguments(files)[kind], *text, "trainer=cpu"]
        small = ["trainer.progress_bar=false", "search.guard.window=16", "search.guard.tokens=600"]
        config = composed(*line, *small, *(f"search.guard.{override}" for override in overrides))
        return LanguageTask(config, load_data(config.data)), config

    return made


class Plain:
    """Scores stacks of a task's validation split in the plainest way."""

    def __init__(self, task):
        self.task = task

    def score(self, stack, rows=None):
        return self.task.score(stack, "validation").iloc[list(rows)]


def directly(task, edits, windows):
    """Returns (window, KL, change of log loss) of each token from full logits."""
    rows = []
    for number, request in enumerate(windows):
        ids, places = torch.tensor([request.tokens]), torch.tensor(request.reads)
        with torch.no_grad():
            p = task.model(ids).logits[0, places].double().log_softmax(-1)
            with Stack(edits).applied(task.matrices):
                q = task.model(ids).logits[0, places].double().log_softmax(-1)
        kl = (p.exp() * (p - q)).sum(-1)
        change = (p - q).gather(1, torch.tensor(request.targets)[:, None])[:, 0]
        rows += [(number, *pair) for pair in zip(kl.tolist(), change.tolist(), strict=True)]
    return np.array(rows).T


@pytest.mark.parametrize("kind", ["kl", "log_perplexity"])
def test_the_verdict_is_the_definition_on_each_part(make, kind):
    task, config = make(f"kind={kind}", "limit=0.5")
    guard = Guard(task, config)
    for use, part in (("choosing", "validation"), ("held_out", "test")):
        windows, *values = directly(task, HARMFUL, guard._text.parts[part])
        expected = values[("kl", "log_perplexity").index(kind)]
        said = guard.verdict(HARMFUL, use)
        assert (said["kind"], said["limit"]) == (kind, 0.5)
        assert (said["windows"], said["tokens"]) == (len(np.unique(windows)), len(expected))
        assert said["mean"] == pytest.approx(expected.mean(), rel=1e-4)
        assert said["p99"] == pytest.approx(np.quantile(expected, 0.99), rel=1e-4)
        assert said["bound"] == pytest.approx(upper_bound(expected, windows), rel=1e-3)
        assert said["text"].endswith("guard.txt")
    bound = guard.verdict(HARMFUL, "choosing")["bound"]
    assert guard.verdict(HARMFUL)["choosing_bound"] == bound
    assert guard.passes(HARMFUL) == (bound <= 0.5)


def test_a_stack_passes_up_to_the_limit_and_the_base_always(make):
    task, config = make("limit=0")
    guard = Guard(task, config)
    assert guard.passes(())
    assert not guard.passes(HARMLESS)
    assert not guard.passes(HARMLESS)
    assert guard.verdict(())["refused"] == 1
    bound = guard.verdict(HARMLESS, "choosing")["bound"]
    config.search.guard.limit = bound
    assert Guard(task, config).passes(HARMLESS)


def test_parts_share_no_text_and_are_as_long_as_asked_for(make):
    task, config = make("tokens=200")
    parts = Guard(task, config)._text.parts
    seen = {part: {window.tokens for window in windows} for part, windows in parts.items()}
    assert seen["validation"].isdisjoint(seen["test"])
    assert {w.group for w in parts["validation"]}.isdisjoint(w.group for w in parts["test"])
    for windows in parts.values():
        assert 200 <= sum(len(window.targets) for window in windows) < 200 + 16
        assert [window.index for window in windows] == sorted(window.index for window in windows)


def test_the_best_that_passes_is_chosen_and_no_more_than_needed_is_measured(make, tmp_path, monkeypatch):
    task, config = make(kind="token")
    store = ResultsStore(tmp_path)
    base = task.score(None, "validation")
    rows = Rows.of(base, np.ones(len(base)), 0)
    objective = Objective("log_loss", rows.weights)
    space = Space.of(task.matrices, ranks=(1, 24))

    def best(guard=None):
        loop = Loop(Plain(task), space, objective, rows, task.matrices, store, task.content(), guard=guard)
        cells = [loop.score((edit,)) for edit in space.edits]
        order = sorted(cells, key=objective.merit, reverse=True)
        return loop.best(cells), [cell for cell in order if objective.merit(cell) > objective.merit(loop.base)]

    unguarded, better = best()
    assert unguarded is better[0]
    bounds = [Guard(task, config).verdict(cell.edits, "choosing")["bound"] for cell in better]
    gentler = next(place for place, bound in enumerate(bounds) if bound < bounds[0])
    config.search.guard.limit = bounds[gentler]
    guard = Guard(task, config, tmp_path)
    chosen, _ = best(guard)
    assert chosen.edits == better[gentler].edits != unguarded.edits
    assert len(guard._known) == gentler + 1  # lazy: nothing after the one that passed
    said = guard.verdict(chosen.edits)
    assert said["refused"] == gentler
    assert said["bound"] > said["mean"] > 0

    def of(*_):
        raise AssertionError("measured again")

    again = Guard(task, config, tmp_path)
    monkeypatch.setattr(guards.Divergence, "of", of)
    assert best(again)[0].edits == chosen.edits
    assert again.verdict(chosen.edits) == said


def test_a_stack_that_cannot_be_measured_does_not_pass(make, monkeypatch):
    task, config = make()
    guard = Guard(task, config)

    def of(*_):
        raise InputError("the model's logits are not finite numbers")

    monkeypatch.setattr(guards.Divergence, "of", of)
    assert not guard.passes(HARMLESS)
    said = guard.verdict(HARMLESS)
    assert said["problem"] == "the model's logits are not finite numbers"
    assert said["refused"] == 1
    assert "mean" not in said


def test_questions_are_a_guard_text_without_their_answers(make):
    task, config = make("data=counterfact", "limit=10", guard=None)
    guard = Guard(task, config)
    for part, windows in guard._text.parts.items():
        examples = task.parts[part].examples.examples
        prompts = {task.tokenizer.decode(window.tokens + window.targets[-1:]) for window in windows}
        assert prompts <= {example.prompt for example in examples}
    assert guard.passes(HARMLESS)
    assert guard.verdict(HARMLESS)["text"] == "counterfact (questions without their answers)"


def test_without_a_text_there_is_no_guard(make):
    task, config = make(guard=None)
    assert Guard.of(task, config) is None
    config.search.guard.path = "x.txt"
    with pytest.raises(InputError, match=r"search\.guard\.data=text"):
        Guard.of(task, config)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("kind=perplexity", "unknown search.guard.kind 'perplexity'; nearest: log_perplexity"),
        ("limit=-0.1", "at least 0 for kl"),
        ("window=1", "at least 1 and 2"),
        ("tokens=30", "has 2 windows of up to 16 tokens, a bound needs at least 10"),
    ],
)
def test_settings_that_cannot_be_meant(make, override, problem):
    task, config = make(override)
    with pytest.raises(InputError, match=problem):
        Guard(task, config)


def test_texts_and_models_that_do_not_go_together(make, composed, tmp_path, files):
    task, config = make(guard="other.txt")
    with pytest.raises(InputError, match="does not know 100%"):
        Guard(task, config)
    path = save_checkpoint(tmp_path / "masked", "bert")
    line = ["model=local", f"model.path={path}", *data_arguments(files)["token"], "trainer=cpu"]
    config = composed(*line, "search.guard.data=text", f"search.guard.path={files / 'guard.txt'}")
    masked = LanguageTask(config, load_data(config.data))
    with pytest.raises(InputError, match="makes no next-token predictions"):
        Guard(masked, config)
    with pytest.raises(InputError, match=r"search\.guard\.data=text search\.guard\.path=.*none\.txt: .*no such file"):
        Guard(*make(guard="none.txt"))
    with pytest.raises(InputError, match="unknown part of the guard text 'held out'; nearest: held_out"):
        Guard(*make()).verdict((), "held out")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("text", r"search\.guard\.data=text: needs search\.guard\.path \(a local file\)$"),
        ("wikitext2", r"data=wikitext2: not to be had from the hub \(.*\); search\.guard\.path=FILE takes"),
    ],
)
def test_a_text_without_a_file_is_asked_for_one_by_the_name_that_was_typed(make, data, problem):
    with pytest.raises(InputError, match=problem):
        Guard(*make(f"data={data}", guard=None))


def test_several_data_sets_have_one_guard(make, files):
    task, config = make("limit=10")
    also = {"name": "jsonl", "path": str(files / "choice.jsonl"), "prompt": "{question}", "answer": "label"}
    both = several(config, task, [{**also, "choices": "options"}])
    assert Guard(both, config).verdict(HARMLESS) == Guard(task, config).verdict(HARMLESS)


def test_what_was_measured_is_known_to_the_next_run_of_the_same_model_and_text(make, tmp_path, monkeypatch):
    measured = []
    of = guards.Divergence.of

    def counted(self, stack):
        measured.append(stack)
        return of(self, stack)

    monkeypatch.setattr(guards.Divergence, "of", counted)

    def measures(task, config, edits=HARMLESS):
        measured.clear()
        return Guard(task, config, tmp_path).verdict(edits), len(measured)

    task, config = make("limit=10")
    first, count = measures(task, config)
    assert count == 2
    strict = make("limit=0", "kind=log_perplexity")[1]
    again, count = measures(task, strict)
    assert (count, again["limit"]) == (0, 0.0)
    assert again["mean"] != first["mean"]  # the other kind, from the same measurement
    for fresh in ((task, make("tokens=300")[1]), (task, make("window=12")[1]), make(guard="second.txt")):
        assert measures(*fresh)[1] == 2
    assert measures(task, config, HARMFUL)[1] == 2
    other, _ = make("limit=10")
    vars(other)["_weights"] = "another"
    assert measures(other, config)[1] == 2
    assert measures(make()[0], config) == (first, 0)


def test_the_base_is_kept_within_the_memory_of_the_search(make):
    task, config = make("limit=10")
    whole = Guard(task, config).verdict(HARMLESS)
    config.search.cache_gb, config.batch_size = 1e-6, 4
    pieces = Guard(task, config)
    assert all(len(divergence._pieces) > 1 for divergence in pieces._divergences.values())
    assert pieces.verdict(HARMLESS)["mean"] == pytest.approx(whole["mean"])
    assert not pieces._factors._memory
