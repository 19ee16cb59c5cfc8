"""How many components a share or a rate keeps."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.errors import InputError
from laser_lit.linalg.rank import rank_from_rate, rank_from_rho, rho_from_rate, rho_of, smallest_rho


@given(hundredths=st.integers(0, 10_000), d=st.integers(1, 5000))
def test_rho_counts_as_typed(hundredths: int, d: int) -> None:
    expected = Fraction(hundredths, 10_000) * d // 1
    typed = f"{Decimal(hundredths) / 10_000:f}"
    for rho in (typed, float(typed), np.float64(typed), np.float32(typed)):
        if expected:
            assert rank_from_rho(rho, d) == expected
        else:
            with pytest.raises(InputError, match="smallest valid rho"):
                rank_from_rho(rho, d)


def test_floats_that_multiply_to_just_below_a_whole_number() -> None:
    assert 0.29 * 100 < 29
    assert rank_from_rho(0.29, 100) == 29
    assert rank_from_rho(1e-2, 4096) == 40
    assert rank_from_rho(1, 64) == 64
    assert rank_from_rate(9.9, 100) == 1
    assert rank_from_rate("9.95", 4096) == 20
    assert rank_from_rate(0, 7) == 7


@given(d=st.integers(1, 10**9))
def test_the_smallest_rho_keeps_one_and_is_short(d: int) -> None:
    rho = smallest_rho(d)
    assert rank_from_rho(rho, d) == 1
    assert len(rho.as_tuple().digits) <= 10


@given(data=st.data(), d=st.integers(1, 10**8))
def test_rho_of_tells_every_count_apart(data: st.DataObject, d: int) -> None:
    kept = data.draw(st.integers(1, d))
    assert rank_from_rho(rho_of(kept, d), d) == kept
    assert rank_from_rho(float(rho_of(kept, d)), d) == kept


def test_a_share_that_keeps_nothing_names_the_smallest() -> None:
    with pytest.raises(InputError) as caught:
        rank_from_rho(0.01, 64, "layer 4 fc_in")
    assert str(caught.value) == (
        "rho 0.01 for layer 4 fc_in: keeps 0 of 64; the smallest valid rho is 0.015625 (kind=zero removes the matrix)"
    )
    with pytest.raises(InputError, match=r"smallest valid rho is 0\.333334 "):
        rank_from_rho(0, 3)


@pytest.mark.parametrize("rho", [1.7, -0.1, "2", 1.0000001])
def test_shares_out_of_range(rho: float) -> None:
    with pytest.raises(InputError, match=rf"^rho {rho} for layer 27 fc_in: must lie in \[0, 1\]$"):
        rank_from_rho(rho, 64, "layer 27 fc_in")


@pytest.mark.parametrize("rate", [10, 10.5, -1, "-0.5"])
def test_rates_out_of_range(rate: float) -> None:
    with pytest.raises(InputError, match=rf"^rate {rate} for layer 1 fc_in: must lie in \[0, 10\)"):
        rank_from_rate(rate, 64, "layer 1 fc_in")


@pytest.mark.parametrize("value", ["a", True, None, float("nan"), "inf", [0.1]])
def test_shares_that_are_no_numbers(value: object) -> None:
    with pytest.raises(InputError, match="must be a number"):
        rank_from_rho(value, 64)
    with pytest.raises(InputError, match="must be a number"):
        rank_from_rate(value, 64)


def test_rates_become_shares_exactly() -> None:
    assert rho_from_rate(9.9) == Decimal("0.01")
    assert rho_from_rate(0.1) == Decimal("0.99")
