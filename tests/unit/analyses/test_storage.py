"""Rank reduction against pruning at equal storage, against scoring each stack by itself."""

import json
from dataclasses import asdict

import pytest
import torch

from laser_lit.analyses.storage import StoragePlan, storage
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.scores import gain_over
from laser_lit.models.matrices import MatrixId
from laser_lit.results.record import jsonable
from laser_lit.results.storage import Storage
from laser_lit.tasks.base import SPLITS

STACK = Stack([Edit(1, "fc_in", rank=3), Edit(2, "out_proj", kind="zero")])  # 128 × 32 and 32 × 32


def found(task, further, shares=(0.5, 0.1), stack=STACK):
    plan = StoragePlan.of(shares, stack, task.matrices)
    return storage(plan, stack.resolve(task.matrices), further)


def test_both_reductions_keep_as_many_numbers(make_task):
    matrices = make_task().matrices
    plan = StoragePlan.of([0.5, 0.1], STACK, matrices)
    assert plan.shares == (0.1, 0.5)
    assert plan.ranks == ((2, 1), (12, 8))  # floor(share · out · in / (out + in))
    for ranks, (low, pruned) in zip(plan.ranks, plan.stacks, strict=True):
        for id, rank, shape in zip(STACK.by_matrix(matrices), ranks, plan.shapes, strict=True):
            with low.applied(matrices):
                assert torch.linalg.matrix_rank(matrices[id].read().double(), rtol=1e-5) == rank
            with pruned.applied(matrices):
                assert int(matrices[id].read().count_nonzero()) == rank * sum(shape)


def test_a_share_that_is_less_than_rank_1_takes_is_rank_1(make_task):
    plan = StoragePlan.of([1e-3, 2e-3, 1.0], STACK, make_task().matrices)
    assert (plan.shares, plan.ranks) == ((1e-3, 1.0), ((1, 1), (25, 16)))


@pytest.mark.parametrize("kind", ["token", "text"])
def test_the_scores_are_those_of_the_stacks(make_task, further_of, kind):
    task = make_task(kind)
    result = found(task, further_of(task))
    assert (result.matrices, result.numbers, result.own) == (2, 128 * 32 + 32 * 32, None)
    assert [point.kept for point in result.points] == [2 * 160 + 64, 12 * 160 + 8 * 64]
    point = result.points[0]
    edits = [(1, "fc_in", 2), (2, "out_proj", 1)]
    for split in SPLITS:
        low, pruned = (
            task.score(Stack([Edit(layer, matrix, rank=rank, kind=how) for layer, matrix, rank in edits]), split)
            for how in ("low_rank", "prune")
        )
        assert point.low_rank[split].log_loss == pytest.approx(task.metrics(low)["log_loss"])
        assert point.pruned[split].log_loss == pytest.approx(task.metrics(pruned)["log_loss"])
        wanted = gain_over(pruned, low, 0)
        assert point.low_rank[split].against.log_loss == pytest.approx(wanted.log_loss, abs=1e-6)
        assert point.pruned[split].against is None


def test_what_the_run_itself_keeps(make_task, further_of):
    task = make_task()
    further = further_of(task)
    assert found(task, further, [0.1], Stack([Edit(1, "fc_in", rank=3)])).own == 3 * 160
    twice = Stack([Edit(1, "fc_in", rank=3), Edit(1, "fc_in", rank=2)], combine="in_order")
    assert found(task, further, [0.1], twice).own is None


def test_whitened_stacks_are_compared_whitened(make_task, monkeypatch):
    class Inputs:
        key = "inputs"

        def expect(self, handles):
            return None

        def covariance(self, handle):
            return torch.eye(handle.shape[1], dtype=torch.float64)

    stack = Stack([Edit(1, "fc_in", rank=3, decomposition="whitened")], calibration=Inputs())
    plan = StoragePlan.of([0.1], stack, make_task().matrices)
    assert plan.whitened
    ((low, pruned),) = plan.stacks
    assert [edit.decomposition for edit in low.edits] == ["whitened"]
    assert [(edit.kind, edit.decomposition) for edit in pruned.edits] == [("prune", "svd")]
    matrices = make_task().matrices
    assert low.resolve(matrices)[0].rank == 2


def test_a_matrix_that_factors_cannot_shorten(make_task):
    class Thin:
        shape = (1, 8)

    class Map(dict):
        def select(self, *place):
            return [MatrixId(0, "fc_in")]

    with pytest.raises(InputError, match=r"analysis.storage: factors of layer 0 fc_in, \(1, 8\), take more"):
        StoragePlan.of([0.5], Stack([Edit(0, "fc_in", rank=1)]), Map({MatrixId(0, "fc_in"): Thin()}))


def test_it_comes_back_from_json(make_task, further_of):
    task = make_task()
    made = found(task, further_of(task))
    assert Storage.of(json.loads(json.dumps(jsonable(asdict(made))))) == made
