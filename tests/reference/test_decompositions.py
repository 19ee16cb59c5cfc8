"""Whitened edits of tinystories-260k, calibrated on real text: cheaper at the output than a plain SVD at every rank."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from laser_lit import Edit, Stack, calibrate, find_matrices, load_model
from laser_lit.linalg.blocks import block_factors
from laser_lit.linalg.svd import factorize
from laser_lit.linalg.whitened import WhitenedFactors, output_norm, whitened_factors
from laser_lit.models.matrices import MatrixMap
from laser_lit.scoring.covariance import Calibration

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def calibrated(shared: Path) -> tuple[nn.Module, MatrixMap, Calibration]:
    """Returns tinystories-260k with the moments of its inputs on the first half of Alice in Wonderland."""
    model, tokenizer = load_model(shared / "checkpoints" / "tinystories-260k")
    text = (shared / "data" / "text" / "alice_in_wonderland.txt").read_text(encoding="utf-8")
    matrices = find_matrices(model)
    calibration = calibrate(model, tokenizer, text[: len(text) // 2], tokens=30_000)
    calibration.expect(list(matrices.values()))
    return model, matrices, calibration


def test_every_rank_of_every_matrix_costs_less_than_plain(
    calibrated: tuple[nn.Module, MatrixMap, Calibration],
) -> None:
    _, matrices, calibration = calibrated
    assert len(matrices) == 35
    for id, handle in matrices.items():
        W, C = handle.read().double(), calibration.covariance(handle)
        plain, whitened = factorize(W, dtype=torch.float64), whitened_factors(W, C, name=str(id))
        assert whitened.basis.ridge == 0
        for rank in range(1, min(W.shape)):
            measured = output_norm(W - whitened.low_rank(rank), C)
            assert measured == pytest.approx(whitened.output_error(rank), rel=1e-4), (id, rank)
            assert measured < output_norm(W - plain.low_rank(rank), C), (id, rank)


def test_the_edited_model_loses_at_the_output_what_theory_says(shared: Path) -> None:
    """The weights in their own float32, and the activations themselves rather than their moments."""
    model, tokenizer = load_model(shared / "checkpoints" / "tinystories-260k")
    ids = tokenizer("Alice was beginning to get very tired of sitting by her sister on the bank. " * 9)["input_ids"]
    matrices, calibration = find_matrices(model), Calibration(model, [tuple(ids)])
    for id, handle in matrices.items():
        X = entering(model, handle.name, ids)  # (in, tokens)
        W = handle.read()
        theory = whitened_factors(W, calibration.covariance(handle))
        for rank in (1, min(W.shape) // 2):
            edit = Edit(id.layer, id.matrix, rank=rank, decomposition="whitened")
            with Stack([edit], calibration=calibration).applied(matrices) as (row,):
                lost = (handle.read().double() - W.double()) @ X
            assert float(lost.norm()) == pytest.approx(theory.output_error(rank), rel=1e-4), (id, rank)
            assert row.output_error == pytest.approx(float(lost.norm() / (W.double() @ X).norm()), rel=1e-4)


def entering(model: nn.Module, name: str, ids: list[int]) -> Tensor:
    """Returns what enters a weight, (in, tokens)."""
    seen: list[Tensor] = []
    hook = model.get_submodule(name.removesuffix(".weight")).register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    with torch.no_grad():
        model(torch.tensor([ids]))
    hook.remove()
    return seen[0][0].double().T


def test_blocks_of_one_are_the_plain_svd(calibrated: tuple[nn.Module, MatrixMap, Calibration]) -> None:
    _, matrices, _ = calibrated
    for handle in matrices.values():
        W = handle.read()
        one, plain = block_factors(W, 1), factorize(W)
        assert not isinstance(one, WhitenedFactors)
        assert all(torch.equal(one.low_rank(rank), plain.low_rank(rank)) for rank in range(min(W.shape) + 1))
