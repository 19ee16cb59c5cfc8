"""Score against the share of the rank that is kept, as Figure 2 of the LASER paper has it."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from laser_lit.report.cells import axes, other_metric, single_edits
from laser_lit.report.figure import Figure, layout, line, selector, window
from laser_lit.report.maps import turned_away
from laser_lit.results.search_record import SearchRecord

_PLACES = ["row", "kind", "column"]
_DASH = {"low_rank": "solid", "high_order": "dash", "prune": "dot"}
_GAP = 0.12
"""Of the height, between two panels."""


@dataclass(frozen=True)
class _Panel:
    """The curves of one metric.

    Attributes:
        metric: "accuracy" or "log_loss".
        cells: with what is drawn as y, and whether a point is filled.
        base: the base's score, per cent or nats.
        top: indices of the best cells of each matrix.
        number: 0 is the upper panel.
    """

    metric: str
    cells: pd.DataFrame
    base: float
    top: set[Any]
    number: int

    @classmethod
    def of(cls, ranked: pd.DataFrame, metric: str, gain: str, clear: str, number: int) -> "_Panel":
        scale = 100 if metric == "accuracy" else 1
        sign = 1 if metric == "accuracy" else -1
        fullest = ranked.loc[ranked["n"].astype(int).idxmax()]
        base = scale * (float(fullest[metric]) - sign * float(fullest[f"gain_{metric}"]))
        cells = ranked.assign(gain=ranked[gain], y=base + sign * ranked[gain], filled=ranked[clear])
        ordered = cells.sort_values(["refused", "gain"], ascending=[True, False], kind="stable")
        return cls(metric, cells, base, set(ordered.drop_duplicates("row").index), number)

    @property
    def axis(self) -> str:
        """What traces and shapes call the vertical axis."""
        return f"y{self.number + 1 if self.number else ''}"

    @property
    def range(self) -> list[float] | None:
        """The ends between which the scores can be told apart; None where everything fits."""
        ends = window(self.cells["gain"].tolist())
        if ends is None:
            return None
        return (
            [self.base + end for end in ends] if self.metric == "accuracy" else [self.base - end for end in ends[::-1]]
        )


def rank_figure(table: pd.DataFrame, search: SearchRecord) -> Figure | None:
    """Returns both scores against rho, a line a layer, of one matrix at a time; None where none was cut to two ranks.

    Args:
        table: as from `prepared`.
        search: that tried the cells.

    Source: Sharma, Ash and Misra 2023, Figure 2.
    """
    single = single_edits(table)
    ranked = single[single["rank"].notna() & single["rho"].notna()].sort_values("rank", kind="stable")
    ranked = ranked[ranked.groupby(_PLACES)["rank"].transform("nunique") > 1]
    if ranked.empty:
        return None
    panels = [_Panel.of(ranked, search.objective, "gain", "clear", 0)]
    if ranked["other_gain"].notna().all():
        panels.append(_Panel.of(ranked, other_metric(search), "other_gain", "other_clear", 1))
    ordered = ranked.sort_values(["refused", "gain"], ascending=[True, False], kind="stable")
    best = ordered["row"].iloc[0]
    rows = [best, *(row for row in axes(ranked)[0] if row != best)]
    traces = [trace for row in rows for panel in panels for trace in _curves(panel, row, row == best)]
    shown = {row: {"visible": [trace["meta"] == row for trace in traces]} for row in rows}
    return Figure(
        "ranks",
        "Score against ρ",
        "A line a layer, that with the matrix's best score in colour; filled points differ from the base, which is "
        f"dotted, after adjustment.{_partly(ranked)}{turned_away(ranked)} Double-click shows everything.",
        traces,
        _layout(panels, ranked, [selector("Matrix", shown)] if len(rows) > 1 else []),
    )


def _partly(ranked: pd.DataFrame) -> str:
    if ranked["complete"].all():
        return ""
    return " Of a cell that was scored in part the gain on its examples is added to the base's score on all."


def _layout(panels: list[_Panel], ranked: pd.DataFrame, menus: list[dict[str, Any]]) -> dict[str, Any]:
    titles = {"accuracy": "accuracy, %", "log_loss": "log loss, nats"}
    height = (1 - _GAP * (len(panels) - 1)) / len(panels)
    axes_of = {}
    for panel in panels:
        low = 1 - (panel.number + 1) * height - panel.number * _GAP
        axes_of[panel.axis] = {"domain": [max(0.0, low), min(1.0, low + height)], "range": panel.range}
    look = {"automargin": True, "gridcolor": "--line", "linecolor": "--line", "zeroline": False, "ticks": ""}
    more: dict[str, Any] = {
        f"yaxis{panel.number + 1}": {
            **look,
            **axes_of[panel.axis],
            "title": {"text": titles[panel.metric], "standoff": 10},
        }
        for panel in panels[1:]
    }
    return layout(
        *("share of the rank that is kept, ρ", titles[panels[0].metric]),
        height=340 if len(panels) == 1 else 560,
        xaxis={"type": "log", "anchor": panels[-1].axis, **_ticks(ranked["rho"])},
        yaxis=axes_of["y"],
        **more,
        shapes=[line(xref="paper", x0=0, x1=1, yref=panel.axis, y0=panel.base, y1=panel.base) for panel in panels],
        updatemenus=menus,
        showlegend=False,
        hovermode="closest",
    )


def _curves(panel: _Panel, row: str, visible: bool) -> list[dict[str, Any]]:
    of_row = panel.cells[panel.cells["row"] == row]
    return [_curve(curve, panel, visible) for _, curve in of_row.groupby(_PLACES)]


def _curve(curve: pd.DataFrame, panel: _Panel, visible: bool) -> dict[str, Any]:
    """Returns the line of a layer; the one with the matrix's best cell stands out."""
    first = curve.iloc[0]
    stands_out = not panel.top.isdisjoint(curve.index)
    colour = "--accent" if stands_out else "--quiet"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"layer {first['column']}",
        "meta": first["row"],
        "yaxis": panel.axis,
        "x": curve["rho"].astype(float).round(6).tolist(),
        "y": curve["y"].round(4).tolist(),
        "text": curve["said"].tolist(),
        "hovertemplate": "%{text}<br>ρ %{x:.3~g}, %{y:.4~g}<extra></extra>",
        "visible": visible,
        "opacity": 1.0 if stands_out else 0.55,
        "line": {"color": colour, "width": 2.5 if stands_out else 1, "dash": _DASH.get(first["kind"], "solid")},
        "marker": {
            "size": 7 if stands_out else 5,
            "symbol": ["x" if refused else "circle" for refused in curve["refused"]],
            "color": [colour if filled else "--paper" for filled in curve["filled"]],
            "line": {"color": colour, "width": 1},
        },
    }


def _ticks(shares: pd.Series) -> dict[str, Any]:
    """Returns at most eight shares to write on the axis, no two of which are nearly one."""
    values = sorted({float(f"{share:.2g}") for share in shares})
    step = -(-len(values) // 8)
    return {"tickvals": values[::step], "ticktext": [f"{value:g}" for value in values[::step]]}
