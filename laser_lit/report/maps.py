"""Figures of single edits: a map of layers and matrices, and gain against rank."""

from typing import Any

import pandas as pd

from laser_lit.report.cells import REFUSED, axes, best_by_place, single_edits, unit
from laser_lit.report.figure import Figure, layout, line, selector, window
from laser_lit.results.record import AppliedEdit, jsonable
from laser_lit.results.search_record import SearchRecord

_BEST = "best of all"
_MAP_CAPTION = (
    "Blue gains, red harms; grey cannot be told from no change after adjusting for all cells that were scored in full "
    "(max-T p > .05), or was given up before that."
)
_COLOURED = [[0.0, "--bad"], [0.5, "--soft"], [1.0, "--accent"]]
_GREY = [[0.0, "--quiet"], [0.5, "--soft"], [1.0, "--quiet"]]


def map_figure(table: pd.DataFrame, search: SearchRecord, edits: tuple[AppliedEdit, ...]) -> Figure | None:
    """Returns gain by layer and matrix, at the best rank or at one that the reader selects; None without single edits.

    Args:
        table: as from `prepared`.
        search: that tried the cells.
        edits: what was chosen, to be marked.
    """
    single = single_edits(table)
    if single.empty:
        return None
    rows, columns = axes(single)
    views = _views(single)
    grids = {name: _grids(view, rows, columns) for name, view in views.items()}
    data = [*_heatmaps(grids[_BEST], rows, columns, single, search), _marks(edits, rows, columns)]
    changed = [0, 1]
    if single["refused"].any():
        changed.append(len(data))
        data.append(_crosses(views[_BEST], rows, columns))
        for name, view in views.items():
            sizes = _crosses(view, rows, columns)["marker"]["size"]
            grids[name] = {key: [*parts, None] for key, parts in grids[name].items()} | {
                "marker.size": [None, None, sizes]
            }
    menu = [selector("Rank", grids, changed)] if len(views) > 1 else []
    star = " The star marks what was chosen." if search.chosen is not None else ""
    return Figure(
        "map",
        "Layer × matrix",
        f"{_MAP_CAPTION}{_turned_away(single)}{star}",
        data,
        layout(
            *("layer", ""),
            height=130 + 34 * len(rows),
            xaxis={**_ordered(columns), "tickangle": 0},
            yaxis=_ordered(rows[::-1]),
            updatemenus=menu,
            showlegend=False,
        ),
    )


def _ordered(names: list[str]) -> dict[str, Any]:
    """Returns an axis with names in a given order."""
    return {"type": "category", "showgrid": False, "categoryorder": "array", "categoryarray": names}


def _views(single: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Returns a cell a place, at its best rank and at each rank alone."""
    views = {_BEST: best_by_place(single)}
    levels = single.sort_values(["kind", "kept"], kind="stable")["level"].drop_duplicates()
    if len(levels) > 1:
        views |= {level: single[single["level"] == level].drop_duplicates(["row", "column"]) for level in levels}
    return views


def _grids(view: pd.DataFrame, rows: list[str], columns: list[str]) -> dict[str, Any]:
    """Returns the values of both heatmaps: clear cells, all others; and what is said of each cell."""

    def grid(cells: pd.DataFrame, name: str) -> list[list[Any]]:
        wide = cells.pivot(index="row", columns="column", values=name).reindex(index=rows, columns=columns)
        return [jsonable(entries) for entries in wide.astype(object).to_numpy().tolist()]

    rounded = view.assign(gain=view["gain"].round(4))
    parts = [rounded[view["clear"]], rounded[~view["clear"]]]
    return {"z": [grid(part, "gain") for part in parts], "text": [grid(part, "said") for part in parts]}


def _turned_away(table: pd.DataFrame) -> str:
    return f" What is marked {REFUSED} was turned away by the guard." if table["refused"].any() else ""


def _heatmaps(
    grids: dict[str, Any], rows: list[str], columns: list[str], single: pd.DataFrame, search: SearchRecord
) -> list[dict[str, Any]]:
    beyond = window(single["gain"].tolist()) is not None
    most = float(single["gain"].max() if beyond else single["gain"].abs().max()) or 1.0
    common = {
        **{"type": "heatmap", "x": columns, "y": rows, "zmin": -most, "zmax": most, "xgap": 1, "ygap": 1},
        **{"hovertemplate": "%{text}<extra></extra>", "hoverongaps": False},
    }
    ticks = {"tickvals": [-most, 0, most], "ticktext": [f"{'≤ ' * beyond}−{most:.3g}", "0", f"+{most:.3g}"]}
    bar = {"title": {"text": unit(search)}, "thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11}, **ticks}
    return [
        {**common, **_part(grids, 0), "colorscale": _COLOURED, "colorbar": bar},
        {**common, **_part(grids, 1), "colorscale": _GREY, "showscale": False, "opacity": 0.6},
    ]


def _part(grids: dict[str, Any], place: int) -> dict[str, Any]:
    return {name: parts[place] for name, parts in grids.items()}


def _marks(edits: tuple[AppliedEdit, ...], rows: list[str], columns: list[str]) -> dict[str, Any]:
    named = dict.fromkeys((str(e.layer), f"{e.part} {e.matrix}" if e.part else e.matrix) for e in edits)
    places = [(column, row) for column, row in named if column in columns and row in rows]
    look = {"symbol": "star", "size": 13, "color": "--note-line", "line": {"color": "--ink", "width": 1}}
    return {
        **{"type": "scatter", "mode": "markers", "hoverinfo": "skip", "marker": look},
        **{"x": [column for column, _ in places], "y": [row for _, row in places]},
    }


def _crosses(view: pd.DataFrame, rows: list[str], columns: list[str]) -> dict[str, Any]:
    """Returns a mark at every place, of which only those are large enough to be seen that the guard turned away."""
    refused = set(zip(view.loc[view["refused"], "row"], view.loc[view["refused"], "column"], strict=True))
    places = [(row, column) for row in rows for column in columns]
    sizes = [9 if place in refused else 0 for place in places]
    look = {"symbol": "x", "size": sizes, "color": "--ink", "line": {"color": "--paper", "width": 1}}
    return {
        **{"type": "scatter", "mode": "markers", "hoverinfo": "skip", "marker": look},
        **{"x": [column for _, column in places], "y": [row for row, _ in places]},
    }


def rank_figure(table: pd.DataFrame, search: SearchRecord) -> Figure | None:
    """Returns gain against rank, a line a layer, of one matrix at a time; None where no matrix was cut to two ranks.

    Args:
        table: as from `prepared`.
        search: that tried the cells.
    """
    single = single_edits(table)
    ranked = single[single["rank"].notna()].sort_values("rank", kind="stable")
    places = ["row", "kind", "column"]
    ranked = ranked[ranked.groupby(places)["rank"].transform("nunique") > 1]
    if ranked.empty:
        return None
    ordered = ranked.sort_values(["refused", "gain"], ascending=[True, False], kind="stable")
    best = ordered["row"].iloc[0]
    rows = [best, *(row for row in axes(ranked)[0] if row != best)]
    top = set(ordered.drop_duplicates("row").index)
    traces = [
        _curve(curve, top, row == best) for row in rows for _, curve in ranked[ranked["row"] == row].groupby(places)
    ]
    shown = [[trace["meta"] == row for trace in traces] for row in rows]
    menu = [selector("Matrix", {row: {"visible": flags} for row, flags in zip(rows, shown, strict=True)})]
    return Figure(
        "ranks",
        "Gain against rank",
        f"A line a layer, the matrix's best in colour; filled points differ from the base after adjustment."
        f"{_turned_away(ranked)} Double-click shows everything.",
        traces,
        layout(
            *("rank kept", f"validation gain, {unit(search)}"),
            xaxis={"type": "log", **_ticks(ranked["rank"])},
            yaxis={"range": window(ranked["gain"].tolist())},
            shapes=[line(xref="paper", x0=0, x1=1, y0=0, y1=0)],
            updatemenus=menu if len(rows) > 1 else [],
            showlegend=False,
            hovermode="closest",
        ),
    )


def _curve(curve: pd.DataFrame, top: set[Any], visible: bool) -> dict[str, Any]:
    """Returns the line of a layer; the one with the matrix's best cell stands out."""
    first = curve.iloc[0]
    stands_out = not top.isdisjoint(curve.index)
    colour = "--accent" if stands_out else "--quiet"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"layer {first['column']}",
        "meta": first["row"],
        "x": curve["rank"].astype(int).tolist(),
        "y": curve["gain"].round(4).tolist(),
        "text": curve["said"].tolist(),
        "hovertemplate": "%{text}<extra></extra>",
        "visible": visible,
        "opacity": 1.0 if stands_out else 0.55,
        "line": {"color": colour, "width": 2.5 if stands_out else 1, "dash": _DASH.get(first["kind"], "solid")},
        "marker": {
            "size": 7 if stands_out else 5,
            "symbol": ["x" if refused else "circle" for refused in curve["refused"]],
            "color": [colour if clear else "--paper" for clear in curve["clear"]],
            "line": {"color": colour, "width": 1},
        },
    }


_DASH = {"low_rank": "solid", "high_order": "dash", "prune": "dot"}


def _ticks(ranks: pd.Series) -> dict[str, Any]:
    """Returns at most eight ranks to write on the axis."""
    values = sorted({int(rank) for rank in ranks})
    step = -(-len(values) // 8)
    return {"tickvals": values[::step], "ticktext": [str(value) for value in values[::step]]}
