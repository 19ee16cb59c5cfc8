"""A search on the terminal: its numbers, and the best gain of every layer and matrix."""

from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from laser_lit.report.cells import MATRICES, PARTS, REFUSED, best_by_place, prepared, unit
from laser_lit.report.search import search_lines
from laser_lit.report.terminal import add_row, plain_table
from laser_lit.report.wording import signed
from laser_lit.results.record import Record
from laser_lit.results.search_record import SearchRecord

WIDTH = 76
"""Most columns of a terminal that a table is widened to."""
SHOWN_ROWS = 40
"""Layers of the map; of a deeper model those with the best gains are shown."""


def search_tables(record: Record, cells: pd.DataFrame | None) -> list[Table]:
    """Returns the search's numbers and, with its cells, the map; empty for a run without a search.

    Args:
        record: of the run.
        cells: as from `read_cells`.
    """
    if record.search is None:
        return []
    table = plain_table("Search on validation")
    table.show_header = False
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold", ratio=1)
    for label, text in search_lines(record, cells).items():
        add_row(table, label, text)
    drawn = None if cells is None else _map(prepared(cells, record.search), record.search)
    return [table] if drawn is None else [table, drawn]


def _map(scored: pd.DataFrame, search: SearchRecord) -> Table | None:
    best = best_by_place(scored)
    if best.empty:
        return None
    names = sorted(best["matrix"].unique(), key=lambda name: (*_place(MATRICES, name), name))
    heads = best.assign(head=[_head(cell) for cell in best.to_dict("records")])
    tops = heads.groupby("head")["gain"].max().nlargest(SHOWN_ROWS).index
    heads = heads[heads["head"].isin(tops)]
    order = heads.drop_duplicates("head").to_dict("records")
    legend = f"; {REFUSED} turned away" if best["refused"].any() else ""
    legend += "" if scored["complete"].astype(bool).all() else "; some partial"
    title = f"Best gain over ranks, {unit(search)} (* adjusted p ≤ .05{legend})"
    table = plain_table(title)
    table.min_width = min(len(title) + 2, WIDTH)  # few matrices are narrower than the title
    table.add_column("layer", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    by_place = {(cell["head"], cell["matrix"]): cell for cell in heads.to_dict("records")[::-1]}
    for row in sorted(order, key=lambda cell: (*_place(PARTS, cell["part"]), int(cell["layer"]))):
        add_row(table, row["head"], *(_cell(by_place.get((row["head"], name)), search) for name in names))
    left = best.drop_duplicates(["part", "layer"]).shape[0] - len(tops)
    if left > 0:
        add_row(table, f"… {left} more", *[""] * len(names), style="dim")
    return table


def _place(names: tuple[str, ...], name: Any) -> tuple[int]:
    return (names.index(name) if name in names else len(names),)


def _head(cell: dict[str, Any]) -> str:
    return f"{cell['part']} {int(cell['layer'])}" if isinstance(cell["part"], str) else str(int(cell["layer"]))


def _cell(cell: dict[str, Any] | None, search: SearchRecord) -> Text:
    if cell is None:
        return Text("")
    share = search.objective == "accuracy"
    text = signed(cell["gain"] / 100 if share else cell["gain"], share)
    if cell["refused"]:
        return Text(f"{text}{REFUSED}", style="dim")
    if not cell["clear"]:
        return Text(f"{text} ", style="dim")
    return Text(f"{text}*", style="green" if cell["gain"] > 0 else "red")
