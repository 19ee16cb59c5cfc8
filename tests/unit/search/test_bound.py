"""The upper bound of a mean over tokens: it covers, and windows are its units."""

import numpy as np
import pytest

from laser_lit.errors import InputError
from laser_lit.search.bound import upper_bound


def sample(rng, n=32, spread=0.7):
    """Returns tokens of `n` windows of unlike length that share a skewed effect with mean exp(spread² / 2)."""
    sizes = rng.integers(8, 25, n)
    effects = rng.lognormal(0.0, spread, n)
    return np.repeat(effects, sizes), np.repeat(np.arange(n), sizes)


def coverage(bound, n, times=300):
    rng = np.random.default_rng(0)
    return np.mean([bound(*sample(rng, n)) >= np.exp(0.245) for _ in range(times)])


def students(values, windows):
    means = np.bincount(windows, weights=values) / np.bincount(windows)
    return means.mean() + 1.69 * means.std(ddof=1) / np.sqrt(len(means))


def test_the_bound_covers_the_mean_of_skewed_windows():
    found = coverage(lambda *data: upper_bound(*data, resamples=800), 32)
    assert found >= 0.91  # .95 less three standard errors of 300 runs
    assert found > coverage(students, 32) + 0.02


def test_the_bound_covers_the_mean_of_even_windows():
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(300):
        sizes = rng.integers(8, 25, 20)
        values = np.repeat(rng.normal(1.0, 0.3, 20), sizes) + rng.normal(0.0, 0.3, sizes.sum())
        hits.append(upper_bound(values, np.repeat(np.arange(20), sizes), resamples=800) >= 1.0)
    assert 0.91 <= np.mean(hits) <= 0.985


def test_more_windows_say_more_but_more_tokens_of_the_same_window_do_not():
    rng = np.random.default_rng(3)
    values, windows = sample(rng)
    bound = upper_bound(values, windows)
    assert bound > values.mean()
    assert upper_bound(np.repeat(values, 5), np.repeat(windows, 5)) == pytest.approx(bound)
    tiled = upper_bound(np.tile(values, 4), np.concatenate([windows + 100 * i for i in range(4)]))
    assert values.mean() < tiled < bound
    assert upper_bound(values, windows, level=0.99) > bound


def test_the_bound_follows_shift_scale_and_order():
    values, windows = sample(np.random.default_rng(4))
    bound = upper_bound(values, windows)
    assert upper_bound(3.0 * values - 2.0, windows) == pytest.approx(3.0 * bound - 2.0)
    assert upper_bound(values, windows * 7) == pytest.approx(bound)
    assert upper_bound(values, windows) == bound


def test_windows_that_are_all_alike_have_no_spread():
    assert upper_bound(np.full(40, 0.25), np.arange(40) // 2) == 0.25
    assert upper_bound(np.zeros(40), np.arange(40) // 2) == 0.0


def test_too_little_text_and_broken_numbers():
    with pytest.raises(InputError, match=r"9 window\(s\) of text: a bound needs at least 10"):
        upper_bound(np.ones(90), np.arange(90) // 10)
    with pytest.raises(InputError, match="not finite"):
        upper_bound(np.append(np.ones(19), np.inf), np.arange(20))
    with pytest.raises(InputError, match="equally long"):
        upper_bound(np.ones(20), np.arange(19))
