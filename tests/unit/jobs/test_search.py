"""What a search says of itself, on a task without a language."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES
from searches import ROWS, FakeScorer

from laser_lit.errors import InputError
from laser_lit.jobs.search import Found, search, shard_done
from laser_lit.models.matrices import find_matrices
from laser_lit.results.stats import detectable_gain
from laser_lit.results.store import ResultsStore

BASE = np.where(np.arange(ROWS) % 2, 0.5, 1.5)


def losses(edits):
    """fc_in of layer 0 mends most rows, that of layer 1 breaks all, rank 3 overflows, others change nothing."""
    if any(edit.rank == 3 for edit in edits):
        raise ValueError("overflows")
    loss = BASE.copy()
    for edit in edits:
        if edit.matrix == "fc_in":
            loss = np.where(np.arange(ROWS) < 20, 0.25, loss) if edit.layer == 0 else loss + 1.0
    return loss


class SearchedTask:
    def __init__(self, losses_of=losses) -> None:
        self.model = FAMILIES["gptj"]()
        self.matrices = find_matrices(self.model)
        self.losses_of = losses_of

    def content(self):
        return {"model": "m"}

    def score(self, stack, split):
        return FakeScorer(self.losses_of).score(None)

    @contextmanager
    def searching(self, split, cache_gb):
        assert split == "validation"
        yield FakeScorer(self.losses_of)

    def describe(self):
        return {"data": {"groups_test": 40}}


@pytest.fixture
def searched(composed, tmp_path: Path):
    def run(*overrides: str, task: SearchedTask | None = None) -> Found:
        config = composed("search=grid", "trainer.progress_bar=false", *overrides)
        return search(task or SearchedTask(), ResultsStore(tmp_path / "results"), config)

    return run


def test_the_record_counts_what_was_tried(searched):
    found = searched("search.matrices=[fc_in,fc_out]", "search.rank=[1,3]")
    record = found.record
    assert (record.candidates, record.tried, record.scored, record.failed, record.cost) == (8, 8, 4, 4, 4.0)
    assert (record.base, record.chosen) == (0.5, 22 / ROWS)
    assert found.objective == record.chosen
    assert record.improving == 1  # what harms as surely is none
    assert record.adjusted_p is not None
    assert record.adjusted_p <= 0.05
    table = FakeScorer(losses).score(None)
    gains = (losses(found.laser.stack.edits) < 1) * 1.0 - (BASE < 1)
    assert record.detectable == pytest.approx(detectable_gain(gains, table["group"].to_numpy(), 40))
    assert found.laser.provenance == (
        "search=grid on validation: 8 stacks from 8 candidate edits, 4 scored in full; cost, in such stacks: 4"
    )
    assert found.laser.notes == ()


def test_stacks_are_counted_not_the_space_that_they_are_drawn_from(searched):
    found = searched("search=optuna", "search.rank=[1,2,4]", "search.trials=5")
    assert (found.record.candidates, found.record.tried) == (36, 5)
    assert found.laser.provenance is None or "5 stacks from 36 candidate edits" in found.laser.provenance


def test_one_is_one(searched, composed, tmp_path, capsys):
    one = ("search.rank=[1]", "search.matrices=fc_in", "search.layers=[0]")
    found = searched(*one)
    said = found.laser.provenance or found.laser.notes[0]
    assert said.startswith("search=grid on validation: 1 stack from 1 candidate edit, 1 scored in full; cost, in such")
    config = composed("search=grid", *one, "search.shards=2", "search.shard=0")
    assert "shard 0 of 2: 1 stack scored by this job" in shard_done(found, ResultsStore(tmp_path / "results"), config)
    searched(*one, "trainer.progress_bar=true")
    assert "1 of 1 candidate scored before" in capsys.readouterr().err


def test_a_search_that_goes_on_says_what_it_found(searched, capsys):
    searched("search.rank=[1]", "search.matrices=fc_in", "trainer.progress_bar=true")
    assert "scored before" not in capsys.readouterr().err
    searched("search.rank=[1,2]", "trainer.progress_bar=true")
    assert "2 of 24 candidates scored before" in capsys.readouterr().err
    searched("search.rank=[1,2]")
    assert capsys.readouterr().err == ""
    searched("search=optuna", "search.trials=3", "trainer.progress_bar=true")
    assert "trials were made before" not in capsys.readouterr().err
    searched("search=optuna", "search.trials=5", "trainer.progress_bar=true")
    assert "3 trials were made before, of 5" in capsys.readouterr().err


def test_what_a_search_cannot_show_is_said_before_it_and_kept(searched, caplog):
    nothing = SearchedTask(lambda edits: BASE + 1.0)
    found = searched("search.rank=[1]", task=nothing)
    (said,) = [note for note in found.laser.notes if "answers none" in note]
    assert said in caplog.text
    assert caplog.text.count("answers none") == 1


def test_what_a_shard_says_counts_its_own_work(searched, tmp_path):
    config = ("search=optuna", "search.rank=[1,2,4]", "search.trials=6", "search.shards=2")
    found = [searched(*config, f"search.shard={shard}") for shard in (0, 1)]
    assert [each.fresh for each in found] == [3, 3]
    assert found[1].record.tried == 6
    again = searched(*config, "search.shard=0")
    assert again.fresh == 0


@pytest.mark.parametrize("shard", [0, 1])
def test_a_shard_says_what_was_done_and_what_comes_next(searched, composed, tmp_path, shard):
    config = composed("search=grid", "search.rank=[1,3]", "search.shards=2", f"search.shard={shard}")
    found = searched("search.rank=[1,3]", "search.shards=2", f"search.shard={shard}")
    said = shard_done(found, ResultsStore(tmp_path / "results"), config)
    assert f"shard {shard} of 2: 12 stacks scored by this job, 6 of 12 known stacks failed" in said
    again = searched("search.rank=[1,3]", "search.shards=2", f"search.shard={shard}")
    assert "0 stacks scored by this job" in shard_done(again, ResultsStore(tmp_path / "results"), config)


class Refusing:
    """A guard that lets nothing pass that mends rows, and knows itself by a name."""

    content = {"text": "t"}  # noqa: RUF012

    def passes(self, edits):
        return edits[0].rank != 1

    def verdict(self, edits):
        return {"refused": 1}


def test_under_a_guard_curves_are_a_study_of_their_own(searched, monkeypatch):
    free = searched("search.matrices=fc_in", "search.rank=[1,2]").record.curves
    monkeypatch.setattr("laser_lit.jobs.search.Guard.of", lambda *_: Refusing())
    found = searched("search.matrices=fc_in", "search.rank=[1,2]")
    (curve,) = found.record.curves
    assert curve["merit"][-1] == found.record.chosen == free[0]["merit"][-1]  # rank 2 mends as much
    assert curve["merit"] != free[0]["merit"]
    assert list(found.cells["guard"].dropna()) == ["refused", "passed"]


def test_a_search_in_which_everything_fails_says_why(searched):
    with pytest.raises(InputError, match=r"12 stacks tried, none .* ValueError: overflows.*search.retry=true"):
        searched("search.rank=[3]")


def test_the_curves_are_those_of_each_drivers_last_search_for_the_same(searched):
    assert [len(curve["cost"]) for curve in searched("search.rank=[1]").record.curves] == [12]
    assert [len(curve["cost"]) for curve in searched("search.rank=[1,2]").record.curves] == [24]
    both = searched("search.rank=[1,2]", "search=collect").record.curves
    assert [(curve["driver"], len(curve["cost"])) for curve in both] == [("grid", 24), ("collect", 24)]
    other = searched("search.rank=[1]", "search.objective=log_loss").record.curves
    assert [(curve["driver"], len(curve["cost"])) for curve in other] == [("grid", 12)]
    assert searched("search.rank=[1]", "search.shards=2").record.curves == ()


def test_text_has_no_accuracy_to_be_searched_for(searched):
    task = SearchedTask()
    task.score = lambda stack, split: FakeScorer(losses, text=True).score(None)  # type: ignore[method-assign]
    with pytest.raises(InputError, match="text has no right answers"):
        searched("search.objective=accuracy", task=task)


def test_a_margin_of_every_example_is_refused_where_accuracy_counts(searched):
    with pytest.raises(InputError, match=r"search.delta 2: .*2 points are search.delta=0.02"):
        searched("search.delta=2")
    searched("search.delta=2", "search.rank=[1]", "search.objective=log_loss")
