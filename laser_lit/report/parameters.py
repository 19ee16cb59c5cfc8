"""Test score against trained parameters: a figure, and its numbers, of several runs with interventions or LoRAs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

from laser_lit.report.figure import DOTTED, Figure, layout, line, log_axis
from laser_lit.report.findings import what_it_is
from laser_lit.report.reft import answered
from laser_lit.report.search import chosen_edits
from laser_lit.report.wording import interval, signed, value
from laser_lit.results.compare import Gain
from laser_lit.results.record import Record, read_record

_LOOKS = {
    **{"loreft": ("--accent", "circle"), "lora": ("--bad", "square"), "noreft": ("--good", "diamond")},
    **{"direft": ("#1d9aa5", "triangle-up"), "nodireft": ("#9a64bd", "triangle-down")},
    **{"consreft": ("#c2648a", "cross"), "lobireft": ("--note-line", "x")},
}
"""A type's own colour and marker; both tell it, as not everybody sees colours."""
_OTHER = ("--ink", "star")
_LASER = "LASER + "


@dataclass(frozen=True)
class Scored:
    """The model on test as one run scored it.

    Attributes:
        run: the run's folder; "" for the base.
        applied: in words.
        series: types of the adapter, "LASER + " before them where the weights were edited too; "" without an adapter.
        parameters: number of trained ones; 0 without an adapter.
        score: accuracy, a share, or log loss in nats.
        gain: over the base, more is better; None for the base itself.
        ci95: of the gain; None without an interval.
    """

    run: str
    applied: str
    series: str
    parameters: int
    score: float
    gain: float | None = None
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """Adapters of one base on the same test examples.

    Attributes:
        subject: model and data.
        share: whether scores are accuracies, and not log losses.
        levels: the base, and LASER without an adapter where a run has it.
        points: the adapters, by series and then by parameters.
    """

    subject: str
    share: bool
    levels: tuple[Scored, ...]
    points: tuple[Scored, ...]


def parameters_section(folder: Path, runs: Sequence[Path]) -> list[dict[str, Any]]:
    """Returns what the template shows of adapters, a part for each base and examples that at least two runs share.

    Entries of each: figure, rows as from `lines`, score (heading) and unit.

    Args:
        folder: of all runs.
        runs: as from `find_runs`.

    Raises:
        InputError: a record cannot be read.
    """
    found = compared([(str(run.relative_to(folder)), read_record(run)) for run in runs])
    figures = [parameters_figure(comparison, place) for place, comparison in enumerate(found)]
    return [
        {"figure": figure, "rows": lines(comparison), "score": _score(comparison), "unit": _unit(comparison)}
        for figure, comparison in zip(figures, found, strict=True)
    ]


def compared(found: Sequence[tuple[str, Record]]) -> list[Comparison]:
    """Returns a comparison for every base and test set with which at least two runs scored an adapter.

    Args:
        found: folder and record of every run.
    """
    alike: dict[str, list[tuple[str, Record]]] = {}
    for run, record in found:
        score = _number(record.test.base, answered(record))
        if score is not None:
            about = [dict(record.model), dict(record.data), answered(record), round(score, 6)]
            alike.setdefault(json.dumps(about, sort_keys=True, default=str), []).append((run, record))
    return [_comparison(runs) for runs in alike.values() if sum(record.reft is not None for _, record in runs) > 1]


def _comparison(runs: Sequence[tuple[str, Record]]) -> Comparison:
    first = runs[0][1]
    share = answered(first)
    kept: dict[Any, Scored] = {}
    for run, record in runs:
        for key, scored in _scored(run, record, share):
            kept.setdefault(key, scored)
    points = [scored for scored in kept.values() if scored.series]
    return Comparison(
        f"{first.model['id']} on {first.data['name']}",
        share,
        tuple(scored for scored in kept.values() if not scored.series),
        tuple(sorted(points, key=lambda scored: (scored.series.startswith(_LASER), scored.series, scored.parameters))),
    )


def _scored(run: str, record: Record, share: bool) -> Iterator[tuple[Any, Scored]]:
    """Yields every way in which a run scored the model, after what tells it from others: the same is shown once."""
    test, edits = record.test, chosen_edits(record)
    ways: list[tuple[Any, tuple[str, str, str, int], Any, Gain | None]] = [
        ("base", ("", "base", "", 0), test.base, None),
        (("LASER", record.edits), (run, f"LASER: {edits}", "", 0), test.laser, test.gain),
    ]
    if (reft := record.reft) is not None and reft.parameters > 0:
        types, own = ", ".join(reft.types) or reft.kind, (reft.content, reft.strength)
        alone, both = what_it_is(reft), f"{edits} + {what_it_is(reft)}"
        ways += [
            (own, (run, alone, types, reft.parameters), reft.test.reft, reft.test.gain),
            (
                *((*own, record.edits), (run, both, f"{_LASER}{types}", reft.parameters)),
                *(reft.test.laser_reft, reft.test.laser_reft_gain),
            ),
        ]
    for key, entries, metrics, gain in ways:
        score = None if metrics is None else _number(metrics, share)
        if score is not None:
            yield (key, round(score, 6)), Scored(*entries, score, *_of_gain(gain, share))


def _number(metrics: Any, share: bool) -> float | None:
    score = metrics.get("accuracy" if share else "log_loss")
    return None if score is None or not isfinite(score) else float(score)


def _of_gain(gain: Gain | None, share: bool) -> tuple[float | None, tuple[float, float] | None]:
    if gain is None:
        return None, None
    return (gain.accuracy, gain.ci95) if share else (gain.log_loss, gain.log_loss_ci95)


def parameters_figure(comparison: Comparison, place: int = 0) -> Figure:
    """Returns the score on test against the number of trained parameters, a series a type of adapter.

    Args:
        comparison: as from `compared`.
        place: of the comparison among several; tells their names apart.
    """
    counts = [point.parameters for point in comparison.points]
    names = list(dict.fromkeys(point.series for point in comparison.points))
    lasers = any(level.run for level in comparison.levels)
    return Figure(
        f"parameters-{place}",
        f"Test {_score(comparison)} against trained parameters, {comparison.subject}",
        "A point is an adapter; its bar is the 95 % interval of its gain over the base, drawn around its score, and "
        f"compares it with the base, not with another point. The dotted line is the base"
        f"{', dashed ones are LASER without an adapter' if lasers else ''}."
        f"{'' if comparison.share else ' Less is better.'}",
        [_series(name, comparison) for name in names],
        layout(
            *("trained parameters", f"test {_score(comparison)}, {'%' if comparison.share else 'nats'}"),
            height=400,
            xaxis=log_axis(counts) | {"tickformat": "~s"},
            shapes=[_level(level, comparison.share) for level in comparison.levels],
            hovermode="closest",
            showlegend=True,
        ),
    )


def _series(name: str, comparison: Comparison) -> dict[str, Any]:
    points = [point for point in comparison.points if point.series == name]
    scale = 100 if comparison.share else 1
    edited, (colour, symbol) = name.startswith(_LASER), _LOOKS.get(name.removeprefix(_LASER), _OTHER)
    ends = [_bar(point, comparison.share) for point in points]
    several = len({point.parameters for point in points}) < len(points)
    return {
        "type": "scatter",
        "mode": "markers" if several else "lines+markers",
        "name": escape(name),
        "x": [point.parameters for point in points],
        "y": [round(scale * point.score, 5) for point in points],
        "error_y": {
            **{"type": "data", "symmetric": False, "thickness": 1.5, "width": 4},
            **{"array": [up for up, _ in ends], "arrayminus": [down for _, down in ends]},
        },
        "text": [_said(point, comparison) for point in points],
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": colour, "width": 1.5, "dash": "dash" if edited else "solid"},
        "marker": {"size": 9, "color": colour, "symbol": f"{symbol}-open" if edited else symbol},
    }


def _bar(point: Scored, share: bool) -> tuple[float | None, float | None]:
    """Returns how far the bar goes up and down: a gain lifts an accuracy and lowers a log loss."""
    if point.gain is None or point.ci95 is None:
        return None, None
    below, above = point.gain - point.ci95[0], point.ci95[1] - point.gain
    scale = 100 if share else 1
    up, down = (above, below) if share else (below, above)
    return round(scale * max(up, 0.0), 5), round(scale * max(down, 0.0), 5)


def _said(point: Scored, comparison: Comparison) -> str:
    told = f"test {_score(comparison)} {value(point.score, comparison.share)}"
    if point.gain is not None:
        told += f", {signed(point.gain, comparison.share)} {_unit(comparison)}"
        told += f" ({interval(point.ci95, comparison.share)})" if point.ci95 else ""
    return "<br>".join(map(escape, (point.applied, told, f"run {point.run}")))


def _level(level: Scored, share: bool) -> dict[str, Any]:
    base = not level.run
    y, name = (100 if share else 1) * level.score, "base" if base else "LASER"
    text = {"text": f"{name} {value(level.score, share)}", "textposition": "start" if base else "end", "padding": 2}
    drawn = line(xref="paper", x0=0, x1=1, y0=y, y1=y)
    return {**drawn, "line": {**DOTTED, "dash": "dot" if base else "dash"}, "label": text}


def lines(comparison: Comparison) -> list[tuple[str, ...]]:
    """Returns the figure's numbers in words: run, what was applied, parameters, score, gain and its interval.

    Args:
        comparison: as from `compared`.
    """
    share = comparison.share
    return [
        (
            *(scored.run, scored.applied, f"{scored.parameters:,}" if scored.parameters else ""),
            value(scored.score, share),
            "" if scored.gain is None else signed(scored.gain, share),
            "" if scored.gain is None else interval(scored.ci95, share),
        )
        for scored in (*comparison.levels, *comparison.points)
    ]


def _score(comparison: Comparison) -> str:
    return "accuracy" if comparison.share else "log loss"


def _unit(comparison: Comparison) -> str:
    return "points" if comparison.share else "nats"
