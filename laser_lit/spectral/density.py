"""The histogram of a spectrum in units of its noise, and the Marchenko–Pastur density that noise would follow."""

from dataclasses import dataclass
from math import isfinite, pi, sqrt

import torch
from torch import Tensor

from laser_lit.errors import InputError

BINS = 60
_MARGIN = 1.3
"""How far the histogram reaches beyond the edge of the noise."""


@dataclass(frozen=True)
class Density:
    """How singular values lie, in units of sigma·√N, where N is the longer side.

    Attributes:
        sigma: standard deviation of the noise entries, from the median of the singular values.
        beta: min/max of the shape.
        width: of a bin, from 0 on.
        counts: singular values in each of BINS bins.
        above: those beyond the last bin, the largest first; at most ten.
    """

    sigma: float
    beta: float
    width: float
    counts: list[int]
    above: list[float]


def spectral_density(S: Tensor, shape: tuple[int, int], sigma: float) -> Density | None:
    """Returns the histogram of singular values in units of the noise; None where there is no noise to compare with.

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.
        sigma: standard deviation of the noise entries.
    """
    unit = sigma * sqrt(max(shape))
    if not unit > 0 or not isfinite(float(S[0]) / unit):
        return None
    beta = min(shape) / max(shape)
    width = _MARGIN * (1 + sqrt(beta)) / BINS
    places = (S.double().cpu() / unit / width).floor()  # (d,)
    counts = torch.bincount(places[places < BINS].long(), minlength=BINS)
    beyond = S[: int((places >= BINS).sum())][:10].cpu() / unit
    return Density(sigma, beta, width, counts.tolist(), beyond.tolist())


def noise_density(s: float, beta: float) -> float:
    """Returns the density of pure noise's singular values at s; its integral is 1.

    Args:
        s: singular value in units of sigma·√N, N the longer side.
        beta: min/max of the shape, in (0, 1].

    Raises:
        InputError: beta outside (0, 1].

    Source: Marchenko and Pastur 1967; the law of the eigenvalues s² with ds² = 2 s ds.
    """
    if not 0 < beta <= 1:
        raise InputError(f"beta {beta}: min/max of a shape lies in (0, 1]")
    low, high = (1 - sqrt(beta)) ** 2, (1 + sqrt(beta)) ** 2
    inside = (high - s * s) * (s * s - low)
    if s == 0:
        return 2 / pi if beta == 1 else 0.0
    return sqrt(inside) / (pi * beta * s) if inside > 0 else 0.0
