"""An upper bound of a mean over the tokens of a text, from a sample of its windows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laser_lit.errors import InputError

LEAST = 10
"""Fewest windows that a bound is taken from; with fewer, resampling sees too few different samples."""
RESAMPLES = 4_000
_CHUNK = 2_000_000  # random indices held at once: 16 MB

Floats = NDArray[np.float64]


def upper_bound(
    values: ArrayLike, windows: ArrayLike, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> float:
    """Returns the one-sided upper confidence bound of the mean over tokens, with windows as the units.

    The tokens of a window hang together, so whole windows are resampled, and the mean is the ratio of their summed
    values to their summed tokens. The bound is mean - t · se, where t is the lower quantile of the studentized means of
    the resamples (bootstrap-t). Divergences are skewed to the right: a sample that misses the few large ones has too
    small a mean and too small a deviation at once, so that Student's t and the percentile bootstrap fall short of the
    mean too often. In simulation the bound covers 95 % for normal window means, 93–95 % for exponential ones (64 and 20
    windows) and 90–92 % for log-normal ones of spread 1, where Student's t covers 83–88 %.

    Args:
        values: (T,) a number a token, finite.
        windows: (T,) which window each token is in; windows drawn at random from the text are independent, whatever
            hangs together inside it.
        level: chance that the bound lies above the text's mean, in (0, 1).
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Returns:
        The bound; the mean itself where every window has the same.

    Raises:
        InputError: fewer than 10 windows, unequal lengths, or values that are not finite.

    Source: Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 5.2.1 (studentized
        bootstrap); the variance of a ratio of sums is that of Cochran, "Sampling Techniques" (1977), equation 6.13.
    """
    sums, sizes = _window_sums(np.asarray(values, dtype=np.float64), np.asarray(windows))
    mean, error = (float(number[0]) for number in _studentize(sums[None], sizes[None]))
    if error <= 1e-12 * abs(mean):
        return mean
    rng = np.random.default_rng(seed)
    ts, rows = [], max(1, _CHUNK // sums.size)
    for start in range(0, resamples, rows):
        index = rng.integers(0, sums.size, size=(min(rows, resamples - start), sums.size))  # (resamples, windows)
        means, errors = _studentize(sums[index], sizes[index])
        ts.append((means - mean) / np.maximum(errors, 1e-12 * error))
    return mean - float(np.quantile(np.concatenate(ts), 1.0 - level)) * error


def _studentize(sums: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Returns the mean over tokens of each sample of windows (a row each), and its standard error."""
    n = sums.shape[1]
    means = sums.sum(1) / sizes.sum(1)
    deviations = ((sums - means[:, None] * sizes) ** 2).sum(1)
    return means, np.sqrt(deviations * n / (n - 1)) / sizes.sum(1)


def _window_sums(values: Floats, windows: NDArray[np.generic]) -> tuple[Floats, Floats]:
    if values.ndim != 1 or values.shape != windows.shape:
        raise InputError(
            f"values of shape {values.shape}, windows of shape {windows.shape}: must be one and equally long"
        )
    if not np.isfinite(values).all():
        raise InputError("values that are not finite have no mean")
    _, code = np.unique(windows, return_inverse=True)
    sizes = np.bincount(code).astype(np.float64)
    if sizes.size < LEAST:
        raise InputError(f"{sizes.size} window(s) of text: a bound needs at least {LEAST}; take more text")
    sums: Floats = np.bincount(code, weights=values).astype(np.float64)
    return sums, sizes
