"""What a paired difference says: a gain, none to speak of, or nothing yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laser_lit.errors import InputError
from laser_lit.results.stats import bootstrap_ci, group_sums

MARGIN = 0.01
"""A difference below it, either way, counts as none: one point."""


@dataclass(frozen=True)
class Verdict:
    """What a difference says.

    Attributes:
        name: "gain" or "loss": the 95 % interval lies above or below 0. "none": two one-sided tests at 5 % put the
            difference within the margin, that is, the 90 % interval lies within it. Otherwise "undecided".
        difference: its mean.
        ci95: bootstrap over groups; None for a single group.
        ci90: the same.
        margin: below which a difference counts as none.
    """

    name: Literal["gain", "loss", "none", "undecided"]
    difference: float
    ci95: tuple[float, float] | None
    ci90: tuple[float, float] | None
    margin: float


def verdict(
    gains: ArrayLike, groups: Sequence[object] | NDArray[np.generic], margin: float = MARGIN, seed: int = 0
) -> Verdict:
    """Returns what paired differences say.

    Args:
        gains: (n,) a difference an example.
        groups: (n,) the group of each example.
        margin: below which a difference counts as none, above 0.
        seed: of the resampling.

    Raises:
        InputError: a margin that is not above 0, or differences as `bootstrap_ci` refuses them.

    Source: Schuirmann (1987), "A comparison of the two one-sided tests procedure …", for the test of no difference.
    """
    if not margin > 0:
        raise InputError(f"margin {margin}: must be above 0")
    sums, sizes = group_sums(gains, groups, None)
    ci95, ci90 = (bootstrap_ci(gains, groups, level=level, seed=seed) for level in (0.95, 0.9))
    name: Literal["gain", "loss", "none", "undecided"] = "undecided"
    if ci95 is not None and ci90 is not None:
        if ci95[0] > 0 or ci95[1] < 0:
            name = "gain" if ci95[0] > 0 else "loss"
        elif -margin < ci90[0] and ci90[1] < margin:
            name = "none"
    return Verdict(name, float(sums.sum() / sizes.sum()), ci95, ci90, margin)
