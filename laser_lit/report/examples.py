"""The examples of a run as the page wants them: columns, the outcome of each, nothing that is not shown."""

from typing import Any

import pandas as pd

from laser_lit.results.record import jsonable

LIMIT = 50_000
"""Examples on one page; beyond it those that did not change are left out first."""

CLIP = 4_000
"""Characters of one text on the page."""

_TEXT = ("id", "group", "split", "category", "prompt", "answer", "base_prediction", "laser_prediction")
_LOSSES = ("base_log_loss", "laser_log_loss")
_FLIPPED = ("fixed", "broken")
ANSWERED = {
    "fixed": "wrong under the base, right under LASER",
    "broken": "right under the base, wrong under LASER",
    "wrong": "wrong under both",
    "right": "right under both",
}
UNANSWERED = {
    "lower": "lower log loss under LASER",
    "higher": "higher log loss under LASER",
    "same": "the same log loss under both",
}


def examples_payload(predictions: pd.DataFrame, limit: int = LIMIT) -> dict[str, Any]:
    """Returns the examples by column (`outcome` among them), how many there are, and what each outcome means.

    Columns without any value are left out, and texts cut to `CLIP` characters. Rows keep their order.

    Args:
        predictions: as from `predictions_table`.
        limit: largest number of rows; flipped ones are kept first.
    """
    table = predictions.assign(outcome=_outcome(predictions))
    kept = _kept(table["outcome"], limit)
    table = table[kept]
    columns: dict[str, Any] = {"outcome": table["outcome"].tolist()}
    for name in _TEXT:
        if name in table.columns and table[name].notna().any():
            columns[name] = [None if pd.isna(entry) else _clipped(str(entry)) for entry in table[name]]
    for name in _LOSSES:
        if name in table.columns and table[name].notna().any():
            columns[name] = jsonable(table[name].astype(float).round(4).tolist())
    return {"columns": columns, "total": len(predictions), "shown": len(table), "outcomes": _meanings(predictions)}


def _clipped(text: str) -> str:
    return text if len(text) <= CLIP else f"{text[:CLIP]} … ({len(text) - CLIP:,} more characters)"


def _meanings(predictions: pd.DataFrame) -> dict[str, str]:
    answered = _numbers(predictions, "correct")[0] is not None
    if {"laser_log_loss", "laser_correct"} & set(predictions.columns):
        return ANSWERED if answered else UNANSWERED
    return {"wrong": "wrong", "right": "right"} if answered else {}


def _outcome(predictions: pd.DataFrame) -> pd.Series:
    """Returns the name of each row's outcome, by correctness where there is one and else by log loss."""
    base, laser = _numbers(predictions, "correct")
    if base is not None and laser is not None:
        return (
            pd.Series("wrong", predictions.index)
            .mask((base > 0) & (laser > 0), "right")
            .mask(laser > base, "fixed")
            .mask(laser < base, "broken")
        )
    base, laser = _numbers(predictions, "log_loss")
    if base is None or laser is None:
        return pd.Series("same", predictions.index)
    return pd.Series("same", predictions.index).mask(laser < base, "lower").mask(laser > base, "higher")


def _numbers(predictions: pd.DataFrame, name: str) -> tuple[pd.Series | None, pd.Series | None]:
    """Returns a column of base and LASER; the base's twice for a run without edits, None where nothing is known."""
    if f"base_{name}" not in predictions.columns or predictions[f"base_{name}"].isna().all():
        return None, None
    laser = f"laser_{name}" if f"laser_{name}" in predictions.columns else f"base_{name}"
    return predictions[f"base_{name}"].astype(float), predictions[laser].astype(float)


def _kept(outcome: pd.Series, limit: int) -> pd.Series:
    """Returns which rows the page gets."""
    order = (~outcome.isin(_FLIPPED)).astype(int).argsort(kind="stable")
    kept = pd.Series(False, outcome.index)
    kept.iloc[order.to_numpy()[:limit]] = True
    return kept
