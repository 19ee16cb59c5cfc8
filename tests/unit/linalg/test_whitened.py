"""Truncation by what it costs at the output: as predicted, and never worse than plain SVD."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg.svd import factorize
from laser_lit.linalg.whitened import RIDGES, WhitenedFactors, cholesky, output_basis, output_norm, whitened_factors

METHODS = ("auto", "exact", "gram")


@st.composite
def problems(draw: st.DrawFn, tokens: tuple[int, int] = (13, 40)) -> tuple[Tensor, Tensor]:
    """Matrices (out, in) with inputs X (in, tokens) whose directions differ in size by up to 1e4."""
    rows, columns = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = 10.0 ** rng.uniform(-draw(st.integers(0, 4)), 0, size=(columns, 1))
    mixing = np.linalg.qr(rng.normal(size=(columns, columns)))[0]
    X = mixing @ (sizes * rng.normal(size=(columns, draw(st.integers(*tokens)))))
    return torch.from_numpy(rng.normal(size=(rows, columns))), torch.from_numpy(X)


def output_error(W: Tensor, other: Tensor, X: Tensor) -> float:
    return float(((W - other) @ X).norm())


@given(problem=problems(), method=st.sampled_from(METHODS))
def test_the_theoretical_loss_is_the_measured_one_and_never_above_plain(
    problem: tuple[Tensor, Tensor], method: str
) -> None:
    W, X = problem
    factors, plain = whitened_factors(W, X @ X.T, method), factorize(W, "exact", dtype=torch.float64)
    whole = float((W @ X).norm())
    assert factors.basis.ridge == 0
    for rank in range(min(W.shape) + 1):
        measured = output_error(W, factors.low_rank(rank), X)
        assert measured == pytest.approx(factors.output_error(rank), rel=1e-6, abs=1e-9 * whole)
        assert measured <= output_error(W, plain.low_rank(rank), X) + 1e-9 * whole
        assert factors.relative_output_error(rank) * whole == pytest.approx(measured, abs=1e-9 * whole)
        rest = output_error(W, factors.high_order(rank), X)
        assert factors.relative_output_error(rank, "high_order") * whole == pytest.approx(rest, abs=1e-7 * whole)
        assert output_norm(W - factors.low_rank(rank), X @ X.T) == pytest.approx(measured, abs=1e-7 * whole)


@given(problem=problems())
def test_it_is_the_truncation_that_svd_llm_writes(problem: tuple[Tensor, Tensor]) -> None:
    W, X = problem
    L = torch.linalg.cholesky(X @ X.T)
    U, S, Vh = torch.linalg.svd(W @ L, full_matrices=False)
    factors = whitened_factors(W, X @ X.T, "exact")
    for rank in range(len(S) + 1):
        if 0 < rank < len(S) and S[rank - 1] - S[rank] < 1e-6 * S[0]:
            continue  # as close as this the best truncation is ambiguous
        written = torch.linalg.solve_triangular(L, (U[:, :rank] * S[:rank]) @ Vh[:rank], upper=False, left=False)
        torch.testing.assert_close(factors.low_rank(rank), written, atol=1e-4, rtol=1e-4)


@given(problem=problems(tokens=(1, 40)), method=st.sampled_from(METHODS))
def test_all_components_multiply_back_and_parts_add_up(problem: tuple[Tensor, Tensor], method: str) -> None:
    W, X = problem
    factors = whitened_factors(W, X @ X.T, method)
    d = min(W.shape)
    assert (factors.rank_max, len(factors.S), factors.shape) == (d, d, tuple(W.shape))
    torch.testing.assert_close(factors.low_rank(d), W, atol=1e-6, rtol=0)
    identity = torch.eye(d, dtype=torch.float64)
    torch.testing.assert_close(factors.basis.U.T @ factors.basis.U, identity, atol=1e-6, rtol=0)
    for rank in (0, d // 2, d):
        torch.testing.assert_close(factors.low_rank(rank) + factors.high_order(rank), W, atol=1e-12, rtol=0)
        A, B = factors.thin(rank)
        assert (A.shape, B.shape) == ((W.shape[0], rank), (rank, W.shape[1]))
        torch.testing.assert_close(A @ B, factors.low_rank(rank))


@given(problem=problems(tokens=(1, 4)))
def test_too_little_text_gets_the_smallest_ridge_that_helps(problem: tuple[Tensor, Tensor]) -> None:
    W, X = problem
    C = X @ X.T
    _, ridge = cholesky(C, len(C))
    mean = float(C.diagonal().mean())
    assert ridge <= 1e-10 * mean
    if ridge:
        number = min(range(len(RIDGES)), key=lambda n: abs(RIDGES[n] * mean - ridge))
        smaller = RIDGES[number - 1] * mean
        assert int(torch.linalg.cholesky_ex(C + smaller * torch.eye(len(C), dtype=C.dtype)).info)
    factors, whole = whitened_factors(W, C), float((W @ X).norm())
    plain = factorize(W, "exact", dtype=torch.float64)
    for rank in range(min(W.shape) + 1):
        measured = output_error(W, factors.low_rank(rank), X)
        assert measured == pytest.approx(factors.output_error(rank), abs=1e-4 * whole)
        assert measured <= output_error(W, plain.low_rank(rank), X) + 1e-4 * whole


def test_white_inputs_make_it_a_plain_svd() -> None:
    W = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    factors, plain = whitened_factors(W, torch.eye(5, dtype=torch.float64)), factorize(W, dtype=torch.float64)
    torch.testing.assert_close(factors.S, plain.S)
    for rank in range(6):
        torch.testing.assert_close(factors.low_rank(rank), plain.low_rank(rank))


def test_outputs_without_full_rank_have_an_orthonormal_basis() -> None:
    generator = torch.Generator().manual_seed(3)
    W = torch.randn(20, 3, dtype=torch.float64, generator=generator) @ torch.randn(
        3, 6, dtype=torch.float64, generator=generator
    )
    U = output_basis(W, torch.eye(6, dtype=torch.float64)).U
    torch.testing.assert_close(U.mT @ U, torch.eye(6, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_factors_of_narrow_matrices_are_float32(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    W = torch.randn(6, 8, generator=generator).to(dtype)
    X = torch.randn(8, 20, generator=generator).double()
    factors = whitened_factors(W, X @ X.T)
    parts = (factors.basis.U, factors.S, factors.low_rank(2), factors.high_order(2), *factors.thin(2))
    assert {part.dtype for part in parts} == {torch.float32}
    torch.testing.assert_close(factors.low_rank(6), W.float(), atol=1e-5, rtol=0)


def test_a_part_of_the_basis_does_the_very_same() -> None:
    generator = torch.Generator().manual_seed(2)
    W = torch.randn(48, 32, generator=generator)
    X = torch.randn(32, 99, generator=generator).double()
    factors = whitened_factors(W, X @ X.T)
    part = WhitenedFactors(W, factors.basis.first(5))
    assert torch.equal(part.low_rank(5), factors.low_rank(5))
    assert torch.equal(part.high_order(5), factors.high_order(5))
    assert part.output_error(5) == factors.output_error(5)
    assert part.rank_max == 5
    assert part.basis.U.untyped_storage().nbytes() == 48 * 5 * 4
    with pytest.raises(InputError, match=r"rank 6 for a 48 by 32 matrix: 0 … 5"):
        part.low_rank(6)


def test_a_matrix_of_zeros_puts_out_nothing() -> None:
    factors = whitened_factors(torch.zeros(4, 3), torch.eye(3))
    assert factors.relative_output_error(0) == 0
    assert not factors.low_rank(2).any()
    assert all(torch.isfinite(piece.Vh).all() for piece in factors.pieces())


@pytest.mark.parametrize(
    ("C", "words"),
    [
        (torch.eye(4), "must be square"),
        (torch.full((3, 3), float("nan")), "not finite"),
        (torch.eye(3).index_fill(1, torch.tensor([0]), float("nan")).fill_diagonal_(1.0), "far from"),
        (torch.zeros(3, 3), "vanish on the calibration text"),
        (torch.diag(torch.tensor([1.0, 1.0, -0.5])), "far from positive semidefinite"),
    ],
)
def test_what_is_no_second_moment_is_refused(C: Tensor, words: str) -> None:
    with pytest.raises(InputError, match=f"layer 3 fc_in.*{words}|{words}.*layer 3 fc_in|{words}"):
        output_basis(torch.randn(5, 3), C, name="layer 3 fc_in")


def test_other_methods_and_matrices_are_refused() -> None:
    with pytest.raises(InputError, match="whitened takes auto, exact or gram"):
        output_basis(torch.eye(3), torch.eye(3), "randomized")
    with pytest.raises(InputError, match="1 NaN or infinite entries"):
        output_basis(torch.tensor([[1.0, float("nan")]]), torch.eye(2))
