"""Factorizations against numpy, over shapes, spectra and methods."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg.svd import WORST_CONDITION, Factors, factorize

EXACT = ("auto", "exact", "gram")
sizes = st.integers(1, 12)


@st.composite
def matrices(draw: st.DrawFn) -> Tensor:
    """Matrices of any shape and rank, zero among them."""
    rows, columns = draw(sizes), draw(sizes)
    rank = draw(st.integers(0, min(rows, columns)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10.0 ** draw(st.integers(-6, 6))
    return torch.tensor(rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns)) * scale, dtype=torch.float32)


def with_spectrum(rows: int, columns: int, S: np.ndarray, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.normal(size=(rows, len(S))))[0]
    V = np.linalg.qr(rng.normal(size=(columns, len(S))))[0]
    return torch.from_numpy(U * S @ V.T)


def norm(W: Tensor) -> float:
    return float(torch.linalg.vector_norm(W, dtype=torch.float64))


def off_orthogonal(factors: Factors) -> float:
    identity = torch.eye(factors.rank_max, dtype=torch.float64)
    U, Vh = factors.U.double(), factors.Vh.double()
    return max(float((U.T @ U - identity).abs().max()), float((Vh @ Vh.T - identity).abs().max()))


@given(W=matrices(), method=st.sampled_from(["auto", "exact"]))
def test_factors_are_orthonormal_descending_and_multiply_to_the_matrix(W: Tensor, method: str) -> None:
    factors = factorize(W, method)
    assert factors.shape == tuple(W.shape)
    assert factors.error is None
    assert off_orthogonal(factors) < 1e-5
    assert bool((factors.S >= 0).all())
    assert bool((factors.S.diff() <= 0).all())
    assert norm(factors.low_rank(factors.rank_max) - W) <= 1e-5 * norm(W)


@given(W=matrices(), share=st.floats(0, 1), method=st.sampled_from(EXACT))
def test_no_matrix_of_the_rank_is_nearer(W: Tensor, share: float, method: str) -> None:
    factors = factorize(W, method)
    rank = int(share * factors.rank_max)
    best = float(np.sqrt((np.linalg.svd(W.double().numpy(), compute_uv=False)[rank:] ** 2).sum()))
    tolerance = 1e-5 * norm(W)
    assert norm(factors.low_rank(rank).double() - W.double()) <= best + tolerance
    assert factors.relative_error(rank) * norm(W) == pytest.approx(best, abs=tolerance)
    assert torch.linalg.matrix_rank(factors.low_rank(rank).double(), rtol=1e-5) <= rank


@given(W=matrices(), share=st.floats(0, 1))
def test_low_rank_and_high_order_add_up(W: Tensor, share: float) -> None:
    factors = factorize(W)
    rank = int(share * factors.rank_max)
    low, high = factors.low_rank(rank), factors.high_order(rank)
    assert norm(low + high - W) <= 1e-5 * norm(W)
    assert abs(float((low.double() * high.double()).sum())) <= 1e-5 * norm(W) ** 2


@given(W=matrices(), share=st.floats(0, 1), method=st.sampled_from(EXACT))
def test_the_transpose_has_the_transposed_truncation(W: Tensor, share: float, method: str) -> None:
    S = np.linalg.svd(W.double().numpy(), compute_uv=False)
    rank = int(share * len(S))
    if 0 < rank < len(S) and S[rank - 1] - S[rank] < 1e-3 * S[0]:
        return  # neighbours as close as this make the best truncation ambiguous
    truncated, transposed = factorize(W, method).low_rank(rank), factorize(W.T, method).low_rank(rank)
    assert norm(truncated - transposed.T) <= 1e-4 * norm(W)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1, 1)])
@pytest.mark.parametrize("method", [*EXACT, "randomized"])
def test_vectors(shape: tuple[int, int], method: str) -> None:
    W = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    factors = factorize(W, method, rank=1)
    assert float(factors.S[0]) == pytest.approx(norm(W))
    torch.testing.assert_close(factors.low_rank(1), W)


@pytest.mark.parametrize("method", [*EXACT, "randomized"])
@pytest.mark.parametrize("shape", [(4, 6), (6, 4)])
def test_zero_matrix(shape: tuple[int, int], method: str) -> None:
    factors = factorize(torch.zeros(shape), method, rank=2)
    assert factors.S.tolist() == [0, 0]
    assert torch.equal(factors.low_rank(2), torch.zeros(shape))
    assert factors.relative_error(0) == 0
    assert factors.error == 0
    assert off_orthogonal(factorize(torch.zeros(shape), "exact")) < 1e-6


@pytest.mark.parametrize("rows", [40, 90])
def test_auto_takes_gram_only_where_it_keeps_both_sides_orthogonal(rows: int) -> None:
    fine = with_spectrum(rows, 60, np.geomspace(1, 1.1 / WORST_CONDITION, min(rows, 60))).float()
    rough = with_spectrum(rows, 60, np.geomspace(1, 1e-8, min(rows, 60))).float()
    assert factorize(fine).method == "gram"
    assert factorize(rough).method == "exact"
    assert off_orthogonal(factorize(fine)) < 1e-5
    assert off_orthogonal(factorize(rough)) < 1e-5


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("scale", [1e-160, 1.0, 1e160])
def test_double_precision_keeps_small_singular_values(method: str, scale: float) -> None:
    S = np.array([1.0, 0.1, 1e-6]) * scale
    factors = factorize(with_spectrum(9, 3, S), method, dtype=torch.float64)
    np.testing.assert_allclose(factors.S.numpy(), S, rtol=1e-9)


@pytest.mark.parametrize("method", [*EXACT, "randomized"])
def test_autocast_does_not_coarsen_factors(method: str) -> None:
    W = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
    plain = factorize(W, method, rank=5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        factors = factorize(W, method, rank=5)
        low = factors.low_rank(5)
    assert torch.equal(low, plain.low_rank(5))
    assert factors.error == pytest.approx(plain.error, rel=1e-9)


@pytest.mark.parametrize("method", [*EXACT, "randomized"])
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(torch.float32, 1e-30), (torch.float32, 3e37), (torch.float64, 1e-170), (torch.float64, 1e160)],
)
def test_errors_are_numbers_at_any_scale(method: str, dtype: torch.dtype, scale: float) -> None:
    W = with_spectrum(9, 5, np.array([5.0, 4, 3, 2, 1])) * scale
    factors = factorize(W.to(dtype), method, rank=3, dtype=dtype)
    np.testing.assert_allclose(factors.S.double().numpy() / scale, [5, 4, 3], rtol=1e-5)
    assert factors.error == pytest.approx((5 / 55) ** 0.5, rel=1e-4)
    assert factors.relative_error(1) == pytest.approx((30 / 55) ** 0.5, rel=1e-4)


def test_singular_values_that_the_type_cannot_hold_are_refused() -> None:
    for W in (torch.full((5, 4), 3e38), torch.full((5, 4), 1e200, dtype=torch.float64)):
        with pytest.raises(InputError, match=r"layer 3 fc_in has entries up to .*: its singular values overflow"):
            factorize(W, name="layer 3 fc_in")


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), method=st.sampled_from(["auto", "exact", "gram", "randomized"]))
def test_the_same_matrix_gives_the_same_bits_with_signs_fixed(seed: int, method: str) -> None:
    W = torch.randn(9, 6, generator=torch.Generator().manual_seed(seed))
    first, second = (factorize(W.clone(), method, rank=4, seed=seed) for _ in range(2))
    assert torch.equal(first.U, second.U)
    assert torch.equal(first.S, second.S)
    assert torch.equal(first.Vh, second.Vh)
    assert bool((first.U.gather(0, first.U.abs().argmax(0, keepdim=True)) > 0).all())


@pytest.mark.parametrize("method", EXACT)
def test_a_truncation_knows_its_error(method: str) -> None:
    W = with_spectrum(8, 5, np.array([5.0, 4, 3, 2, 1])).float()
    whole, part = factorize(W, method), factorize(W, method, rank=3)
    assert part.rank_max == 3
    assert part.error == pytest.approx((5 / 55) ** 0.5, rel=1e-5)
    for rank in range(4):
        assert part.relative_error(rank) == pytest.approx(whole.relative_error(rank), rel=1e-5)
    with pytest.raises(InputError, match="3 of 5 components"):
        part.high_order(1)


@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_randomized_measures_its_own_error(shape: tuple[int, int]) -> None:
    W = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    exact = factorize(W)
    for oversampling, n_iter in [(0, 0), (0, 1), (10, 4)]:
        factors = factorize(W, "randomized", rank=8, seed=1, oversampling=oversampling, n_iter=n_iter)
        assert factors.method == "randomized"
        assert off_orthogonal(factors) < 1e-5
        for rank in (2, 8):
            measured = norm(W - factors.low_rank(rank)) / norm(W)
            assert factors.relative_error(rank) == pytest.approx(measured, rel=1e-5)
            assert measured >= exact.relative_error(rank) - 1e-6
        assert factors.error == pytest.approx(factors.relative_error(8))
    assert factors.error == pytest.approx(exact.relative_error(8), rel=1e-2)


def test_randomized_depends_on_its_seed_alone() -> None:
    W = torch.randn(30, 20, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(0)
    first = factorize(W, "randomized", rank=5, seed=1, n_iter=0)
    torch.manual_seed(1)
    assert torch.equal(factorize(W, "randomized", rank=5, seed=1, n_iter=0).U, first.U)
    assert not torch.equal(factorize(W, "randomized", rank=5, seed=2, n_iter=0).U, first.U)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_any_floating_type_gives_float32_factors(dtype: torch.dtype) -> None:
    W = torch.randn(6, 9, generator=torch.Generator().manual_seed(0)).to(dtype)
    factors = factorize(W)
    assert {factors.U.dtype, factors.S.dtype, factors.Vh.dtype} == {torch.float32}
    torch.testing.assert_close(factors.low_rank(6), W.float())


def test_factors_made_in_inference_mode_can_be_used_outside() -> None:
    with torch.inference_mode():
        factors = factorize(torch.randn(4, 3))
    assert not factors.U.is_inference()
    weights = torch.ones(3, requires_grad=True)
    (factors.U * weights).sum().backward()
    assert weights.grad is not None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("method", [*EXACT, "randomized"])
def test_entries_that_are_no_numbers_are_refused_by_name(bad: float, method: str) -> None:
    W = torch.ones(3, 4)
    W[1, 2] = bad
    with pytest.raises(InputError, match=r"layer 27 fc_in has 1 NaN or infinite entries of 12"):
        factorize(W, method, rank=1, name="layer 27 fc_in")


@pytest.mark.parametrize(
    ("W", "arguments", "says"),
    [
        (torch.ones(3), {}, r"shape \(3,\)"),
        (torch.ones(0, 3), {}, "non-empty"),
        (torch.ones(3, 3, dtype=torch.int8), {}, "int8"),
        (torch.ones(3, 3), {"method": "gramm"}, "nearest: gram"),
        (torch.ones(3, 3), {"method": "randomized"}, "name the rank"),
        (torch.ones(3, 3), {"rank": 4}, r"1 … 3"),
        (torch.ones(3, 3), {"rank": 0}, r"1 … 3"),
        (torch.ones(3, 3), {"dtype": torch.float16}, "float32 or float64"),
        (torch.ones(3, 3), {"oversampling": -1}, "oversampling -1"),
        (torch.ones(3, 3), {"n_iter": -1}, "n_iter -1"),
    ],
)
def test_wrong_arguments(W: Tensor, arguments: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        factorize(W, **arguments)


def test_ranks_out_of_range_are_refused() -> None:
    factors = factorize(torch.ones(3, 2))
    for call in (factors.low_rank, factors.high_order, factors.relative_error):
        for rank in (-1, 3):
            with pytest.raises(InputError, match=r"0 … 2"):
                call(rank)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", [*EXACT, "randomized"])
@pytest.mark.parametrize("shape", [(60, 40), (40, 60), (1, 9)])
def test_cuda_finds_the_same_truncation(method: str, shape: tuple[int, int]) -> None:
    W = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    rank = min(8, *shape)
    factors = factorize(W.cuda(), method, rank=rank)
    assert {factors.U.device.type, factors.S.device.type, factors.Vh.device.type} == {"cuda"}
    here = factorize(W, method, rank=rank)
    torch.testing.assert_close(factors.low_rank(rank).cpu(), here.low_rank(rank), atol=1e-4, rtol=0)
