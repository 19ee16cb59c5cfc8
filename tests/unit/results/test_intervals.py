import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laser_lit.errors import InputError
from laser_lit.results.intervals import Intervals, intervals, least_groups, not_worse
from laser_lit.results.stats import bootstrap_cis

RNG = np.random.default_rng(3)
GROUPS = np.repeat(np.arange(60), RNG.integers(1, 5, 60))
GAINS = RNG.normal(0.1, 1.0, (5, len(GROUPS))) + RNG.normal(0, 0.5, 60)[GROUPS]
WEIGHTS = RNG.uniform(0.5, 2.0, len(GROUPS))


def test_intervals_are_those_of_a_resampling_of_each_cell_alone():
    found = intervals(GAINS, GROUPS, weights=WEIGHTS, resamples=20_000)
    for gains, low, high, bound in zip(GAINS, found.low, found.high, found.bound, strict=True):
        ci95, ci90 = bootstrap_cis(gains, GROUPS, (0.95, 0.9), weights=WEIGHTS, resamples=20_000)
        assert ci95 is not None
        assert ci90 is not None
        assert (low, high, bound) == pytest.approx((*ci95, ci90[0]), abs=0.012)  # a tenth of the standard error
        assert low < bound < high


@given(st.integers(0, 4), st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_a_cell_has_the_same_interval_in_any_company(cell: int, seed: int):
    together, alone = (intervals(gains, GROUPS, seed=seed, resamples=300) for gains in (GAINS, GAINS[[cell]]))
    for name in ("low", "high", "bound"):
        assert getattr(together, name)[cell] == pytest.approx(getattr(alone, name)[0], abs=1e-12)


def test_the_order_of_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    whole = intervals(GAINS, GROUPS, resamples=500)
    monkeypatch.setattr("laser_lit.results.intervals._CHUNK", 60 * 7)
    parts = intervals(GAINS, GROUPS, resamples=500)
    np.testing.assert_allclose(whole.bound, parts.bound, atol=1e-12)


def test_a_single_group_says_nothing_of_the_spread():
    found = intervals(GAINS, np.zeros(len(GROUPS)))
    assert isinstance(found, Intervals)
    assert np.isnan([found.low, found.high, found.bound]).all()
    assert not not_worse(float(found.low[0]), float(found.bound[0]), 1, 0.5, share=False)


def test_no_table_is_refused():
    with pytest.raises(InputError, match="a row a cell"):
        intervals(GAINS[0], GROUPS)


def test_the_bound_must_lie_above_the_margin():
    assert not_worse(-0.02, -0.009, 300, 0.01, share=True)
    assert not not_worse(-0.02, -0.01, 300, 0.01, share=True)
    assert not_worse(-0.02, -0.009, 3, 0.01, share=False)


def test_few_groups_show_no_share_to_be_unharmed_but_a_gain_all_the_same():
    assert least_groups(0.01) == 299
    assert least_groups(1.0) == 1
    assert not not_worse(0.0, 0.0, 298, 0.01, share=True)
    assert not_worse(0.0, 0.0, 299, 0.01, share=True)
    assert not_worse(0.001, 0.002, 20, 0.01, share=True)
    with pytest.raises(InputError, match="must be above 0"):
        least_groups(0.0)
