"""Intervals of many gains at once, and whether a gain is shown to be not worse than a margin."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laser_lit.errors import InputError
from laser_lit.results.multiple import cell_sums
from laser_lit.results.stats import Floats, group_sums

RESAMPLES = 4_000
ERROR = 0.05
"""Of the one-sided test of non-inferiority, and of the two sides of an interval together."""
_CHUNK = 1_000_000  # random indices held at once: 8 MB, and as much for what is counted


@dataclass(frozen=True, eq=False)
class Intervals:
    """What resampling of whole groups says of many mean gains; NaN throughout for a single group.

    Attributes:
        low: (cells,) lower end of the two-sided 95 % interval.
        high: (cells,) its upper end.
        bound: (cells,) the one-sided lower 95 % bound, which is the lower end of the two-sided 90 % interval.
    """

    low: Floats
    high: Floats
    bound: Floats


def intervals(
    gains: ArrayLike,
    groups: Sequence[object] | NDArray[np.generic],
    *,
    weights: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """Returns the percentile intervals of many mean gains over the same examples, from one resampling of their groups.

    A cell's interval does not depend on the cells beside it, and differs from that of `bootstrap_ci` by the luck of the
    draw alone.

    Args:
        gains: (cells, n) a gain an example and cell, finite.
        groups: (n,) the group of each example.
        weights: (n,) weight of each example in the mean, positive; equal when None.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Raises:
        InputError: no table, no cells, no examples, unequal lengths, gains that are not finite.

    Source: Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 5.3.1 (percentile method).
    """
    table = np.asarray(gains)
    sums = cell_sums(table, groups, weights)  # (cells, groups)
    sizes = group_sums(table[0], groups, weights)[1]
    if sizes.size < 2:
        return Intervals(*np.full((3, len(sums)), np.nan))
    rng, rows = np.random.default_rng(seed), max(1, _CHUNK // sizes.size)
    means = np.concatenate(
        [_means(sums, sizes, min(rows, resamples - start), rng) for start in range(0, resamples, rows)]
    )
    return Intervals(*np.quantile(means, [ERROR / 2, 1 - ERROR / 2, ERROR], axis=0))


def _means(sums: Floats, sizes: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Returns the mean gains (resamples, cells) of groups drawn with replacement."""
    count = sizes.size
    drawn = rng.integers(0, count, size=(resamples, count)) + count * np.arange(resamples)[:, None]
    times = np.bincount(drawn.ravel(), minlength=resamples * count).reshape(resamples, count).astype(np.float64)
    means: Floats = times @ sums.T / (times @ sizes)[:, None]
    return means


def not_worse(low: float, bound: float, groups: int, delta: float, share: bool) -> bool:
    """Returns whether a gain is shown to be above -delta, with an error of 5 %.

    The one-sided bound must lie above -delta. Where few groups change, or none does, resampling sees too little of the
    spread, at the worst an interval of 0: of shares there must besides be so many groups that harm of the margin's size
    would hardly have missed them all (299 at one point), unless the gain is above 0 by its two-sided interval.

    Args:
        low: lower end of the two-sided 95 % interval.
        bound: one-sided lower 95 % bound.
        groups: how many were resampled.
        delta: the margin, above 0, in the gain's unit.
        share: whether the gain is one of accuracy, for which the number of groups counts.

    Source: ICH E9, "Statistical Principles for Clinical Trials" (1998), section 3.3.2 (non-inferiority by a one-sided
        interval, there at 2.5 %; the error here is that of `verdict`).
    """
    enough = not share or groups >= least_groups(delta)
    return bool(low > 0.0 or (enough and bound > -delta))


def least_groups(delta: float) -> int:
    """Returns how many groups it takes that one harmed with a chance of delta is among them 95 times of 100.

    Args:
        delta: a share, above 0.

    Raises:
        InputError: a margin that is not above 0.
    """
    if not delta > 0.0:
        raise InputError(f"margin {delta}: must be above 0")
    return 1 if delta >= 1.0 else int(np.ceil(np.log(ERROR) / np.log1p(-delta)))
