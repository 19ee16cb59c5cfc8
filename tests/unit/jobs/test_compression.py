"""What a search for the smallest model leaves in the record, on a task without a language."""

from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import pytest
import torch
from families import FAMILIES
from searches import ROWS, FakeScorer

from laser_lit.errors import InputError
from laser_lit.jobs.checks import check_evaluation
from laser_lit.jobs.search import Found, search
from laser_lit.models.matrices import find_matrices
from laser_lit.results.compression import Compression
from laser_lit.results.search_record import SearchRecord
from laser_lit.results.store import ResultsStore

BASE = np.linspace(0.5, 1.5, ROWS)


def losses(edits):
    """Attention of layer 0 is needed, each cut of fc_in harms a little, everything else is idle."""
    harm = {"q_proj": 1.0, "k_proj": 1.0, "v_proj": 1.0, "out_proj": 1.0, "fc_in": 0.015}
    return BASE + sum(harm.get(edit.matrix, 0.0) for edit in edits if edit.layer == 0 or edit.matrix == "fc_in")


class SmallTask:
    def __init__(self, losses_of=losses) -> None:
        self.model = FAMILIES["gptj"]().eval()
        self.matrices = find_matrices(self.model)
        self.losses_of = losses_of

    def content(self):
        return {"model": "m"}

    @torch.no_grad()
    def score(self, stack, split):
        self.model(torch.arange(6)[None])
        return FakeScorer(self.losses_of).score(None)

    @contextmanager
    def searching(self, split, cache_gb):
        yield FakeScorer(self.losses_of)

    def describe(self):
        return {"data": {"groups_test": 40}}


@pytest.fixture
def smallest(composed, tmp_path):
    def run(task: SmallTask, *overrides: str) -> Found:
        config = composed("search=smallest", "trainer.progress_bar=false", "search.objective=log_loss", *overrides)
        return search(task, ResultsStore(tmp_path / "results"), config)

    return run


def test_the_record_has_sizes_harm_and_speed(smallest):
    task = SmallTask()
    found = smallest(task, "search.rank=[1]", "search.delta=0.02")
    entry = found.record.compression
    assert (entry.matrices, entry.alone, entry.taken, entry.whole) == (12, 8, 7, 0)
    assert (entry.all_gain, entry.all_bound) == pytest.approx((-0.03, -0.03), abs=1e-6)
    assert (entry.gain, entry.bound) == pytest.approx((-0.015, -0.015), abs=1e-6)
    size = sum(parameter.numel() for parameter in task.model.parameters())
    shapes = [
        task.matrices[id].shape
        for edit in found.laser.stack.edits
        for id in task.matrices.select(edit.layer, edit.matrix)
    ]
    assert entry.parameters == size
    assert entry.parameters_after == size - sum(out * inputs - out - inputs for out, inputs in shapes)
    assert entry.speed_range[0] <= entry.speed <= entry.speed_range[1]
    assert (entry.repeats, entry.passes) == (21, 1)
    assert found.record.chosen < found.record.base
    assert found.cells["not_worse"].isin([True, False]).all()


def test_nothing_is_chosen_in_words_of_its_own(smallest):
    found = smallest(SmallTask(lambda edits: BASE + len(edits)), "search.rank=[1]")
    assert found.laser.stack is None
    assert "none saves storage and is shown to be not worse than the base by 0.01" in found.laser.notes[0]
    entry = found.record.compression
    assert (entry.alone, entry.taken, entry.gain, entry.speed) == (0, 0, None, None)
    assert entry.parameters == entry.parameters_after


def test_the_entry_comes_back_from_a_record_and_may_be_missing(smallest):
    found = smallest(SmallTask(), "search.rank=[1]", "search.delta=0.02").record
    assert SearchRecord(**asdict(found)) == found
    content = {**asdict(found.compression), "speed_range": list(found.compression.speed_range), "later": 1}
    assert Compression.of(content) == found.compression
    old = {name: value for name, value in asdict(found).items() if name not in ("delta", "compression")}
    assert SearchRecord(**old).compression is None


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["search.delta=2", "search.objective=accuracy"], "search.delta 2: a share of the examples"),
        (["search.delta=0"], r"search\.delta 0\.0: must be above 0"),
        (["search.kinds=[low_rank,prune]"], r"search\.kinds=\['prune'\]: only low_rank and zero save storage"),
        (["search.decomposition=blocks", "search.blocks=4"], "blocks leave no two factors"),
        (["search.shards=2"], "search=smallest search.shards=2"),
    ],
)
def test_what_can_make_nothing_smaller_is_refused(composed, tmp_path, monkeypatch, typed, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        check_evaluation(composed("trainer.accelerator=cpu", "search=smallest", *typed))
