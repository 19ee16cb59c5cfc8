"""Paired statistics of a gain: groups, not examples, are what is resampled and flipped."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtri

from laser_lit.errors import InputError

RESAMPLES = 10_000
FLIPS = 99_999
_BLOCK = 16  # groups a lookup table of signed sums covers: 2**16 sums fit the cache
_COUNT_COST = 20  # drawing how often a row comes up costs as much as drawing this many row indices
_CHUNK = 200_000  # random indices held at once: 1.6 MB stay in the cache

Floats = NDArray[np.float64]


def bootstrap_ci(
    gains: ArrayLike,
    groups: Sequence[object] | NDArray[np.generic],
    *,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Returns the percentile interval of the mean gain under resampling of whole groups.

    Args:
        gains: (n,) a gain an example.
        groups: (n,) the group of each example.
        weights: (n,) weight of each example in the mean, positive; equal when None.
        level: coverage, in (0, 1).
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        Lower and upper end, or None for fewer than two groups, which say nothing about the spread.

    Raises:
        InputError: no examples, unequal lengths, gains that are not finite.

    Source: Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 5.3.1 (percentile method).
    """
    (interval,) = bootstrap_cis(gains, groups, (level,), weights=weights, resamples=resamples, seed=seed)
    return interval


def bootstrap_cis(
    gains: ArrayLike,
    groups: Sequence[object] | NDArray[np.generic],
    levels: Sequence[float],
    *,
    weights: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[tuple[float, float] | None]:
    """Returns the intervals of several levels from one resampling; arguments as in `bootstrap_ci`.

    Args:
        gains: (n,) a gain an example.
        groups: (n,) the group of each example.
        levels: coverages, in (0, 1).
        weights: (n,) weight of each example in the mean.
        resamples: number of bootstrap samples.
        seed: of the resampling.
    """
    sums, sizes = group_sums(gains, groups, weights)
    if sums.size < 2:
        return [None] * len(levels)
    rng = np.random.default_rng(seed)
    drawn = _resampled(np.column_stack([sums, sizes]), resamples, rng)  # (resamples, 2)
    means = drawn[:, 0] / drawn[:, 1]
    found: list[tuple[float, float] | None] = []
    for level in levels:
        tail = (1.0 - level) / 2.0
        low, high = np.quantile(means, [tail, 1.0 - tail])
        found.append((float(low), float(high)))
    return found


def ratio_ci(
    numerators: ArrayLike,
    denominators: ArrayLike,
    groups: Sequence[object] | NDArray[np.generic],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Returns the 95 % percentile interval of a ratio of sums by bootstrap over whole groups.

    Args:
        numerators: (n,) what an example adds above.
        denominators: (n,) what it adds below.
        groups: (n,) the group of each example.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        The interval; None for a single group, or where the sum below is 0 or changes its sign among the samples: the
        ratio then has no bounds.

    Raises:
        InputError: as `bootstrap_cis`.
    """
    above, _ = group_sums(numerators, groups)
    below, _ = group_sums(denominators, groups)
    if above.size < 2:
        return None
    sums = _resampled(np.column_stack([above, below]), resamples, np.random.default_rng(seed))  # (resamples, 2)
    if not (np.sign(sums[:, 1]) == np.sign(below.sum())).all() or below.sum() == 0:
        return None
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    return float(low), float(high)


def sign_flip_p(
    gains: ArrayLike,
    groups: Sequence[object] | NDArray[np.generic],
    *,
    weights: ArrayLike | None = None,
    resamples: int = FLIPS,
    seed: int = 0,
) -> float:
    """Returns the two-sided p of a mean gain of zero, by flipping the sign of each group's summed gain.

    With at most 16 groups that changed at all, every one of the sign patterns is counted and p is exact; with more,
    p = (1 + count) / (1 + resamples) over random patterns.

    Args:
        gains: (n,) a gain an example.
        groups: (n,) the group of each example.
        weights: (n,) weight of each example in the mean, positive; equal when None.
        resamples: number of random sign patterns.
        seed: of the sign patterns.

    Returns:
        p in (0, 1]; 1 when no group changed.

    Raises:
        InputError: no examples, unequal lengths, gains that are not finite.

    Source: Phipson and Smyth, "Permutation P-values should never be zero" (2010), equation 2.
    """
    sums, _ = group_sums(gains, groups, weights)
    changed = sums[sums != 0.0]
    if changed.size == 0:
        return 1.0
    # sums that differ by rounding alone are ties
    observed = abs(changed.sum()) - 1e-9 * np.abs(changed).sum()
    if changed.size <= _BLOCK:
        return float(np.mean(np.abs(_signed_sums(changed)) >= observed))
    flipped = _random_signed_sums(changed, resamples, np.random.default_rng(seed))
    return float((1 + np.count_nonzero(np.abs(flipped) >= observed)) / (1 + resamples))


def mcnemar_exact(fixed: int, broken: int) -> float:
    """Returns the two-sided exact McNemar p over examples, which takes them for independent (groups are ignored).

    Args:
        fixed: examples wrong before and right after.
        broken: examples right before and wrong after.

    Raises:
        InputError: a negative count.

    Source: McNemar (1947), with the binomial law of the discordant pairs in place of its normal approximation.
    """
    if fixed < 0 or broken < 0:
        raise InputError(f"fixed {fixed}, broken {broken}: counts must not be negative")
    return min(1.0, 2.0 * float(bdtr(min(fixed, broken), fixed + broken, 0.5)))


def holm(ps: ArrayLike) -> list[float]:
    """Returns the p values adjusted for their number, in the order given.

    Args:
        ps: p values in [0, 1].

    Raises:
        InputError: a value outside of [0, 1].

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979).
    """
    values = np.asarray(ps, dtype=np.float64)
    if not np.all((values >= 0.0) & (values <= 1.0)):
        raise InputError(f"p values {values.tolist()}: each must lie in [0, 1]")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in adjusted]


def detectable_gain(
    differences: ArrayLike,
    groups: Sequence[object] | NDArray[np.generic],
    n_groups_test: int,
    *,
    weights: ArrayLike | None = None,
    power: float = 0.8,
    level: float = 0.05,
) -> float | None:
    """Returns the smallest mean gain that a test on so many groups would find, judged by the spread on validation.

    (z(1 - level / 2) + z(power)) · s / √n_groups_test; z are quantiles of the normal law, s is the standard deviation
    over validation groups of (summed gain - mean gain · weight) / mean weight, which allows for groups of unequal size.

    Args:
        differences: (n,) a gain an example of validation, of the edit that is to be tested.
        groups: (n,) the group of each example.
        n_groups_test: groups of the test split.
        weights: (n,) weight of each example in the mean, positive; equal when None.
        power: chance of finding a gain of that size, in (0, 1).
        level: of the two-sided test, in (0, 1).

    Returns:
        The gain, positive, or None where it cannot be told: fewer than two validation groups or all of them alike, or
        so few test groups that no sign-flip test reaches the level.

    Raises:
        InputError: no examples, unequal lengths, gains that are not finite, a power or level outside of (0, 1).

    Source: Bloom, "Minimum Detectable Effects" (1995).
    """
    if not (0.0 < power < 1.0 and 0.0 < level < 1.0):
        raise InputError(f"power {power}, level {level}: both must lie between 0 and 1")
    sums, sizes = group_sums(differences, groups, weights)
    if sums.size < 2 or 2.0 ** (1 - n_groups_test) > level:
        return None
    spread = np.std((sums - sums.sum() / sizes.sum() * sizes) / sizes.mean(), ddof=1)
    if spread <= 1e-12 * np.abs(sums).max():
        return None
    return float(ndtri(1.0 - level / 2.0) + ndtri(power)) * float(spread) / float(np.sqrt(n_groups_test))


def group_sums(
    gains: ArrayLike, groups: Sequence[object] | NDArray[np.generic], weights: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Returns each group's weighted sum of gains and its weight, groups in sorted order.

    Args:
        gains: (n,) a gain an example, finite.
        groups: (n,) the group of each example.
        weights: (n,) positive; ones when None, so that a group's weight is its size.

    Raises:
        InputError: no examples, unequal lengths, gains that are not finite, weights that are not positive.
    """
    gain = np.asarray(gains, dtype=np.float64)
    weight = np.ones_like(gain) if weights is None else np.asarray(weights, dtype=np.float64)
    if gain.ndim != 1 or gain.size == 0:
        raise InputError(f"gains of shape {gain.shape}: a gain needs at least one example")
    if not gain.shape == weight.shape == (len(groups),):
        raise InputError(f"{gain.size} gains, {len(groups)} groups, {weight.size} weights: must be equally many")
    if not np.isfinite(gain).all():
        raise InputError("gains that are not finite have no mean; drop or mend those examples first")
    if not (np.isfinite(weight).all() and (weight > 0.0).all()):
        raise InputError("weights must be positive and finite")
    _, code = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    sums: Floats = np.bincount(code, weights=gain * weight).astype(np.float64)
    sizes: Floats = np.bincount(code, weights=weight).astype(np.float64)
    return sums, sizes


def _signed_sums(values: Floats) -> Floats:
    """Returns the sums of all 2**len(values) sign patterns."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums - value, sums + value])
    return sums


def _random_signed_sums(values: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Returns the sums of random sign patterns, a block of values at a time looked up among all of its patterns."""
    sums = np.zeros(resamples)
    for start in range(0, values.size, _BLOCK):
        table = _signed_sums(values[start : start + _BLOCK])
        sums += table[rng.integers(0, table.size, size=resamples, dtype=np.uint16)]
    return sums


def _resampled(rows: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Returns sums of as many rows as there are, drawn with replacement, `resamples` times over."""
    count = len(rows)
    kinds, times = np.unique(rows, axis=0, return_counts=True)
    if len(kinds) * _COUNT_COST <= count:
        return rng.multinomial(count, times / count, size=resamples) @ kinds  # (resamples, kinds) @ (kinds, 2)
    columns = [np.ascontiguousarray(column) for column in rows.T]
    parts = []
    chunk = max(1, _CHUNK // count)
    for start in range(0, resamples, chunk):
        index = rng.integers(0, count, size=(min(chunk, resamples - start), count))  # (chunk, groups)
        parts.append(np.column_stack([column[index].sum(axis=1) for column in columns]))
    return np.concatenate(parts)
