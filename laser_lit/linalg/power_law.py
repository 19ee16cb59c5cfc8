"""The power law that fits the tail of a spectrum, as WeightWatcher finds it."""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

SMALLEST_EIGENVALUE = 1e-5
"""Eigenvalues up to here are no part of the fit, as in WeightWatcher."""
FEW = 20
"""With fewer eigenvalues WeightWatcher corrects the estimate for their number."""
FEWEST = 8
"""The least eigenvalues that a tail of those few may have, and that a fit needs at all, as in WeightWatcher."""

_CHUNK = 1 << 17  # entries of the table of distances that are computed at once: they stay in the cache


@dataclass(frozen=True)
class PowerLaw:
    """p(lambda) ~ lambda^-alpha from xmin on.

    Attributes:
        alpha: the exponent.
        D: Kolmogorov–Smirnov distance between the tail and the law, in [0, 1].
        xmin: smallest eigenvalue of the tail.
        sigma: standard error of alpha, (alpha - 1)/√n for a tail of n.
        n: eigenvalues in the tail, xmin among them.
    """

    alpha: float
    D: float
    xmin: float
    sigma: float
    n: int


def fit_power_law(eigenvalues: Tensor) -> PowerLaw | None:
    """Returns the law of the tail that is nearest to a power law, or None where there is none.

    Every eigenvalue above SMALLEST_EIGENVALUE but the largest is tried as xmin; the maximum-likelihood exponent of the
    tail from there is 1 + n/Σ ln(lambda/xmin), and the xmin of least distance D is taken. Of fewer than FEW eigenvalues
    the exponent is corrected for its bias, 1 + (n - 1)/Σ, and D - .868/√n is minimized over tails of at least FEWEST.

    There is no fit where fewer than FEWEST eigenvalues are left, and where all tails are constant.

    Args:
        eigenvalues: (d,) squares of the singular values, in any order.

    Source: Clauset, Shalizi and Newman 2009, equation 3.1 and section 3.3; the choices of weightwatcher 0.7.7.
    """
    tail = eigenvalues.double()
    tail = tail[tail > SMALLEST_EIGENVALUE].sort().values  # (n,) ascending
    if len(tail) < FEWEST:
        return None
    logs = tail.log()
    few = int(len(tail) < FEW)
    n = torch.arange(len(tail), 0, -1, dtype=torch.float64, device=tail.device)[:-1]  # (candidates,)
    spread = logs.flip(0).cumsum(0).flip(0)[:-1] - n * logs[:-1]  # (candidates,) Σ ln(lambda/xmin)
    alpha = 1 + (n - few) / spread
    D = _distances(logs, alpha)
    score = (D - 0.868 / n.sqrt()).masked_fill(n < FEWEST, torch.inf) if few else D
    score = score.masked_fill(spread <= 1e-12 * n, torch.inf)  # a tail of equal values, up to rounding
    best = int(score.argmin())
    if not float(score[best]) < torch.inf:
        return None
    size = len(tail) - best
    error = (float(alpha[best]) - 1) / sqrt(size)
    return PowerLaw(float(alpha[best]), float(D[best]), float(tail[best]), error, size)


def _distances(logs: Tensor, alpha: Tensor) -> Tensor:
    """Returns the Kolmogorov–Smirnov distance of each tail, a few candidates at a time."""
    total, index = len(logs), torch.arange(len(logs), dtype=torch.float64, device=logs.device)
    found = []
    first = 0
    while first < len(alpha):
        last = min(len(alpha), first + max(1, _CHUNK // (total - first)))
        own = torch.arange(first, last, device=logs.device)[:, None]  # (candidates, 1)
        law = torch.expm1((1 - alpha[own]) * (logs[first:] - logs[own]))  # (candidates, tail); minus the share below
        law += (index[first:] - own) / (total - own)
        law.abs_().masked_fill_(index[first:] < own, 0)
        found.append(law.amax(dim=1))
        first = last
    return torch.cat(found)
