"""What every run of a folder gains on test, with intervals, the best first: the figure of several runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from laser_lit.report.figure import Figure, layout, line
from laser_lit.report.search import in_points, of_gain, tested
from laser_lit.report.sweep import Row
from laser_lit.report.variants import variants
from laser_lit.results.record import Record

NAMED = 40
"""Runs up to which each has its name on the axis."""
_WIDEST = 32
"""Letters up to which what was applied names a run on the axis, where that tells runs apart."""


@dataclass(frozen=True)
class _Point:
    """One run's gain on test in the unit of its figure.

    Attributes:
        row: of the table.
        gain: on test.
        ci95: of that gain; None without one.
        validation: gain on validation; None without one.
    """

    row: Row
    gain: float
    ci95: tuple[float, float] | None
    validation: float | None


def runs_figures(rows: Sequence[Row], records: Sequence[Record]) -> list[Figure]:
    """Returns a figure for each unit in which at least two runs have a gain on test.

    Args:
        rows: as from `sweep_rows`.
        records: of the same runs, in the same order.
    """
    points = [point for row, record in zip(rows, records, strict=True) if (point := _point(row, record)) is not None]
    units = {unit: [point for point in points if point.row.unit == unit] for unit in ("points", "nats")}
    return [_figure(unit, found) for unit, found in units.items() if len(found) > 1]


def _point(row: Row, record: Record) -> _Point | None:
    share, (gain, ci95, _) = in_points(record), tested(record)
    if gain is None:
        return None
    scale = 100 if share else 1
    seen = None if record.validation is None else variants(record, "validation")[-1].gain
    validation = None if seen is None else of_gain(seen, share)[0]
    return _Point(
        row,
        scale * gain,
        None if ci95 is None else (scale * ci95[0], scale * ci95[1]),
        None if validation is None else scale * validation,
    )


def _figure(unit: str, points: Sequence[_Point]) -> Figure:
    ordered = sorted(points, key=lambda point: -point.gain)
    named = len(ordered) <= NAMED
    ticks = {"tickvals": list(range(len(ordered))), "ticktext": _labels([point.row for point in ordered])}
    return Figure(
        f"runs-{unit}",
        f"Gains on test, {unit}",
        "A line a run, the best first, with its 95 % interval; in colour where it gains after Holm's adjustment. "
        "Hollow: the gain on validation, which may have chosen the edit. The dotted line is the base."
        f"{'' if named else ' Pointing at a run says which it is.'}",
        [_validation(ordered), *(_test(ordered, clear, unit) for clear in (False, True))],
        layout(
            f"gain over the base, {unit}",
            "",
            height=90 + (26 * len(ordered) if named else min(1100, 8 * len(ordered))),
            yaxis={
                "range": [len(ordered) - 0.5, -0.5],
                "showgrid": False,
                **(ticks if named else {"showticklabels": False}),
            },
            shapes=[line(x0=0, x1=0, yref="paper", y0=0, y1=1)],
            showlegend=False,
            hovermode="closest",
        ),
    )


def _labels(rows: Sequence[Row]) -> list[str]:
    """Returns what was applied in each run, or the runs' folders where that is long or alike."""
    applied = [row.applied for row in rows]
    telling = len(set(applied)) == len(rows) and max(map(len, applied)) <= _WIDEST
    return [escape(name) for name in (applied if telling else (row.name for row in rows))]


def _test(ordered: Sequence[_Point], clear: bool, unit: str) -> dict[str, Any]:
    """Returns the gains on test of the runs that are clear, or of the others."""
    places = [place for place, point in enumerate(ordered) if point.row.clear == clear]
    shown = [ordered[place] for place in places]
    ends = [point.ci95 or (point.gain, point.gain) for point in shown]
    colour = "--accent" if clear else "--quiet"
    return {
        **{"type": "scatter", "mode": "markers", "x": [round(point.gain, 5) for point in shown], "y": places},
        "text": [_said(point, unit) for point in shown],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": 9, "color": colour},
        "error_x": {
            **{"type": "data", "symmetric": False, "color": colour, "thickness": 1.5, "width": 3},
            "array": [round(high - point.gain, 5) for point, (_, high) in zip(shown, ends, strict=True)],
            "arrayminus": [round(point.gain - low, 5) for point, (low, _) in zip(shown, ends, strict=True)],
        },
    }


def _validation(ordered: Sequence[_Point]) -> dict[str, Any]:
    found = [(place, point.validation) for place, point in enumerate(ordered) if point.validation is not None]
    return {
        **{"type": "scatter", "mode": "markers", "hoverinfo": "skip"},
        **{"x": [round(gain, 5) for _, gain in found], "y": [place for place, _ in found]},
        "marker": {"size": 8, "symbol": "circle-open", "color": "--quiet", "opacity": 0.7},
    }


def _said(point: _Point, unit: str) -> str:
    row = point.row
    parts = [row.name, row.varied, row.subject, row.applied, f"test {row.test} {unit} ({row.interval})"]
    parts += [f"validation {row.validation}"] if row.validation else []
    parts += [f"{'p = ' if row.adjusted[0].isdigit() else 'p '}{row.adjusted} after Holm"] if row.adjusted else []
    return "<br>".join(escape(part) for part in parts if part)
