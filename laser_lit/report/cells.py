"""The cells of a search as figures and tables want them: which gain counts, where it is, and whether it is clear."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from laser_lit.report.wording import interval, p_value, signed
from laser_lit.results.record import Record, jsonable
from laser_lit.results.search_record import SearchRecord

LEVEL = 0.05
"""Adjusted p up to which a cell counts as different from the base."""

MATRICES = ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_up", "fc_out")
"""In the order of a block; other names come after these."""

PARTS = ("encoder", "decoder", "cross")
LIMIT = 2_000
"""Cells in a table on a page or on W&B; the best are kept."""

IN_TURN = ("rmt", "snr")
"""Drivers that try each edit on top of those kept before: their few single edits are the first tries, no map."""

REFUSED = "×"
"""What marks a stack that the guard turned away."""

_SHOWN = ("edits", "gain_accuracy", "gain_log_loss", "p", "p_adjusted", "guard", "predicted", "n", "seconds", "error")


def unit(search: SearchRecord) -> str:
    """Returns the unit of the search's gains: "points" or "nats"."""
    return "points" if search.objective == "accuracy" else "nats"


def prepared(cells: pd.DataFrame, search: SearchRecord) -> pd.DataFrame:
    """Returns the cells that have a score, in their order, with what figures show of them.

    New columns: gain (of the objective, in points or nats), clear (its adjusted p is at most .05), other_gain and
    other_clear (the same of the other metric; missing where there is none), refused (the guard turned it away), column
    (the layer), row (the matrix with its part and expert), level (how much is kept, in words), kept (as a number that
    orders the levels of a kind), said (the cell in words, escaped).

    Args:
        cells: as from `read_cells`.
        search: that tried them.
    """
    table = cells.assign(gain=_gains(cells, search.objective), other_gain=_gains(cells, other_metric(search)))
    table = table[table["error"].isna() & table["gain"].notna()].reset_index(drop=True)
    rows = table.to_dict("records")
    levels, kept = _levels(table)
    return table.assign(
        complete=table["complete"].astype(bool),
        clear=(table["p_adjusted"].astype(float) <= LEVEL).to_numpy(dtype=bool),
        other_clear=(table["p_adjusted_other"].astype(float) <= LEVEL).to_numpy(dtype=bool),
        refused=(table["guard"] == "refused").to_numpy(dtype=bool),
        column=table["layer"].astype(int).astype(str),
        row=[_row_name(row) for row in rows],
        level=levels,
        kept=kept,
        said=[_said(row, search) for row in rows],
    )


def is_guarded(record: Record) -> bool:
    """Returns whether a guard had a say in the search.

    Args:
        record: of a run with a search.
    """
    return bool(((record.config.get("search") or {}).get("guard") or {}).get("data"))


def other_metric(search: SearchRecord) -> str:
    """Returns the metric that is not the search's objective: "accuracy" or "log_loss"."""
    return "log_loss" if search.objective == "accuracy" else "accuracy"


def _gains(cells: pd.DataFrame, metric: str) -> pd.Series:
    gains = cells[f"gain_{metric}"].astype(float).replace([np.inf, -np.inf], np.nan)
    return gains * (100 if metric == "accuracy" else 1)


def _levels(table: pd.DataFrame) -> tuple[list[str], list[float]]:
    """Returns how much each cell keeps: its rank, or its share of the full rank where matrices differ in that."""
    rank, rho = (table[name].astype(float) for name in ("rank", "rho"))
    by_rank = (rank / rho).round().dropna().nunique() <= 1
    kept = rank if by_rank else rho.map("{:.2g}".format).astype(float)
    words = [f"rank {size:g}" if by_rank else f"{100 * size:.2g} % of the ranks" for size in kept]
    kinds = ["" if kind == "low_rank" else str(kind) for kind in table["kind"]]
    named = [kind if np.isnan(size) else f"{kind} {word}" for kind, word, size in zip(kinds, words, kept, strict=True)]
    return [name.strip() for name in named], kept.fillna(0.0).tolist()


def _row_name(cell: dict[str, Any]) -> str:
    part = f"{cell['part']} " if isinstance(cell["part"], str) else ""
    return f"{part}{cell['matrix']}" + ("" if pd.isna(cell["expert"]) else f" expert {int(cell['expert'])}")


def _said(cell: dict[str, Any], search: SearchRecord) -> str:
    lines = [escape(str(cell["edits"])), *_said_gains(cell, search)]
    if not cell["complete"]:
        lines.append(f"given up after {int(cell['n']):,} examples")
    elif pd.notna(cell["p_adjusted"]):
        lines.append(f"adjusted {p_value(float(cell['p_adjusted']))}")
    if cell["guard"] == "refused":
        lines.append("turned away by the guard")
    return "<br>".join(lines)


def _said_gains(cell: dict[str, Any], search: SearchRecord) -> list[str]:
    """Returns both gains in words, the objective's first, with their intervals where they are known."""
    found = []
    for metric in (search.objective, other_metric(search)):
        share = metric == "accuracy"
        gain, low, high = (float(cell[f"gain_{metric}{end}"]) for end in ("", "_low", "_high"))
        if np.isfinite(gain):
            name = f"gain {signed(gain, share)} {'points' if share else 'nats'}"
            found.append(f"{name}, 95 % {interval((low, high), share)}" if np.isfinite(low) else name)
    return found


def plain_gain(gain: float, search: SearchRecord) -> str:
    """Returns a gain with sign and unit: "+19.3 points".

    Args:
        gain: in points or nats.
        search: whose objective it is of.
    """
    share = search.objective == "accuracy"
    return f"{signed(gain / 100 if share else gain, share)} {unit(search)}"


def single_edits(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the single edits that can be compared with each other, so none of a driver that works in turn.

    Args:
        table: as from `prepared`.
    """
    return table[(table["step"] == 0) & ~table["driver"].isin(IN_TURN)]


def best_by_place(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the best single edit of every layer and matrix, one that the guard turned away only where all were.

    One that was scored on more examples goes first.

    Args:
        table: as from `prepared`.
    """
    ordered = single_edits(table).sort_values(["n", "refused", "gain"], ascending=[False, True, False], kind="stable")
    return ordered.drop_duplicates(["row", "column"])


def axes(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Returns the matrices, in the order of a block, and the layers of the cells.

    Args:
        table: as from `prepared`.
    """
    places = table[["part", "matrix", "expert", "row"]].drop_duplicates("row").to_dict("records")
    rows = [place["row"] for place in sorted(places, key=_place_order)]
    return rows, [str(layer) for layer in sorted(table["layer"].astype(int).unique())]


def _place_order(place: dict[str, Any]) -> tuple[int, int, str, int]:
    part = PARTS.index(place["part"]) if place["part"] in PARTS else len(PARTS)
    matrix = MATRICES.index(place["matrix"]) if place["matrix"] in MATRICES else len(MATRICES)
    return part, matrix, place["matrix"], -1 if pd.isna(place["expert"]) else int(place["expert"])


def cells_payload(cells: pd.DataFrame, search: SearchRecord, limit: int = LIMIT) -> dict[str, Any]:
    """Returns the cells by column, the best first, those turned away after the others, failed ones last; and how many.

    Null is no number. Columns without any value are left out.

    Args:
        cells: as from `read_cells`.
        search: that tried them.
        limit: largest number of cells.
    """
    gain = cells[f"gain_{search.objective}"].astype(float)
    flags = {"failed": cells["error"].notna(), "partial": ~cells["complete"].astype(bool)}
    order = pd.DataFrame({**flags, "refused": cells["guard"] == "refused", "gain": -gain})
    order = order.sort_values(list(order), kind="stable")
    kept = cells.loc[order.index[:limit]]
    columns = {name: jsonable(kept[name].tolist()) for name in _SHOWN if kept[name].notna().any()}
    return {
        "columns": columns,
        "total": len(cells),
        "shown": len(kept),
        "full": int(cells["n"].max()) if len(kept) else 0,
    }
