"""The levels of a run's predictions that the report shows, by what came of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

BOTH: Mapping[str, str] = {
    "fixed": "solved under LASER, not under the base",
    "broken": "solved under the base, not under LASER",
    "solved": "solved under both",
    "failed": "solved under neither",
}
BASE: Mapping[str, str] = {"solved": "solved", "failed": "not solved"}
"""Outcomes of a run without edits."""

_NEEDED = {"id", "split", "prompt", "base_correct", "base_prediction"}
_NEEDED_EDITED = {"laser_correct", "laser_prediction"}


@dataclass(frozen=True)
class ShownLevels:
    """Levels of one split.

    Attributes:
        split: "test", or "validation" where there is no other.
        edited: whether they were played under LASER too.
        meanings: of each outcome, in words; those that LASER changed first.
        totals: how many levels came to each outcome.
        table: rows of predictions with a column `outcome`: of each outcome the first ones, in the order of `meanings`.
    """

    split: str
    edited: bool
    meanings: Mapping[str, str]
    totals: Mapping[str, int]
    table: pd.DataFrame


def shown_levels(predictions: pd.DataFrame, most: int) -> ShownLevels | None:
    """Returns the levels to show; None for a table without episodes.

    Args:
        predictions: as from `predictions_table`.
        most: levels of one outcome.
    """
    if predictions.empty or not set(predictions.columns) >= _NEEDED:
        return None
    splits = set(predictions["split"])
    split = "test" if "test" in splits else sorted(splits)[0]
    levels = predictions[predictions["split"] == split]
    edited = set(levels.columns) >= _NEEDED_EDITED
    meanings = BOTH if edited else BASE
    levels = levels.assign(outcome=_outcomes(levels, edited))
    chosen = [levels[levels["outcome"] == outcome].head(most) for outcome in meanings]
    totals = {outcome: int((levels["outcome"] == outcome).sum()) for outcome in meanings}
    return ShownLevels(split, edited, meanings, totals, pd.concat(chosen, ignore_index=True))


def _outcomes(levels: pd.DataFrame, edited: bool) -> pd.Series:
    base = levels["base_correct"].astype(bool)
    laser = levels["laser_correct"].astype(bool) if edited else base
    return (
        pd.Series("failed", levels.index)
        .mask(base & laser, "solved")
        .mask(~base & laser, "fixed")
        .mask(base & ~laser, "broken")
    )
