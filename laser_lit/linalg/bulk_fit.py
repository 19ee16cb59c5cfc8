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
_CHUNK = 1 << 21  # entries of the table of kernels that are computed at once


@dataclass(frozen=True)
class BulkFit:
    """A bulk of noise.

    Attributes:
        sigma: deviation of the noise, in units of the root mean square singular value over √(larger side).
        low: smallest eigenvalue of the bulk.
        high: largest eigenvalue of the bulk.
        spikes: eigenvalues above `high` and WeightWatcher's allowance for its fluctuation.
    """

    sigma: float
    low: float
    high: float
    spikes: int


def fit_bulk(S: Tensor, shape: tuple[int, int]) -> BulkFit | None:
    """Returns the Marchenko–Pastur law of least squared distance from the density of the eigenvalues S².

    The eigenvalues are scaled to mean 1; their density is estimated with a triangular kernel. A square matrix is
    compared by its singular values and, as WeightWatcher codes it, with √(4 - s²)/(pi·sigma²), which is the
    quarter-circle law at sigma = 1 only: away from it sigma changes the height of the curve and not its width.

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.

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
    sigma = float(brute(_misfit(points, density, ratio), grid)[0])
    low, high = (sigma * (1 - sqrt(ratio))) ** 2, (sigma * (1 + sqrt(ratio))) ** 2
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


def _misfit(points: Array, density: Array, ratio: float) -> Callable[[Array], float]:
    """Returns sigma -> sum of squared distances between law and density."""
    peak, last = points[density.argmax()], points[-1]
    quarter = np.sqrt(np.maximum(4 - points**2, 0)) / np.pi

    def square(sigma: Array) -> float:
        return float(np.sum((quarter / float(sigma[0]) ** 2 - density) ** 2))

    def oblong(sigma: Array) -> float:
        variance = float(sigma[0]) ** 2
        low, high = variance * (1 - sqrt(ratio)) ** 2, variance * (1 + sqrt(ratio)) ** 2
        if low > peak or not peak <= high <= last:
            return 1e6 * len(points)
        inside = np.maximum((high - points) * (points - low), 0)
        law = np.sqrt(inside) / (2 * np.pi * variance * ratio * np.maximum(points, np.finfo(float).tiny))
        return float(np.sum((law - density) ** 2))

    return square if ratio == 1 else oblong
