"""What the singular values of pure noise look like, and where a signal rises above them."""

from functools import lru_cache
from math import atan, cos, pi, sin, sqrt, tan

import torch
from torch import Tensor

from laser_lit.errors import InputError


def edge(beta: float) -> float:
    """Returns the largest singular value of pure noise in units of sigma·√N, N the longer side: 1 + √beta.

    Args:
        beta: min/max of the shape, in (0, 1].

    Source: Marchenko and Pastur 1967.
    """
    return 1 + sqrt(_checked(beta))


@lru_cache(maxsize=1024)
def quantile(beta: float, share: float) -> float:
    """Returns the singular value, in units of sigma·√N, below which a share of pure noise's singular values lies.

    Args:
        beta: min/max of the shape, in (0, 1].
        share: in [0, 1].

    Source: the Marchenko–Pastur density with lambda = 1 + beta + 2·√beta·cos(theta), integrated in closed form.
    """
    _checked(beta)
    if not 0 <= share <= 1:
        raise InputError(f"share {share}: must lie in [0, 1]")
    low, high = 0.0, pi
    for _ in range(64):  # halves an interval of length pi below the spacing of floats
        theta = (low + high) / 2
        low, high = (theta, high) if _share_above(theta, beta) < 1 - share else (low, theta)
    return sqrt((1 - sqrt(beta)) ** 2 + 4 * sqrt(beta) * cos((low + high) / 4) ** 2)


def noise_level(S: Tensor, shape: tuple[int, int]) -> float:
    """Returns the standard deviation sigma of the noise entries, from the median singular value.

    Args:
        S: (d,) all singular values of the matrix.
        shape: of the matrix.

    Source: Gavish and Donoho 2014, section III.D, with the median of the singular-value law.
    """
    beta = min(shape) / max(shape)
    median = float(torch.quantile(S.double(), 0.5))
    return median / (sqrt(max(shape)) * quantile(beta, 0.5))


def noise_level_iqr(S: Tensor, shape: tuple[int, int], widened: float = 0) -> float:
    """Returns the standard deviation sigma of the noise entries, from the interquartile range of the singular values.

    Args:
        S: (d,) all singular values of the matrix.
        shape: of the matrix.
        widened: by how many components outwards both quartiles are read; above 0 the result is an upper estimate.

    Source: laserRMT's estimate, with the width of the singular-value law in place of the normal law's 1.349.
    """
    beta = min(shape) / max(shape)
    width = quantile(beta, 0.75) - quantile(beta, 0.25)
    return interquartile_range(S, widened) / (sqrt(max(shape)) * width)


def interquartile_range(S: Tensor, widened: float = 0) -> float:
    """Returns the distance between the first and the third quartile, which are interpolated linearly.

    Args:
        S: (d,) values.
        widened: by how many values outwards both quartiles are read.
    """
    low = max(0.0, 0.25 - widened / len(S))
    shares = torch.tensor([low, 1 - low], dtype=torch.float64, device=S.device)
    first, third = torch.quantile(S.double(), shares).tolist()
    return third - first


def optimal_threshold(beta: float) -> float:
    """Returns the hard threshold of least asymptotic mean squared error for known noise, in units of sigma·√N.

    Args:
        beta: min/max of the shape, in (0, 1].

    Source: Gavish and Donoho 2014, equation 11; 4/√3 at beta = 1.
    """
    _checked(beta)
    return sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + sqrt(beta**2 + 14 * beta + 1)))


def _share_above(theta: float, beta: float) -> float:
    """Returns the share of singular values with an angle below theta, that is of larger singular values."""
    root = sqrt(beta)
    ratio = (1 - root) / (1 + root)
    spread = 2 * (1 - beta) * atan(ratio * tan(theta / 2)) if theta < pi else (1 - beta) * pi
    return ((1 + beta) * theta - 2 * root * sin(theta) - spread) / (2 * pi * beta)


def _checked(beta: float) -> float:
    if not 0 < beta <= 1:
        raise InputError(f"beta {beta}: min/max of a shape lies in (0, 1]")
    return beta
