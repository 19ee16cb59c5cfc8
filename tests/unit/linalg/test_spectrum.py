"""Singular values without vectors: as exact as LAPACK's, whatever the shape, the scale and the condition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg import spectrum
from laser_lit.linalg.spectrum import WORST_CONDITION, singular_values


def exact(W: Tensor) -> np.ndarray:
    return np.linalg.svd(W.double().numpy(), compute_uv=False)


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16]),
)
def test_any_shape_and_dtype(rows: int, columns: int, seed: int, dtype: torch.dtype) -> None:
    W = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).to(dtype)
    before = W.clone()
    S = singular_values(W)
    assert S.dtype == torch.float64
    assert torch.equal(W, before)
    np.testing.assert_allclose(S.numpy(), exact(W), rtol=1e-9, atol=1e-11 * float(S[0]))
    assert torch.equal(S, S.sort(descending=True).values)


@pytest.mark.parametrize("slab", [1, 100, 10**9])
@pytest.mark.parametrize("shape", [(13, 50), (50, 13), (64, 64), (7, 7)])
def test_slabs_and_blocks_add_up(shape: tuple[int, int], slab: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum, "_SLAB", slab)
    W = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(singular_values(W).numpy(), exact(W), rtol=1e-9)


@pytest.mark.parametrize("shape", [(9, 40), (40, 9)])
def test_the_gram_matrix_is_that_of_the_short_side(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    gram, sides = spectrum._gram, []
    monkeypatch.setattr(spectrum, "_gram", lambda W, scale: sides.append(len(W)) or gram(W, scale))
    singular_values(torch.randn(shape, generator=torch.Generator().manual_seed(6)))
    assert sides == [9]


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e30])
def test_squares_neither_overflow_nor_vanish(scale: float) -> None:
    W = torch.randn(20, 30, generator=torch.Generator().manual_seed(2)).double() * scale * scale
    np.testing.assert_allclose(singular_values(W).numpy(), exact(W), rtol=1e-9)


@pytest.mark.parametrize("condition", [1e2, WORST_CONDITION / 2, WORST_CONDITION * 2, 1e12])
@pytest.mark.parametrize("shape", [(60, 60), (40, 90), (90, 40)])
def test_small_values_are_right_at_any_condition(shape: tuple[int, int], condition: float) -> None:
    rng = np.random.default_rng(3)
    d = min(shape)
    S = np.logspace(0, -np.log10(condition), d)
    U, V = (np.linalg.qr(rng.normal(size=(side, d)))[0] for side in shape)
    found = singular_values(torch.tensor((U * S) @ V.T)).numpy()
    np.testing.assert_allclose(found, S, rtol=1e-9, atol=1e-11 if condition < WORST_CONDITION else 1e-15)


def test_vanishing_values_vanish() -> None:
    generator = torch.Generator().manual_seed(4)
    W = torch.randn(80, 5, generator=generator).double() @ torch.randn(5, 50, generator=generator).double()
    S = singular_values(W)
    assert float(S[5:].max()) < 1e-13 * float(S[0])
    assert torch.equal(singular_values(torch.zeros(4, 9)), torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize(
    "W", [torch.full((3, 4), float("nan")), torch.ones(3), torch.tensor(3.0), torch.ones(2, 0), torch.ones(2, 2).int()]
)
def test_wrong_matrices_are_named(W: Tensor) -> None:
    with pytest.raises(InputError, match="layer 0 q_proj"):
        singular_values(W, "layer 0 q_proj")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_same_on_cuda() -> None:
    W = torch.randn(300, 700, generator=torch.Generator().manual_seed(5))
    np.testing.assert_allclose(singular_values(W, device="cuda").numpy(), exact(W), rtol=1e-9)
