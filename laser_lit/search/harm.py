"""Which stacks are shown on validation to be not worse than the base by more than a margin."""

from collections.abc import Sequence

import numpy as np

from laser_lit.results.intervals import Intervals, intervals, not_worse
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop


def harmless(loop: Loop, cells: Sequence[Cell], delta: float) -> list[Cell]:
    """Returns the cells whose gain of the objective is shown to be above -delta; those that are not complete are none.

    Args:
        loop: that scored them.
        cells: of stacks.
        delta: the margin, above 0, in the objective's unit.
    """
    complete = [cell for cell in cells if cell.error is None and cell.n == loop.size]
    if not complete:
        return []
    fine = shown(gain_intervals(loop, complete), loop, delta)
    return [cell for cell, good in zip(complete, fine, strict=True) if good]


def gain_intervals(loop: Loop, cells: Sequence[Cell]) -> Intervals:
    """Returns what resampling says of the objective's gains, the same as the columns of the table of cells.

    Args:
        loop: that scored them.
        cells: complete ones, at least one.
    """
    gains = loop.objective.gains(cells, loop.base)  # (cells, N)
    return intervals(gains, loop.groups, weights=loop.objective.weights, seed=loop.seed)


def shown(ends: Intervals, loop: Loop, delta: float) -> np.ndarray:
    """Returns (cells,) whether each gain of the objective is shown to be above -delta.

    Args:
        ends: of the gains.
        loop: of the search.
        delta: the margin, above 0.
    """
    groups, share = len(np.unique(loop.groups)), loop.objective.name == "accuracy"
    pairs = zip(ends.low, ends.bound, strict=True)
    return np.array([not_worse(low, bound, groups, delta, share) for low, bound in pairs], dtype=object)
