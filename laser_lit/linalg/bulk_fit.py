"""The Marchenko–Pastur law fitted to the density of a spectrum, as WeightWatcher does it, and what rises above it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from torch import Tensor

Array = np.ndarray

BANDWIDTH = 0.1
"""Of the triangular kernel, in units of the mean eigenvalue."""
_POINTS = 1000  # at which density and law are compared
_THINNEST = 0.01  # density below which points do not count
_CHUNK = 1 << 17  # entries of the table of kernels that are computed at once: they stay in the cache


@dataclass(frozen=True)
class BulkFit:
    """A bulk of noise.

    Attributes:
        sigma: standard deviation of the noise entries, in units of the root mean square of all entries.
        low: smallest eigenvalue of the bulk.
        high: largest eigenvalue of the bulk.
        spikes: eigenvalues above `high` and WeightWatcher's allowance for its fluctuation.
    """

    sigma: float
    low: float
    high: float
    spikes: int


def fit_bulk(S: Tensor, shape: tuple[int, int], as_coded: bool = False) -> BulkFit | None:
    """Returns the Marchenko–Pastur law of least squared distance from the density of the eigenvalues S².

    The eigenvalues are scaled to mean 1; their density is estimated with a triangular kernel. A square matrix is
    compared by its singular values, with the quarter-circle law √(4·sigma² - s²)/(pi·sigma²).

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.
        as_coded: compare a square matrix with √(4 - s²)/(pi·sigma²), as WeightWatcher does: sigma then changes the
            height of the curve and not its width, and is near 1 whatever the matrix. Others are compared alike.

    Returns:
        None where there is nothing to fit: no eigenvalue but 0, or a density that is thin everywhere.

    Source: `mp_fit` of weightwatcher 0.7.7; Marchenko and Pastur 1967.
    """
    from scipy.optimize import brute  # loaded where it is needed: it takes memory that most callers do not want to give

    d, long = min(shape), max(shape)
    eigenvalues = S.double().square().cpu().numpy()
    mean = float(eigenvalues.mean())
    if not mean > 0:
        return None
    scaled = eigenvalues / mean
    ratio = d / long
    points, density = _density(np.sqrt(scaled) if d == long else scaled)
    if len(points) == 0:
        return None
    largest = sqrt(float(scaled[0])) / (1 + sqrt(ratio))  # the sigma whose bulk ends at the largest eigenvalue
    grid = (slice(0.05 * largest, 2.0 * largest, 0.01 * largest),)
    sigma = float(brute(_misfit(points, density, ratio, as_coded), grid)[0])
    low, high = _ends(sigma**2, ratio)
    allowance = sqrt(sqrt(ratio) * high ** (2 / 3) * d ** (-2 / 3))
    return BulkFit(sigma, low * mean, high * mean, int((scaled > high + allowance).sum()))


def _density(values: Array) -> tuple[Array, Array]:
    """Returns the points where the density of the values is not thin, and the density there."""
    points = np.linspace(0, values.max() + 0.5, _POINTS)
    density = np.empty(_POINTS)
    step = max(1, _CHUNK // len(values))
    for first in range(0, _POINTS, step):
        far = np.abs(points[first : first + step, None] - values)  # (points, d)
        density[first : first + step] = np.maximum(1 - far / BANDWIDTH, 0).mean(axis=1) / BANDWIDTH
    thick = density > _THINNEST
    return points[thick], density[thick]


def _misfit(points: Array, density: Array, ratio: float, as_coded: bool) -> Callable[[Array], float]:
    """Returns sigma -> sum of squared distances between law and density."""
    peak, last = points[density.argmax()], points[-1]

    def misfit(sigma: Array) -> float:
        variance = float(sigma[0]) ** 2
        if ratio == 1:
            ends, law = (0.0, 2 * sqrt(variance)), _quarter_circle(points, variance)
        else:
            ends, law = _ends(variance, ratio), _marchenko_pastur(points, variance, ratio)
        if ends[0] > peak or not peak <= ends[1] <= last:
            return 1e6 * len(points)
        return float(np.sum((law - density) ** 2))

    def misfit_as_coded(sigma: Array) -> float:
        return float(np.sum((_quarter_circle(points, 1.0) / float(sigma[0]) ** 2 - density) ** 2))

    return misfit_as_coded if as_coded and ratio == 1 else misfit


def _quarter_circle(s: Array, variance: float) -> Array:
    return np.sqrt(np.maximum(4 * variance - s**2, 0)) / (np.pi * variance)


def _marchenko_pastur(eigenvalues: Array, variance: float, ratio: float) -> Array:
    low, high = _ends(variance, ratio)
    inside = np.maximum((high - eigenvalues) * (eigenvalues - low), 0)
    return np.sqrt(inside) / (2 * np.pi * variance * ratio * np.maximum(eigenvalues, np.finfo(float).tiny))


def _ends(variance: float, ratio: float) -> tuple[float, float]:
    return variance * (1 - sqrt(ratio)) ** 2, variance * (1 + sqrt(ratio)) ** 2
