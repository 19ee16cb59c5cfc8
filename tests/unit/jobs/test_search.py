"""What a search says of itself, on a task without a language."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES
from searches import ROWS, FakeScorer

from laser_lit.errors import InputError
from laser_lit.jobs.search import Found, search
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
    assert (record.candidates, record.scored, record.failed, record.cost) == (8, 4, 4, 4.0)
    assert (record.base, record.chosen) == (0.5, 22 / ROWS)
    assert found.objective == record.chosen
    assert record.improving == 1  # what harms as surely is none
    assert record.adjusted_p is not None
    assert record.adjusted_p <= 0.05
    table = FakeScorer(losses).score(None)
    gains = (losses(found.laser.stack.edits) < 1) * 1.0 - (BASE < 1)
    assert record.detectable == pytest.approx(detectable_gain(gains, table["group"].to_numpy(), 40))
    assert found.laser.provenance == (
        "search=grid on validation: 8 candidates, 4 stacks scored in full, at the cost of 4.0 such stacks"
    )


def test_a_search_in_which_everything_fails_says_why(searched):
    with pytest.raises(InputError, match=r"none of the 12 stacks .* ValueError: overflows.*search.retry=true"):
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
