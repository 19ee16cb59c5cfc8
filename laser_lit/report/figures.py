"""The figures of a search: maps, predicted against measured, gap against cost, the path of accepted edits."""

from typing import Any

import pandas as pd

from laser_lit.report.cells import prepared, unit
from laser_lit.report.curves import rank_figure
from laser_lit.report.figure import Figure, layout, line, window
from laser_lit.report.maps import map_figure
from laser_lit.report.removable import removable_figure
from laser_lit.report.search import merit
from laser_lit.results.record import Record
from laser_lit.results.search_record import SearchRecord

_COLOURS = {
    **{"grid": "--ink", "gradient": "--good", "greedy": "#1d9aa5", "racing": "--accent", "optuna": "--bad"},
    **{"rmt": "--note-line", "snr": "#9a64bd", "collect": "#c2648a"},
    "smallest": "#8a7a3d",
}
"""A driver's own colour; those without a name can be seen on light and on dark. `--quiet` is the base's."""
_DASHES = {
    "gradient": "dash",
    "greedy": "longdash",
    "optuna": "dashdot",
    "snr": "dash",
    "collect": "longdashdot",
    "smallest": "longdash",
}


def search_figures(record: Record, cells: pd.DataFrame) -> list[Figure]:
    """Returns the figures for which the search has something to show.

    Args:
        record: of a run with a search.
        cells: as from `read_cells`.
    """
    search = record.search
    if search is None:
        return []
    table = prepared(cells, search)
    found = [
        map_figure(table, search, record.edits),
        rank_figure(table, search),
        removable_figure(table, record),
        predicted_figure(table),
        cost_figure(search, bool(table["refused"].any())),
        path_figure(search),
    ]
    return [figure for figure in found if figure is not None]


def predicted_figure(table: pd.DataFrame) -> Figure | None:
    """Returns the gain in log loss that a gradient predicted against the one measured; None for fewer than 3 cells.

    Args:
        table: as from `prepared`.
    """
    known = table[table["predicted"].notna() & table["gain_log_loss"].notna() & table["complete"]]
    if len(known) < 3:
        return None
    predicted, measured = -known["predicted"].astype(float), known["gain_log_loss"].astype(float)
    place = int((predicted > predicted[measured.idxmax()]).sum()) + 1
    caption = (
        f"{len(known):,} cells, coloured as on the map; the line is where both agree. In the predicted order the best "
        f"measured cell is number {place:,}{_correlation(predicted, measured)}. Double-click shows everything."
    )
    ends = [min(predicted.min(), measured.min()), max(predicted.max(), measured.max())]
    return Figure(
        "predicted",
        "Predicted against measured",
        caption,
        [_points(known, predicted, measured)],
        layout(
            *("predicted gain in log loss, nats", "measured, nats"),
            xaxis={"range": window(predicted.tolist())},
            yaxis={"range": window(measured.tolist())},
            shapes=[line(x0=ends[0], x1=ends[1], y0=ends[0], y1=ends[1])],
            hovermode="closest",
        ),
    )


def _points(known: pd.DataFrame, predicted: pd.Series, measured: pd.Series) -> dict[str, Any]:
    gains = zip(known["clear"], known["gain"], strict=True)
    colours = [("--accent" if gain > 0 else "--bad") if clear else "--quiet" for clear, gain in gains]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": predicted.round(5).tolist(),
        "y": measured.round(5).tolist(),
        "text": known["said"].tolist(),
        "hovertemplate": "%{text}<br>log loss: predicted %{x:+.3f}, measured %{y:+.3f} nats<extra></extra>",
        "marker": {"size": 7, "opacity": 0.75, "color": colours},
    }


def _correlation(predicted: pd.Series, measured: pd.Series) -> str:
    if predicted.nunique() < 2 or measured.nunique() < 2:
        return ""
    return f", rank correlation {predicted.corr(measured, method='spearman'):.2f}"


def cost_figure(search: SearchRecord, guarded: bool = False) -> Figure | None:
    """Returns how far every driver's best was behind the best of all against what it had cost; None without searches.

    Args:
        search: with the curves of all searches in the results folder.
        guarded: whether a guard turned stacks away, which are on no curve then.
    """
    curves = [curve for curve in search.curves if len(curve["cost"])]
    if not curves:
        return None
    scale = 100 if search.objective == "accuracy" else 1
    best = max(max(curve["merit"]) for curve in curves)
    behind = scale * (best - search.base)
    data = [_cost_curve(curve, best, scale, search) for curve in curves]
    ends = [end for curve in curves for end in (curve["cost"][0], curve["cost"][-1])]
    return Figure(
        "cost",
        "Gap against cost",
        f"How far the best stack so far is behind the best that any search found on this model and data "
        f"({merit(search, best)} on validation){', those that the guard turned away left out' if guarded else ''}; "
        "the passes of a gradient are not in the cost. The dotted line is the base.",
        data,
        layout(
            *("cost, stacks on all of validation", f"gap on validation, {unit(search)}"),
            xaxis={"type": "log", "dtick": "D2", "tickformat": "~g"}
            if min(ends) > 0 and max(ends) > 5 * min(ends)
            else {},
            yaxis={"rangemode": "tozero"},
            shapes=[line(xref="paper", x0=0, x1=1, y0=behind, y1=behind)] if behind > 0 else [],
            showlegend=True,
        ),
    )


def _cost_curve(curve: Any, best: float, scale: int, search: SearchRecord) -> dict[str, Any]:
    gaps = [round(scale * (best - number), 5) for number in curve["merit"]]
    driver = str(curve["driver"])
    return {
        "type": "scatter",
        "mode": "lines",
        "name": driver,
        "x": [round(cost, 3) for cost in curve["cost"]],
        "y": gaps,
        "hovertemplate": f"{driver}: %{{x:.1f}} stacks, %{{y:.3f}} {unit(search)} behind<extra></extra>",
        "line": {
            "shape": "hv",
            "width": 2,
            "color": _COLOURS.get(driver, "--ink"),
            "dash": _DASHES.get(driver, "solid"),
        },
    }


def path_figure(search: SearchRecord) -> Figure | None:
    """Returns the gain over the base after every accepted step of a search that stacks edits; None for fewer than two.

    Args:
        search: with its path.
    """
    if len(search.path) < 2:
        return None
    scale = 100 if search.objective == "accuracy" else 1
    gains = [0.0, *(scale * (step["validation"] - search.base) for step in search.path)]
    steps = ["base", *(f"+ {step['edits']}" for step in search.path)]
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(range(len(steps))),
        "y": [round(gain, 5) for gain in gains],
        "text": steps,
        "hovertemplate": "%{text}<br>%{y:+.3f} " + unit(search) + "<extra></extra>",
        "line": {"color": "--accent", "width": 2.5},
        "marker": {"size": 8},
    }
    return Figure(
        "path",
        "Path",
        "Every step adds one edit to those before and was kept because validation gained.",
        [trace],
        layout(
            "edits",
            f"validation gain, {unit(search)}",
            height=280,
            xaxis={"dtick": 1},
            shapes=[line(xref="paper", x0=0, x1=1, y0=0, y1=0)],
        ),
    )
