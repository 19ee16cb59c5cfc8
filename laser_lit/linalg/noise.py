"""Where the noise of a matrix ends: sigma, the threshold above which a singular value is signal, and the rank kept."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from laser_lit.linalg.marchenko_pastur import (
    edge,
    interquartile_range,
    noise_level,
    noise_level_iqr,
    optimal_threshold,
)

Shape = tuple[int, int]

WIDENED = 1.5
"""Components: the number below a quartile of noise has a standard deviation of 1.1 (d = 64) to 1.4 (d = 1000).
Source: the number variance of the Gaussian orthogonal ensemble, (2/pi²)(ln(2·pi·d) + .34); Mehta 2004, section 16.1."""
FEWEST = 4
"""Singular values from which quartiles are taken."""


@dataclass(frozen=True)
class Cut:
    """What a rule takes for noise.

    Attributes:
        sigma: standard deviation of the noise entries (of laserRMT: the deviation of the singular values).
        threshold: singular values above it are signal.
        rank: how many there are.
    """

    sigma: float
    threshold: float
    rank: int


Rule = Callable[[Tensor, Shape], Cut]
"""All singular values (d,), descending, and the shape of the matrix -> the cut."""


def laser_rmt(S: Tensor, shape: Shape) -> Cut:
    """Returns laserRMT's cut as it is coded, sigma = IQR(S)/1.349 and sigma·(1 + √beta): not the noise edge.

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.

    Source: cognitivecomputations/laserRMT at 6410e2b.
    """
    sigma = interquartile_range(S) / 1.349
    threshold = sigma * edge(_beta(shape))
    return Cut(sigma, threshold, _above(S, threshold))


def mp_median(S: Tensor, shape: Shape) -> Cut:
    """Returns the cut at the Marchenko–Pastur edge, the noise level taken from the median.

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.

    Source: Marchenko and Pastur 1967; the noise level as in Gavish and Donoho 2014.
    """
    sigma = noise_level(S, shape)
    return _cut(S, shape, sigma, sigma * sqrt(max(shape)) * edge(_beta(shape)))


def mp_iqr_plain(S: Tensor, shape: Shape) -> Cut:
    """Returns the cut at the Marchenko–Pastur edge, the noise level taken from the interquartile range.

    Of pure noise it keeps more than one component in every fifth to twelfth draw: see `mp_iqr`.

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.

    Source: Marchenko and Pastur 1967; laserRMT's interquartile range with the constant of the right law.
    """
    sigma = noise_level_iqr(S, shape)
    return _cut(S, shape, sigma, sigma * sqrt(max(shape)) * edge(_beta(shape)))


def mp_iqr(S: Tensor, shape: Shape) -> Cut:
    """Returns the cut at the Marchenko–Pastur edge, the noise level taken from the interquartile range of the bulk.

    What rises above the edge is taken out and the edge found again, from the median's edge on, until the bulk stays the
    same: signal then widens no range. The quartiles are read WIDENED components further out, because a range that is a
    component too narrow puts the edge inside the bulk: of pure noise at most one component is kept in 95 of 100 draws.

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.

    Source: as `mp_iqr_plain`; the iteration and WIDENED are this package's.
    """
    cut, seen = mp_median(S, shape), set[int]()
    while cut.rank not in seen and len(S) - cut.rank >= FEWEST:
        seen.add(cut.rank)
        bulk, rest = S[cut.rank :], (shape[0] - cut.rank, shape[1] - cut.rank)
        sigma = noise_level_iqr(bulk, rest, WIDENED)
        cut = _cut(S, shape, sigma, sigma * sqrt(max(rest)) * edge(_beta(rest)))
    return cut


def gavish_donoho(S: Tensor, shape: Shape) -> Cut:
    """Returns the cut at the optimal hard threshold for unknown noise.

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.

    Source: Gavish and Donoho 2014, equation 11 and section III.D.
    """
    sigma = noise_level(S, shape)
    return _cut(S, shape, sigma, sigma * sqrt(max(shape)) * optimal_threshold(_beta(shape)))


def _cut(S: Tensor, shape: Shape, sigma: float, threshold: float) -> Cut:
    """Returns the cut at a threshold; what float32 rounding makes of zeros is not counted either.

    Source: the tolerance of numpy.linalg.matrix_rank, for the rounding.
    """
    rounding = float(S[0]) * max(shape) * torch.finfo(torch.float32).eps
    return Cut(sigma, threshold, _above(S, max(rounding, threshold)))


def _beta(shape: Shape) -> float:
    return min(shape) / max(shape)


def _above(S: Tensor, threshold: float) -> int:
    return int((S.double() > threshold).sum())
