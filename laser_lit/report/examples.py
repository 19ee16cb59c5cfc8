"""The examples of a run as the page wants them: columns, the outcome of each, nothing that is not shown."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from laser_lit.results.record import jsonable

LIMIT = 50_000
"""Examples on one page; beyond it those that did not change are left out first."""

CLIP = 4_000
"""Characters of one text on the page."""

NAMES = {"base": "base", "laser": "LASER", "reft": "ReFT", "laser_reft": "LASER + ReFT"}
"""What the columns of predictions begin with, and how the page calls that variant."""

_TEXT = ("id", "group", "split", "category", "prompt", "answer")
_SEARCHED = ("id", "group", "category", "prompt", "answer")
_FLIPPED = ("fixed", "broken")


def examples_payload(predictions: pd.DataFrame, limit: int = LIMIT, names: Mapping[str, str] = NAMES) -> dict[str, Any]:
    """Returns the examples by column (`outcome` among them), the variants beside each other, and how many there are.

    Columns without any value are left out, and texts cut to `CLIP` characters. Rows keep their order. `outcome` is of
    the first two variants; `searched` names the columns of words.

    Args:
        predictions: as from `predictions_table`.
        limit: largest number of rows; flipped ones are kept first.
        names: of variants, by what their columns begin with; those without columns are left out.
    """
    keys = [key for key in names if {f"{key}_correct", f"{key}_log_loss"} & set(predictions.columns)]
    outcome = _outcome(predictions, *keys[:2])
    kept = _kept(outcome, limit)
    table = predictions[kept]
    said = [f"{key}_prediction" for key in keys]
    columns = {"id": table["id"].astype(str).tolist(), "outcome": outcome[kept].tolist()}
    columns |= {name: _texts(table[name]) for name in (*_TEXT, *said) if _known(table, name)}
    columns |= {name: _numbers(table[name]) for name in ("frequency",) if _known(table, name)}
    for key in keys:
        columns |= {name: _flags(table[name]) for name in (f"{key}_correct",) if _known(table, name)}
        columns |= {name: _numbers(table[name]) for name in (f"{key}_log_loss",) if _known(table, name)}
    return {
        "columns": columns,
        "variants": [{"key": key, "name": names[key]} for key in keys],
        "searched": [name for name in (*_SEARCHED, *said) if name in columns],
        "total": len(predictions),
        "shown": len(table),
    }


def _known(table: pd.DataFrame, name: str) -> bool:
    return name in table.columns and bool(table[name].notna().any())


def _texts(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(entry) else _clipped(str(entry)) for entry in column]


def _numbers(column: pd.Series) -> list[Any]:
    numbers: list[Any] = jsonable(column.astype(float).round(4).tolist())
    return numbers


def _flags(column: pd.Series) -> list[int]:
    """Returns 1 for right and 0 for wrong, which is shorter on a page of many examples than true and false."""
    return (column.astype(float) > 0).astype(int).tolist()


def _clipped(text: str) -> str:
    return text if len(text) <= CLIP else f"{text[:CLIP]} … ({len(text) - CLIP:,} more characters)"


def _outcome(predictions: pd.DataFrame, first: str = "base", second: str | None = None) -> pd.Series:
    """Returns the name of each row's outcome, by correctness where there is one and else by log loss."""
    before, after = _both(predictions, "correct", first, second)
    if before is not None and after is not None:
        return (
            pd.Series("wrong", predictions.index)
            .mask((before > 0) & (after > 0), "right")
            .mask(after > before, "fixed")
            .mask(after < before, "broken")
        )
    before, after = _both(predictions, "log_loss", first, second)
    if before is None or after is None:
        return pd.Series("same", predictions.index)
    return pd.Series("same", predictions.index).mask(after < before, "lower").mask(after > before, "higher")


def _both(
    predictions: pd.DataFrame, what: str, first: str, second: str | None
) -> tuple[pd.Series | None, pd.Series | None]:
    """Returns a column of two variants; the first one's twice without a second, None where nothing is known."""
    if not _known(predictions, f"{first}_{what}"):
        return None, None
    other = f"{second}_{what}" if second and f"{second}_{what}" in predictions.columns else f"{first}_{what}"
    return predictions[f"{first}_{what}"].astype(float), predictions[other].astype(float)


def _kept(outcome: pd.Series, limit: int) -> pd.Series:
    """Returns which rows the page gets."""
    order = (~outcome.isin(_FLIPPED)).astype(int).argsort(kind="stable")
    kept = pd.Series(False, outcome.index)
    kept.iloc[order.to_numpy()[:limit]] = True
    return kept
