import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laser_lit.errors import InputError
from laser_lit.results.multiple import max_t
from laser_lit.results.stats import sign_flip_p

tables = st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(0, 99)).map(
    lambda drawn: (
        np.random.default_rng(drawn[2]).integers(-1, 2, size=drawn[:2]).astype(float),
        np.random.default_rng(drawn[2] + 100).integers(0, 25, size=drawn[1]),
    )
)


def correlated(rng: np.random.Generator, cells: int, n: int, share: float) -> np.ndarray:
    """Returns gains that are zero on average and of which all cells share a part."""
    return np.sqrt(share) * rng.normal(size=n) + np.sqrt(1 - share) * rng.normal(size=(cells, n))


@given(tables)
@settings(max_examples=60, deadline=None)
def test_p_is_a_probability_and_its_adjustment_never_smaller(drawn: tuple[np.ndarray, np.ndarray]):
    p, adjusted = max_t(*drawn, flips=200)
    assert p.shape == adjusted.shape == (len(drawn[0]),)
    assert ((p > 0) & (p <= adjusted) & (adjusted <= 1)).all()


@given(tables)
@settings(max_examples=60, deadline=None)
def test_the_order_of_rows_and_the_sign_of_all_do_not_matter(drawn: tuple[np.ndarray, np.ndarray]):
    gains, groups = drawn
    expected = max_t(gains, groups, flips=200)
    order = np.random.default_rng(0).permutation(gains.shape[1])
    np.testing.assert_array_equal(max_t(gains[:, order], groups[order], flips=200), expected)
    np.testing.assert_array_equal(max_t(-gains, groups, flips=200), expected)
    np.testing.assert_array_equal(max_t(gains * 3.7, groups, flips=200), expected)


def test_cells_keep_their_p_in_any_order_and_the_larger_gain_the_smaller_p():
    gains = np.random.default_rng(1).normal(size=(9, 60)) + np.linspace(-0.3, 0.5, 9)[:, None]
    p, adjusted = max_t(gains, range(60))
    backwards = max_t(gains[::-1], range(60))
    np.testing.assert_array_equal(backwards[0][::-1], p)
    np.testing.assert_array_equal(backwards[1][::-1], adjusted)
    t = np.abs(gains.sum(axis=1)) / np.sqrt((gains**2).sum(axis=1))
    assert (np.diff(adjusted[np.argsort(t)]) <= 0).all()


def test_few_groups_are_counted_and_one_cell_equals_the_single_test():
    gains = np.random.default_rng(2).normal(0.4, 1.0, size=(4, 3 * 11))
    groups = np.repeat(np.arange(11), 3)
    p, adjusted = max_t(gains, groups)
    assert p == pytest.approx([sign_flip_p(row, groups) for row in gains], abs=1e-12)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 11)).reshape(11, -1)
    sums = gains.reshape(4, 11, 3).sum(axis=2)
    t = np.abs(sums @ signs) / np.linalg.norm(sums, axis=1)[:, None]
    observed = np.abs(sums.sum(axis=1)) / np.linalg.norm(sums, axis=1)
    assert adjusted == pytest.approx((t.max(axis=0) >= observed[:, None] - 1e-9).mean(axis=1), abs=1e-12)


def test_many_groups_resample_to_the_single_test_and_one_cell_needs_no_adjustment():
    gains = np.random.default_rng(3).normal(0.15, 1.0, size=(3, 200))
    weights = np.random.default_rng(4).uniform(0.5, 2.0, 200)
    groups = np.arange(200) // 2
    p, _ = max_t(gains, groups, weights=weights)
    assert p == pytest.approx([sign_flip_p(row, groups, weights=weights) for row in gains], abs=0.02)
    alone = max_t(gains[:1], groups, weights=weights)
    np.testing.assert_array_equal(alone[0], alone[1])


def test_copies_of_one_cell_cost_nothing_and_independent_ones_nearly_bonferronis_price():
    gains = np.random.default_rng(5).normal(0.3, 1.0, size=150)
    p, adjusted = max_t(np.tile(gains, (50, 1)), range(150))
    np.testing.assert_array_equal(p, adjusted)
    others = np.random.default_rng(6).normal(size=(49, 150))
    p, adjusted = max_t(np.vstack([gains, others]), range(150))
    assert 10 * p[0] < adjusted[0] <= 55 * p[0]


@pytest.mark.parametrize("share", [0.0, 0.6, 0.95])
def test_a_map_of_nothing_has_a_significant_cell_as_seldom_as_promised(share: float):
    rng = np.random.default_rng(7)
    found = [max_t(correlated(rng, 40, 60, share), range(60), flips=199, seed=i)[1].min() <= 0.05 for i in range(400)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.035)


def test_right_or_wrong_in_groups_is_controlled_too():
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(30), 3)
    found = 0
    for seed in range(300):
        shared = rng.choice([-1, 0, 0, 0, 1], size=(1, 30))
        cells = np.where(rng.random((20, 30)) < 0.5, shared, rng.choice([-1, 0, 0, 0, 1], size=(20, 30)))
        found += max_t(np.repeat(cells, 3, axis=1), groups, flips=199, seed=seed)[1].min() <= 0.05
    assert found / 300 <= 0.085


def test_a_cell_that_changes_nothing_is_p_one_and_burdens_nobody():
    gains = np.random.default_rng(9).normal(0.2, 1.0, size=(3, 80))
    p, adjusted = max_t(np.vstack([gains, np.zeros((5, 80))]), range(80))
    assert p[3:].tolist() == adjusted[3:].tolist() == [1.0] * 5
    np.testing.assert_array_equal(max_t(gains, range(80)), (p[:3], adjusted[:3]))
    assert [entry.tolist() for entry in max_t(np.zeros((2, 9)), range(9))] == [[1.0, 1.0], [1.0, 1.0]]


def test_same_seed_same_numbers():
    gains = np.random.default_rng(10).normal(size=(4, 50))
    np.testing.assert_array_equal(max_t(gains, range(50), seed=1), max_t(gains, range(50), seed=1))
    assert not np.array_equal(max_t(gains, range(50), seed=1)[0], max_t(gains, range(50), seed=2)[0])


def test_memory_is_one_more_table_and_a_little():
    gains = np.random.default_rng(11).normal(size=(400, 5000))
    groups = np.arange(5000)
    max_t(gains[:2, :50], groups[:50], flips=10)  # what numpy allocates once
    tracemalloc.start()
    max_t(gains, groups, flips=2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= gains.nbytes + 80e6


@pytest.mark.parametrize(
    ("gains", "groups", "message"),
    [
        ([1.0, 2.0], ["a", "b"], "a row a cell"),
        (np.zeros((0, 2)), ["a", "b"], "a row a cell"),
        (np.zeros((2, 0)), [], "at least one"),
        (np.zeros((2, 3)), ["a"], "equally many"),
        ([[0.0, 1.0], [0.0, np.inf]], ["a", "b"], "not finite"),
    ],
)
def test_wrong_tables_say_what_is_wrong(gains: object, groups: list[str], message: str):
    with pytest.raises(InputError, match=message):
        max_t(gains, groups)
    with pytest.raises(InputError, match="flips 0"):
        max_t([[1.0]], ["a"], flips=0)
