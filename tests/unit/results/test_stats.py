import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from laser_lit.errors import InputError
from laser_lit.results.stats import bootstrap_ci, group_sums, holm, mcnemar_exact, sign_flip_p

gains_and_groups = st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 12)), min_size=1, max_size=60).map(
    lambda pairs: ([gain for gain, _ in pairs], [group for _, group in pairs])
)


def test_group_sums_add_up_gains_and_weights_of_each_group():
    sums, sizes = group_sums([1, -1, 1, 1], ["b", "a", "b", "c"], weights=[1, 2, 3, 4])
    assert sums.tolist() == [-2, 4, 4]
    assert sizes.tolist() == [2, 4, 4]


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (1, 0), (3, 3), (10, 2), (159, 152), (5000, 4700)])
def test_mcnemar_equals_scipys_binomial_test(fixed: int, broken: int):
    expected = scipy_stats.binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert mcnemar_exact(fixed, broken) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_exact(fixed, broken) == mcnemar_exact(broken, fixed)


def test_mcnemar_refuses_negative_counts():
    with pytest.raises(InputError, match="negative"):
        mcnemar_exact(-1, 3)


def test_few_groups_enumerate_every_sign_pattern():
    gains = np.array([0.5, -0.2, 0.9, 0.4, 0.1, 0.3, -0.35, 0.6])
    permuted = scipy_stats.permutation_test((gains,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(gains, range(8)) == pytest.approx(permuted.pvalue, abs=1e-12)


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=16))
def test_sums_that_rounding_alone_separates_are_ties(tenths: list[int]):
    assert sign_flip_p([n / 10 for n in tenths], range(len(tenths))) == sign_flip_p(tenths, range(len(tenths)))


def test_seventeen_groups_resample_to_the_exact_p():
    gains = np.random.default_rng(1).normal(0.4, 1.0, 17)
    patterns = np.array(np.meshgrid(*[[-1, 1]] * 17)).reshape(17, -1)
    exact = np.mean(np.abs(gains @ patterns) >= abs(gains.sum()) - 1e-9)
    assert sign_flip_p(gains, range(17)) == pytest.approx(exact, abs=4 * np.sqrt(exact / 99_999))


def test_smallest_p_is_one_over_one_more_than_the_resamples():
    assert sign_flip_p(np.ones(300), range(300)) == 1 / 100_000


def test_unchanged_groups_leave_p_alone():
    gains = [1.0, 1.0, 1.0, -1.0]
    assert sign_flip_p(gains + [0.0] * 50, range(54)) == sign_flip_p(gains, range(4)) == 10 / 16


@given(gains_and_groups)
@settings(max_examples=60, deadline=None)
def test_p_is_symmetric_and_ignores_the_order_of_rows(drawn: tuple[list[int], list[int]]):
    gains, groups = np.array(drawn[0]), np.array(drawn[1])
    p = sign_flip_p(gains, groups)
    assert 0 < p <= 1
    assert sign_flip_p(-gains, groups) == p
    order = np.random.default_rng(0).permutation(gains.size)
    assert sign_flip_p(gains[order], groups[order]) == p


@given(gains_and_groups)
@settings(max_examples=60, deadline=None)
def test_interval_turns_with_the_sign_and_stays_within_the_group_means(drawn: tuple[list[int], list[int]]):
    gains, groups = np.array(drawn[0]), np.array(drawn[1])
    interval = bootstrap_ci(gains, groups, resamples=500)
    if len(set(drawn[1])) == 1:
        assert interval is None
        return
    low, high = interval
    sums, sizes = group_sums(gains, groups)
    assert (sums / sizes).min() - 1e-12 <= low <= high <= (sums / sizes).max() + 1e-12
    assert bootstrap_ci(-gains, groups, resamples=500) == pytest.approx((-high, -low), abs=0.5)


def test_p_is_uniform_when_nothing_is_gained():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(30), 2)
    ps = [sign_flip_p(np.repeat(rng.normal(size=30), 2), groups, resamples=999, seed=seed) for seed in range(400)]
    assert scipy_stats.kstest(ps, "uniform").pvalue > 1e-3
    assert np.mean(np.array(ps) <= 0.05) == pytest.approx(0.05, abs=0.035)


@pytest.mark.parametrize("values", ["few", "many"])
def test_interval_covers_the_truth_about_as_often_as_it_says(values: str):
    rng = np.random.default_rng(4)
    hits = 0
    for seed in range(300):
        if values == "few":
            gains = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.6, 0.3], size=80)
        else:
            gains = rng.normal(0.2, 1.0, size=80)
        low, high = bootstrap_ci(gains, range(80), resamples=600, seed=seed)
        hits += low <= 0.2 <= high
    assert 0.90 <= hits / 300 <= 0.99


def test_interval_agrees_with_scipys_bootstrap_for_single_examples():
    gains = np.random.default_rng(5).normal(0.3, 1.0, 200)
    theirs = scipy_stats.bootstrap((gains,), np.mean, method="percentile", rng=0).confidence_interval
    assert bootstrap_ci(gains, range(200)) == pytest.approx((theirs.low, theirs.high), abs=0.012)


def test_counted_and_indexed_resampling_agree():
    gains = np.random.default_rng(6).choice([-1.0, 0.0, 1.0], size=4000)
    counted = bootstrap_ci(gains, range(4000))
    indexed = bootstrap_ci(gains + 1e-9 * np.arange(4000), range(4000))
    assert counted == pytest.approx(indexed, abs=0.002)


def test_groups_widen_the_interval_where_examples_move_together():
    values = np.random.default_rng(7).choice([-1.0, 0.0, 1.0], size=100)
    gains, groups = np.repeat(values, 4), np.repeat(np.arange(100), 4)
    clustered, independent = bootstrap_ci(gains, groups), bootstrap_ci(gains, range(400))
    assert np.ptp(clustered) == pytest.approx(2 * np.ptp(independent), rel=0.1)
    assert sign_flip_p(gains, groups) > sign_flip_p(gains, range(400))


def test_groups_of_unequal_size_use_the_ratio():
    gains, groups = [1.0] * 9 + [0.0], ["big"] * 9 + ["small"]
    assert bootstrap_ci(gains, groups) == pytest.approx((0.0, 1.0))


def test_one_group_has_no_interval_and_no_small_p():
    assert bootstrap_ci([1, 1, 1], ["a"] * 3) is None
    assert sign_flip_p([1, 1, 1], ["a"] * 3) == 1.0


def test_no_difference_is_p_one_and_an_interval_of_no_width():
    assert sign_flip_p([0, 0, 0], list("abc")) == 1.0
    assert bootstrap_ci([0, 0, 0], list("abc")) == (0.0, 0.0)


def test_same_seed_same_numbers():
    gains = np.random.default_rng(8).normal(size=50)
    assert bootstrap_ci(gains, range(50), seed=1) == bootstrap_ci(gains, range(50), seed=1)
    assert bootstrap_ci(gains, range(50), seed=1) != bootstrap_ci(gains, range(50), seed=2)
    assert sign_flip_p(gains, range(50), seed=1) == sign_flip_p(gains, range(50), seed=1)


@pytest.mark.parametrize(
    ("gains", "groups", "message"),
    [([], [], "at least one"), ([1.0], ["a", "b"], "equally many"), ([np.nan], ["a"], "not finite")],
)
def test_wrong_gains_say_what_is_wrong(gains: list[float], groups: list[str], message: str):
    with pytest.raises(InputError, match=message):
        sign_flip_p(gains, groups)
    with pytest.raises(InputError, match=message):
        bootstrap_ci(gains, groups)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_shrinks(ps: list[float]):
    adjusted = holm(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    assert np.array_equal(np.sort(adjusted), np.array(adjusted)[np.argsort(ps, kind="stable")])


def test_holm_gives_the_textbook_values():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    with pytest.raises(InputError, match="p values"):
        holm([0.2, 1.2])
