"""Searches over other components than a plain SVD's: candidates, their names, their predictions."""

from collections.abc import Callable

import pytest
import torch
from families import FAMILIES, inputs_of
from omegaconf import DictConfig
from torch import Tensor, nn

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.check_search import check_search
from laser_lit.linalg.cache import FactorCache
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.scoring.covariance import Calibration
from laser_lit.search.slopes import forecasts
from laser_lit.search.space import Space, describe

STEP = 2e-3
HOW = [{"decomposition": "whitened"}, {"decomposition": "blocks", "blocks": 2}]


def loss_of(model: nn.Module) -> Tensor:
    return model(**inputs_of(model)).logits.double().square().mean()


def measured(model: nn.Module, matrices: MatrixMap, stack: Stack) -> float:
    """Returns the slope of the loss from the weights towards the edited ones, by central differences."""
    (edit,) = stack.edits
    handle = matrices[matrices.select(edit.layer, edit.matrix)[0]]
    before = handle.read()
    with stack.applied(matrices):
        after = handle.read()
    ends = []
    for step in (STEP, -STEP):
        handle.write(before + step * (after - before))
        ends.append(float(loss_of(model).detach()))
    handle.write(before)
    return (ends[0] - ends[1]) / (2 * STEP)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("family", ["gpt_neox", "llama"])
def test_prediction_and_size_are_those_of_the_replacement(
    family: str, how: dict[str, object], cache: FactorCache
) -> None:
    model = FAMILIES[family]().double()
    matrices = find_matrices(model)
    calibration = Calibration(model, [(5, 6, 7, 8, 9, 10, 11, 12), (9, 3, 4)])
    kinds = ("low_rank", "high_order", "zero")
    space = Space.of(matrices, [-1], rhos=[0.3, 0.6], kinds=kinds, **how)  # type: ignore[arg-type]
    found = forecasts(*(lambda: iter([loss_of(model)]), matrices, space.edits), cache=cache, calibration=calibration)
    assert set(found) == set(space.edits)
    for edit, forecast in found.items():
        stack = Stack([edit], cache=cache, calibration=calibration)
        assert forecast.change == pytest.approx(measured(model, matrices, stack), rel=3e-2, abs=1e-5)
        (row,) = stack.resolve(matrices)
        assert forecast.size == pytest.approx(row.relative_error, rel=1e-4)


@pytest.fixture(name="cache")
def private_factors(tmp_path: object) -> FactorCache:
    return FactorCache(f"{tmp_path}/factors")


def test_candidates_have_the_ranks_of_their_components(matrices: MatrixMap) -> None:
    space = Space.of(matrices, 0, ["q_proj", "fc_in"], rhos=[0.5], kinds=["low_rank", "zero"], **HOW[1])
    assert space.edits == (
        Edit(0, "q_proj", rank=4, **HOW[1]),  # blocks of 8 by 16
        Edit(0, "q_proj", kind="zero"),
        Edit(0, "fc_in", rank=8, **HOW[1]),  # blocks of 32 by 16
        Edit(0, "fc_in", kind="zero"),
    )
    assert describe(space.edits[:1]) == "layer 0 q_proj rank 4 in 2 blocks"
    assert describe((Edit(0, "q_proj", rank=4, kind="high_order", **HOW[0]),)) == (
        "layer 0 q_proj high_order rank 4 whitened"
    )
    with pytest.raises(InputError, match="3 blocks for layer 0 q_proj: its 16 rows must divide evenly"):
        Space.of(matrices, decomposition="blocks", blocks=3)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["search.decomposition=whitend"], "nearest: whitened"),
        (["search.blocks=4"], "search.decomposition=svd search.blocks=4: decomposition svd with blocks 4"),
        (["search.decomposition=blocks"], "decomposition blocks with no blocks"),
        (["search.decomposition=whitened", "search.rule=energy"], "rank rules see the singular values of a matrix"),
    ],
)
def test_what_cannot_be_meant(composed: Callable[..., DictConfig], typed: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_search(composed("model=local", "model.path=x", "search=grid", *typed), 1)


def test_the_searches_by_a_rule_take_a_plain_svd(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(InputError, match="and another search than rmt and snr"):
        check_search(composed("model=local", "model.path=x", "search=snr", "search.decomposition=whitened"), 1)


def test_float32_models_are_predicted_too() -> None:
    model = FAMILIES["gptj"]()
    matrices = find_matrices(model)
    edit = Edit(0, "fc_in", rank=3, decomposition="blocks", blocks=4)
    found = forecasts(lambda: iter([loss_of(model)]), matrices, [edit])
    assert torch.isfinite(torch.tensor(found[edit].change))
