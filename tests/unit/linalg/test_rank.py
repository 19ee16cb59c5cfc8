"""How many components a share, a rate or a rule keeps."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.errors import InputError, UnknownNameError
from laser_lit.linalg.rank import (
    RULES,
    rank_from_rate,
    rank_from_rho,
    rank_from_rule,
    rho_from_rate,
    rho_of,
    rule_named,
    smallest_rho,
)
from laser_lit.linalg.svd import factorize


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


def test_energy_keeps_the_fewest_that_reach_the_share() -> None:
    S = torch.tensor([3.0, 2.0, 1.0, 1.0, 1.0])  # squares 9 4 1 1 1 of 16
    for share, rank in [(0.5, 1), (9 / 16, 1), (0.57, 2), (13 / 16, 2), (0.9, 4), (1, 5)]:
        assert RULES["energy"](S, (5, 9), share) == rank
    assert rule_named("energy")(S, (5, 9)) == 5
    assert rule_named("energy:0.9")(S, (5, 9)) == 4
    assert rule_named("energy:1")(torch.tensor([1.0, 0.0]), (2, 2)) == 1


def test_entropy_is_the_effective_rank() -> None:
    assert RULES["entropy"](torch.ones(7), (7, 7)) == 7
    assert RULES["entropy"](torch.tensor([1.0, 0, 0]), (3, 3)) == 1
    p = np.array([0.5, 0.3, 0.2])
    assert RULES["entropy"](torch.tensor(p), (3, 3)) == round(np.exp(-(p * np.log(p)).sum()))


def test_laser_rmt_goes_by_the_interquartile_range() -> None:
    S = torch.tensor([100.0, 4.0, 3.0, 2.0, 1.0])  # quartiles 2 and 4: thresholds 2.97 and 2.22
    assert RULES["laser_rmt"](S, (5, 5)) == 3
    assert RULES["laser_rmt"](S / 2, (5, 20)) == 3
    assert RULES["laser_rmt"](S.where(S != 3, 2.5), (5, 5)) == 2


@pytest.mark.parametrize("method", ["exact", "gram"])
@pytest.mark.parametrize("rule", ["mp_median", "gavish_donoho"])
def test_rounding_is_no_signal(rule: str, method: str) -> None:
    for seed, (rows, columns) in enumerate([(64, 64), (64, 256), (300, 40)]):
        generator = torch.Generator().manual_seed(seed)
        for rank in (1, 10):
            W = torch.randn(rows, rank, generator=generator) @ torch.randn(rank, columns, generator=generator)
            assert RULES[rule](factorize(W, method).S, (rows, columns)) == rank


@pytest.mark.parametrize("rule", RULES)
def test_rules_count_between_nothing_and_all(rule: str) -> None:
    rng = np.random.default_rng(0)
    for shape in [(1, 1), (1, 9), (9, 1), (6, 6), (20, 7)]:
        S = torch.tensor(np.linalg.svd(rng.normal(size=shape), compute_uv=False).copy())
        assert 0 <= RULES[rule](S, shape) <= min(shape)
        assert RULES[rule](torch.zeros_like(S), shape) == 0


@pytest.mark.parametrize("rule", ["mp_median", "gavish_donoho"])
@pytest.mark.parametrize("shape", [(80, 80), (60, 150), (150, 60)])
@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_planted_ranks_are_found(rule: str, shape: tuple[int, int], scale: float) -> None:
    rng = np.random.default_rng(1)
    signal = np.linalg.qr(rng.normal(size=(shape[0], 5)))[0] @ np.linalg.qr(rng.normal(size=(shape[1], 5)))[0].T
    W = (rng.normal(size=shape) + 4 * max(shape) ** 0.5 * signal) * scale
    S = torch.tensor(np.linalg.svd(W, compute_uv=False).copy())
    assert RULES[rule](S, shape) == 5


@pytest.mark.parametrize("text", ["energi", "mp", "", "energy_0.9"])
def test_unknown_rules(text: str) -> None:
    with pytest.raises(UnknownNameError, match="energy, entropy, laser_rmt, mp_median, gavish_donoho"):
        rule_named(text)


@pytest.mark.parametrize("text", ["energy:", "energy:0", "energy:1.5", "energy:-1", "energy:x", "entropy:0.5"])
def test_wrong_shares_of_rules(text: str) -> None:
    with pytest.raises(InputError, match=r"in \(0, 1\]"):
        rule_named(text)(torch.ones(3), (3, 3))


def test_a_rule_that_keeps_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="rule mp_median for layer 3 fc_in: keeps 0 of 9"):
        rank_from_rule("mp_median", torch.zeros(9), (9, 20), "layer 3 fc_in")
    assert rank_from_rule("entropy", torch.ones(9), (9, 20)) == 9
