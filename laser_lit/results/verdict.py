"""What a paired difference says: a gain, none to speak of, or nothing yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from laser_lit.errors import InputError
from laser_lit.results.stats import bootstrap_cis, group_sums

Name = Literal["gain", "loss", "none", "undecided"]
Interval = tuple[float, float]

MARGIN = 0.01
"""A difference below it, either way, counts as none: one point."""
_ERROR = 0.05  # of each of the two one-sided tests


@dataclass(frozen=True)
class Verdict:
    """What a difference says.

    Attributes:
        name: "gain" or "loss": the 95 % interval lies above or below 0. "none": two one-sided tests at 5 % put the
            difference within the margin, that is, the 90 % interval lies within it; and there are enough groups (299 at
            one point) that a change of the margin's size would hardly have missed them all. Otherwise "undecided".
        difference: its mean.
        ci95: bootstrap over groups; None for a single group.
        ci90: the same.
        margin: below which a difference counts as none.
    """

    name: Name
    difference: float
    ci95: Interval | None
    ci90: Interval | None
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
        InputError: a margin that is not above 0, or differences as `bootstrap_cis` refuses them.

    Source: Schuirmann (1987), "A comparison of the two one-sided tests procedure …", for the test of no difference.
    """
    if not margin > 0:
        raise InputError(f"margin {margin}: must be above 0")
    sums, sizes = group_sums(gains, groups, None)
    ci95, ci90 = bootstrap_cis(gains, groups, (0.95, 0.9), seed=seed)
    return Verdict(name_of(ci95, ci90, sums.size, margin), float(sums.sum() / sizes.sum()), ci95, ci90, margin)


def name_of(ci95: Interval | None, ci90: Interval | None, groups: int, margin: float = MARGIN) -> Name:
    """Returns the name of the verdict that intervals of a difference give; see `Verdict`.

    Args:
        ci95: None where nothing is known of the spread.
        ci90: the same.
        groups: how many they were drawn from.
        margin: below which a difference counts as none.
    """
    if ci95 is not None and (ci95[0] > 0 or ci95[1] < 0):
        return "gain" if ci95[0] > 0 else "loss"
    # where few groups differ or none does, the bootstrap sees too little of the spread, at the worst an interval of 0
    enough = max(0.0, 1.0 - margin) ** groups <= _ERROR
    return "none" if enough and ci90 is not None and -margin < ci90[0] and ci90[1] < margin else "undecided"
