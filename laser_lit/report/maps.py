"""The map of single edits: gain by layer and matrix, in accuracy or in log loss."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from laser_lit.report.cells import REFUSED, axes, best_by_place, other_metric, single_edits, unit
from laser_lit.report.figure import Figure, layout, selector, window
from laser_lit.results.record import AppliedEdit, jsonable
from laser_lit.results.search_record import SearchRecord

_BEST = "best of all"
_MAP_CAPTION = (
    "Blue gains, red harms; grey cannot be told from no change after adjusting for all cells that were scored in full "
    "(max-T p > .05), or was given up before that; each cell's own intervals, not adjusted, are said where the pointer "
    "is. The ring marks the best cell of what is shown."
)
_COLOURED = [[0.0, "--bad"], [0.5, "--soft"], [1.0, "--accent"]]
_LOOKS: tuple[dict[str, Any], ...] = (
    {"symbol": "circle-open", "color": "--ink", "line": {"color": "--ink", "width": 1.5}},
    {"symbol": "x", "color": "--ink", "line": {"color": "--paper", "width": 1}},
)
"""Of the best cell and of those that the guard turned away."""
_GREY = [[0.0, "--quiet"], [0.5, "--soft"], [1.0, "--quiet"]]


@dataclass(frozen=True)
class _Layer:
    """The map of one metric.

    Attributes:
        unit: of its gains.
        views: a cell a place, at its best rank and at each rank alone, by name.
    """

    unit: str
    views: dict[str, pd.DataFrame]


def map_figure(table: pd.DataFrame, search: SearchRecord, edits: tuple[AppliedEdit, ...]) -> Figure | None:
    """Returns gain by layer and matrix, in either metric, at the best rank or at one that the reader selects.

    Args:
        table: as from `prepared`.
        search: that tried the cells.
        edits: what was chosen, to be marked.

    Returns:
        The figure; None without single edits.
    """
    single = single_edits(table)
    if single.empty:
        return None
    rows, columns = axes(single)
    data, menus = _layered(_layers(single, search), rows, columns, bool(single["refused"].any()))
    star = " The star marks what was chosen." if search.chosen is not None else ""
    return Figure(
        "map",
        "Layer × matrix",
        f"{_MAP_CAPTION}{turned_away(single)}{star}",
        [*data, _marks(edits, rows, columns)],
        layout(
            *("layer", ""),
            height=130 + 34 * len(rows),
            xaxis={**_ordered(columns), "tickangle": 0},
            yaxis=_ordered(rows[::-1]),
            updatemenus=menus,
            showlegend=False,
        ),
    )


def _layered(
    layers: dict[str, _Layer], rows: list[str], columns: list[str], refused: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns the traces of all metrics, those of the first seen, and the menus of ranks and metrics."""
    data, changes = list[dict[str, Any]](), dict[str, dict[str, list[Any]]]()
    for number, layer in enumerate(layers.values()):
        drawn = {name: _drawn(view, rows, columns, refused) for name, view in layer.views.items()}
        scale = _scale(pd.concat(layer.views.values())["gain"], layer.unit)
        data += [{**trace, "visible": number == 0} for trace in _traces(drawn[_BEST], rows, columns, scale)]
        for name, parts in drawn.items():
            change = changes.setdefault(name, {key: [] for key in ("z", "text", "marker.size")})
            for key, entries in change.items():
                entries += [part.get(key) for part in parts]
    every = list(range(len(data)))
    menus = [selector("Rank", changes, every)] if len(changes) > 1 else []
    if len(layers) > 1:
        each = len(data) // len(layers)
        shown = {metric: {"visible": _flags(number, each, len(data))} for number, metric in enumerate(layers)}
        menus.append({**selector("Metric", shown, every), "x": 0.3})
    return data, menus


def _flags(number: int, each: int, count: int) -> list[bool]:
    """Returns which of the traces are those of a metric, each metric having as many."""
    return [place // each == number for place in range(count)]


def _layers(single: pd.DataFrame, search: SearchRecord) -> dict[str, _Layer]:
    """Returns the map of each metric that is known of the cells, the objective's first."""
    found = {search.objective.replace("_", " "): _Layer(unit(search), _views(single))}
    # older tables say nothing of how clear the other gain is
    if single["p_adjusted_other"].notna().any() and single["other_gain"].notna().all():
        named = other_metric(search)
        other = single.assign(gain=single["other_gain"], clear=single["other_clear"])
        found[named.replace("_", " ")] = _Layer("points" if named == "accuracy" else "nats", _views(other))
    return found


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


def _drawn(view: pd.DataFrame, rows: list[str], columns: list[str], refused: bool) -> list[dict[str, Any]]:
    """Returns what changes of each trace from view to view: clear cells, all others, the best, those turned away."""

    def grid(cells: pd.DataFrame, name: str) -> list[list[Any]]:
        wide = cells.pivot(index="row", columns="column", values=name).reindex(index=rows, columns=columns)
        return [jsonable(entries) for entries in wide.astype(object).to_numpy().tolist()]

    rounded = view.assign(gain=view["gain"].round(4))
    parts = [rounded[view["clear"]], rounded[~view["clear"]]]
    drawn: list[dict[str, Any]] = [{"z": grid(part, "gain"), "text": grid(part, "said")} for part in parts]
    whole = view[view["complete"] & ~view["refused"]]
    drawn.append({"marker.size": _sizes(whole.nlargest(1, "gain"), rows, columns, 19)})
    return [*drawn, {"marker.size": _sizes(view[view["refused"]], rows, columns, 9)}] if refused else drawn


def _sizes(cells: pd.DataFrame, rows: list[str], columns: list[str], size: int) -> list[int]:
    """Returns a size for a mark at every place: 0 where there is nothing to be marked."""
    marked = set(zip(cells["row"], cells["column"], strict=True))
    return [size if (row, column) in marked else 0 for row in rows for column in columns]


def turned_away(table: pd.DataFrame) -> str:
    """Returns the sentence on stacks that the guard turned away; empty where there are none.

    Args:
        table: as from `prepared`.
    """
    return f" What is marked {REFUSED} was turned away by the guard." if table["refused"].any() else ""


def _scale(gains: pd.Series, of: str) -> dict[str, Any]:
    """Returns range and bar of a metric's colours."""
    beyond = window(gains.tolist()) is not None
    most = float(gains.max() if beyond else gains.abs().max()) or 1.0
    ticks = {"tickvals": [-most, 0, most], "ticktext": [f"{'≤ ' * beyond}−{most:.3g}", "0", f"+{most:.3g}"]}
    bar = {"title": {"text": f"{of}<br> "}, "thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11}, **ticks}
    return {"zmin": -most, "zmax": most, "colorbar": bar}


def _traces(
    drawn: list[dict[str, Any]], rows: list[str], columns: list[str], scale: dict[str, Any]
) -> list[dict[str, Any]]:
    """Returns the two heatmaps and the marks of a metric as they are at first."""
    places = [(row, column) for row in rows for column in columns]
    heat = {
        **{"type": "heatmap", "x": columns, "y": rows, "zmin": scale["zmin"], "zmax": scale["zmax"]},
        **{"xgap": 1, "ygap": 1, "hovertemplate": "%{text}<extra></extra>", "hoverongaps": False},
    }
    spots = {
        **{"type": "scatter", "mode": "markers", "hoverinfo": "skip"},
        **{"x": [column for _, column in places], "y": [row for row, _ in places]},
    }
    marks = [{**look, "size": part["marker.size"]} for part, look in zip(drawn[2:], _LOOKS, strict=False)]
    return [
        {**heat, **drawn[0], "colorscale": _COLOURED, "colorbar": scale["colorbar"]},
        {**heat, **drawn[1], "colorscale": _GREY, "showscale": False, "opacity": 0.6},
        *({**spots, "marker": mark} for mark in marks),
    ]


def _marks(edits: tuple[AppliedEdit, ...], rows: list[str], columns: list[str]) -> dict[str, Any]:
    named = dict.fromkeys((str(e.layer), f"{e.part} {e.matrix}" if e.part else e.matrix) for e in edits)
    places = [(column, row) for column, row in named if column in columns and row in rows]
    look = {"symbol": "star", "size": 13, "color": "--note-line", "line": {"color": "--ink", "width": 1}}
    return {
        **{"type": "scatter", "mode": "markers", "hoverinfo": "skip", "marker": look},
        **{"x": [column for column, _ in places], "y": [row for _, row in places]},
    }
