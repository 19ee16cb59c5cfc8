"""Rows in blocks: each is truncated as by itself, and a single block is the plain SVD."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg.blocks import BlockFactors, block_factors
from laser_lit.linalg.svd import Factors, factorize


def random_matrix(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


sizes = st.tuples(st.integers(2, 4), st.integers(1, 6), st.integers(1, 12), st.integers(0, 99))


@given(size=sizes)
def test_each_block_is_truncated_as_by_itself(size: tuple[int, int, int, int]) -> None:
    count, rows, columns, seed = size
    W = random_matrix(count * rows, columns, seed)
    factors = block_factors(W, count)
    assert isinstance(factors, BlockFactors)
    assert (factors.shape, factors.rank_max) == (tuple(W.shape), min(rows, columns))
    for rank in range(factors.rank_max + 1):
        parts = [factorize(block).low_rank(rank) for block in W.split(rows)]
        assert torch.equal(factors.low_rank(rank), torch.cat(parts))
        torch.testing.assert_close(factors.low_rank(rank) + factors.high_order(rank), W, atol=1e-5, rtol=0)
    torch.testing.assert_close(factors.low_rank(factors.rank_max), W, atol=1e-5, rtol=0)


@given(size=sizes)
def test_the_theoretical_loss_is_the_measured_one_and_never_above_plain(size: tuple[int, int, int, int]) -> None:
    count, rows, columns, seed = size
    W = random_matrix(count * rows, columns, seed)
    factors, plain = block_factors(W, count), factorize(W)
    for rank in range(factors.rank_max + 1):
        measured = float((W - factors.low_rank(rank)).norm())
        assert measured == pytest.approx(float(factors.S[rank:].norm()), abs=1e-4)
        assert measured <= float((W - plain.low_rank(rank)).norm()) + 1e-4


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 99))
def test_one_block_is_the_plain_svd_bit_for_bit(rows: int, columns: int, seed: int) -> None:
    W = random_matrix(rows, columns, seed)
    factors, plain = block_factors(W, 1), factorize(W)
    assert isinstance(factors, Factors)
    for rank in range(plain.rank_max + 1):
        assert torch.equal(factors.low_rank(rank), plain.low_rank(rank))
        assert torch.equal(factors.high_order(rank), plain.high_order(rank))


def test_float64_stays_float64() -> None:
    assert block_factors(random_matrix(6, 4, 0).double(), 2).low_rank(1).dtype == torch.float64


@pytest.mark.parametrize(("count", "near"), [(5, "4, 6"), (0, "1, 2"), (99, "6, 12")])
def test_a_count_that_does_not_divide_the_rows_is_refused(count: int, near: str) -> None:
    words = rf"{count} blocks for layer 1 fc_in: its 12 rows must divide evenly; near {count} these do: .*{near}"
    with pytest.raises(InputError, match=words):
        block_factors(random_matrix(12, 4, 0), count, "layer 1 fc_in")
