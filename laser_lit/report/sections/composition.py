"""The section of a stack built up edit by edit."""

from typing import Any

import pandas as pd

from laser_lit.report.figure import Figure, layout, line
from laser_lit.report.sections.score_axis import ScoreAxis
from laser_lit.report.sections.section import Section, Table
from laser_lit.results.composition import Composition, Step
from laser_lit.results.record import Record

_LINES = (("validation", "--quiet", "dot"), ("test", "--accent", "solid"))


def composition_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None for a record whose stack was not built up.

    Args:
        record: of the run.
        predictions: not looked at.
    """
    built = record.analyses.composition
    if built is None:
        return None
    axis = ScoreAxis.of(record)
    columns = ("edits", "added", *(f"{split}: {what}" for split, _, _ in _LINES for what in _heads(axis)))
    return Section(
        name="composition",
        title="The stack, edit by edit",
        paragraphs=(_sentence(built, axis),),
        figures=(_figure(built, axis),),
        tables=(
            Table("composition", "Each row adds an edit to those above it", columns, _rows(built, axis), columns[2:]),
        ),
        note=(
            f"Gains in {axis.unit}, + is better, with 95 % intervals, paired by example. The edits are added in the "
            "order in which the stack lists them: in another order each could add something else. The shorter stacks "
            "were scored on test too, and nothing was chosen by it."
        ),
    )


def _heads(axis: ScoreAxis) -> tuple[str, ...]:
    return axis.heading, "gain over the base", "over the step before"


def _sentence(built: Composition, axis: ScoreAxis) -> str:
    bounds = [axis.bounds(_own(step)) for step in built.steps]
    better = [place for place, ci95 in enumerate(bounds, start=1) if ci95 is not None and ci95[0] > 0]
    worse = [place for place, ci95 in enumerate(bounds, start=1) if ci95 is not None and ci95[1] < 0]
    unclear = [place for place in range(1, len(bounds) + 1) if place not in (*better, *worse)]
    parts = [
        _numbered(places, *verb)
        for places, *verb in ((better, "gain", ""), (worse, "lose", ""), (unclear, "change", " nothing beyond chance"))
        if places
    ]
    last = built.steps[-1]
    whole = f"all {len(built.steps)} together gain {axis.said(last.test.gain)} over the base."
    return f"On test, of the steps one after the other: {'; '.join(parts)}. {whole[0].upper()}{whole[1:]}"


def _own(step: Step) -> Any:
    """Returns what a step gains over the one before, of the first one over the base."""
    return step.test.against or step.test.gain


def _numbered(places: list[int], verb: str, rest: str) -> str:
    one = len(places) == 1
    return f"step{'' if one else 's'} {', '.join(map(str, places))} {verb}{'s' if one else ''}{rest}"


def _rows(built: Composition, axis: ScoreAxis) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            f"{number}",
            step.added,
            *(
                text
                for scored in (step.validation, step.test)
                for text in (axis.score(scored), axis.gain(scored.gain), axis.gain(scored.against or scored.gain))
            ),
        )
        for number, step in enumerate(built.steps, start=1)
    )


def _figure(built: Composition, axis: ScoreAxis) -> Figure:
    return Figure(
        "composition",
        "Gain as edits are added",
        "Gain over the base with 95 % intervals; + is better.",
        [_trace(built, axis, *how) for how in _LINES],
        layout(
            "edits",
            f"gain over the base, {axis.unit}",
            height=300,
            xaxis={"dtick": 1},
            shapes=[line(xref="paper", x0=0, x1=1, y0=0, y1=0)],
            showlegend=True,
        ),
    )


def _trace(built: Composition, axis: ScoreAxis, split: str, colour: str, dash: str) -> dict[str, Any]:
    scale = 100 if axis.share else 1
    gains = [getattr(step, split).gain for step in built.steps]
    y = [0.0, *(scale * (axis.size(gain) or 0.0) for gain in gains)]
    ends = [(0.0, 0.0), *(axis.bounds(gain) or (0.0, 0.0) for gain in gains)]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": split,
        "x": list(range(len(y))),
        "y": [round(gain, 5) for gain in y],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [round(max(0.0, scale * high - gain), 5) for (_, high), gain in zip(ends, y, strict=True)],
            "arrayminus": [round(max(0.0, gain - scale * low), 5) for (low, _), gain in zip(ends, y, strict=True)],
            "thickness": 1,
            "color": colour,
        },
        "text": ["base", *(f"+ {step.added}" for step in built.steps)],
        "hovertemplate": f"%{{text}}<br>{split} %{{y:+.3f}} {axis.unit}<extra></extra>",
        "line": {"color": colour, "width": 2, "dash": dash},
        "marker": {"size": 7, "color": colour},
    }
