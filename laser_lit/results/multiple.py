"""p values of many gains at once: the cells of a search were scored on the same examples and rise and fall together."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laser_lit.errors import InputError
from laser_lit.results.stats import Floats, group_sums

FLIPS = 9_999
_EXACT = 14  # groups up to which the 2**13 distinct sign patterns take no longer than random ones
_CHUNK = 2_000_000  # signs, or signed sums, held at once: 16 MB


def max_t(
    differences: ArrayLike,
    groups: Sequence[object] | NDArray[np.generic],
    *,
    weights: ArrayLike | None = None,
    flips: int = FLIPS,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Returns each cell's two-sided p of a mean gain of zero, alone and adjusted for all cells.

    One sign pattern flips a group in every cell at once, so that the adjustment knows how alike the cells are. A
    cell's statistic is the sum of its group gains over their root sum of squares, which no flip changes: cells of
    different spread compete on one scale. With at most 14 groups that changed in any cell every sign pattern is
    counted and both p are exact.

    Args:
        differences: (cells, n) a gain an example and cell, finite; one table of (cells, groups) is made beside it.
        groups: (n,) the group of each example.
        weights: (n,) weight of each example in the mean, positive; equal when None.
        flips: number of random sign patterns, at least 1.
        seed: of the sign patterns.

    Returns:
        p, (cells,) in (0, 1], and the adjusted p, (cells,), never smaller; both 1 for a cell without any change.

    Raises:
        InputError: no table, no cells, no examples, unequal lengths, gains that are not finite.

    Source: Westfall and Young, "Resampling-Based Multiple Testing" (1993), chapter 2 (single-step maxT); the sign flips
        of Winkler et al., "Permutation inference for the general linear model" (2014); the correction of Phipson and
        Smyth, "Permutation P-values should never be zero" (2010), equation 2.
    """
    sums = _changed(cell_sums(np.asarray(differences), groups, weights))  # (cells, groups)
    if flips < 1:
        raise InputError(f"flips {flips}: must be at least 1")
    norms = np.sqrt(np.einsum("cg,cg->c", sums, sums))
    sums /= np.where(norms == 0.0, 1.0, norms)[:, None]
    alone, together, count = _exceeded(sums, flips, np.random.default_rng(seed))
    unseen = 0 if sums.shape[1] <= _EXACT else 1
    return (alone + unseen) / (count + unseen), (together + unseen) / (count + unseen)


def _exceeded(sums: Floats, flips: int, rng: np.random.Generator) -> tuple[Floats, Floats, int]:
    """Returns how often a cell's flipped sum and the largest of all reached the cell's own, and the number of flips."""
    # sums that differ by rounding alone are ties
    observed = np.abs(sums.sum(axis=1)) - 1e-9 * np.sqrt(max(1, sums.shape[1]))
    alone, together, count = np.zeros(len(sums)), np.zeros(len(sums)), 0
    for signs in _patterns(sums.shape[1], flips, _CHUNK // max(sums.shape), rng):
        flipped = np.abs(sums @ signs.T)  # (cells, patterns)
        alone += np.count_nonzero(flipped >= observed[:, None], axis=1)
        highest = np.sort(flipped.max(axis=0))
        together += highest.size - np.searchsorted(highest, observed, side="left")
        count += len(signs)
    return alone, together, count


def cell_sums(
    differences: NDArray[np.generic], groups: Sequence[object] | NDArray[np.generic], weights: ArrayLike | None = None
) -> Floats:
    """Returns each cell's weighted sum of gains a group, (cells, groups), groups in sorted order.

    Args:
        differences: (cells, n) a gain an example and cell, finite.
        groups: (n,) the group of each example.
        weights: (n,) weight of each example in the mean, positive; equal when None.

    Raises:
        InputError: no table, no cells, no examples, unequal lengths, gains that are not finite.
    """
    if differences.ndim != 2 or len(differences) == 0:
        raise InputError(f"differences of shape {differences.shape}: a row a cell and a column an example are needed")
    first = group_sums(differences[0], groups, weights)[0]  # checks what all cells share
    if not np.isfinite(differences).all():
        raise InputError("gains that are not finite have no mean; drop or mend those examples first")
    _, code = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    weight = None if weights is None else np.asarray(weights, dtype=np.float64)
    sums = np.empty((len(differences), first.size))
    for row, gains in zip(sums, differences, strict=True):
        row[:] = np.bincount(code, weights=gains if weight is None else gains * weight)
    return sums


def _changed(sums: Floats) -> Floats:
    """Returns the sums without the groups that no cell changed."""
    changed = sums.any(axis=0)
    return sums if changed.all() else sums[:, changed]


def _patterns(size: int, flips: int, chunk: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yields sign patterns, (at most `chunk`, size): all that differ by more than their sign, or random ones."""
    chunk = max(1, chunk)
    total = 2 ** max(0, size - 1) if size <= _EXACT else flips
    for start in range(0, total, chunk):
        count = min(chunk, total - start)
        if size <= _EXACT:
            numbers = np.arange(start, start + count)
            up = (numbers[:, None] >> np.arange(size) & 1).astype(bool)  # the last group's sign stays
        else:
            drawn = rng.integers(0, 256, size=(count, -(-size // 8)), dtype=np.uint8)
            up = np.unpackbits(drawn, axis=1, count=size).astype(bool)
        yield np.where(up, 1.0, -1.0)
