import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from laser_lit.errors import InputError
from laser_lit.results.stats import detectable_gain, sign_flip_p


def test_single_examples_give_the_textbook_formula():
    gains = np.random.default_rng(0).normal(0.3, 2.0, 500)
    expected = (1.959964 + 0.841621) * gains.std(ddof=1) / np.sqrt(800)
    assert detectable_gain(gains, range(500), 800) == pytest.approx(expected, rel=1e-6)
    assert detectable_gain(gains, range(500), 800, power=0.5) == pytest.approx(expected * 1.959964 / 2.801585, rel=1e-6)


@pytest.mark.parametrize("size", [1, 4])
def test_a_gain_of_that_size_is_found_four_times_in_five(size: int):
    rng = np.random.default_rng(1)
    groups_test, n = 60, 60 * size

    def drawn(groups: int, mean: float) -> np.ndarray:
        common = rng.normal(size=groups).repeat(size)
        return mean + common + 0.5 * rng.normal(size=groups * size)

    gain = detectable_gain(drawn(4000, 0.0), np.arange(4000 * size) // size, groups_test)
    found = [
        sign_flip_p(drawn(groups_test, gain), np.arange(n) // size, resamples=399, seed=i) <= 0.05 for i in range(400)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)


def test_groups_of_unequal_size_have_the_spread_of_their_resampled_mean():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(300), rng.integers(1, 9, 300))
    gains = rng.normal(0.4, 1.0, groups.size) + rng.normal(size=300)[groups]
    parts = [gains[groups == group] for group in range(300)]
    means = [np.concatenate([parts[i] for i in rng.integers(0, 300, 300)]).mean() for _ in range(2000)]
    assert detectable_gain(gains, groups, 300) == pytest.approx(2.801585 * np.std(means), rel=0.06)


@given(st.integers(6, 5000), st.floats(0.1, 10))
def test_it_falls_with_the_root_of_the_groups_and_scales_with_the_gains(groups: int, scale: float):
    gains = np.random.default_rng(3).normal(size=40)
    one = detectable_gain(gains, range(40), groups)
    assert detectable_gain(gains, range(40), 4 * groups) == pytest.approx(one / 2)
    assert detectable_gain(-scale * gains, range(40), groups) == pytest.approx(scale * one)
    assert detectable_gain(gains, range(40), groups, weights=np.full(40, scale)) == pytest.approx(one)


def test_what_cannot_be_told_is_none():
    gains = [0.0, 1.0, 1.0, -1.0]
    assert detectable_gain(gains, ["a"] * 4, 100) is None
    assert detectable_gain([0.3] * 4, list("abcd"), 100) is None
    assert detectable_gain(gains, list("abcd"), 5) is None
    assert detectable_gain(gains, list("abcd"), 6) > 0
    assert scipy_stats.binom.pmf(0, 5, 0.5) * 2 > 0.05  # five groups that all gain: p is .0625


@pytest.mark.parametrize("wrong", [{"power": 1.0}, {"level": 0.0}])
def test_wrong_levels_are_refused(wrong: dict[str, float]):
    with pytest.raises(InputError, match="between 0 and 1"):
        detectable_gain([0.0, 1.0], ["a", "b"], 10, **wrong)
