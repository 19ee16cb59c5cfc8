"""The section of rank reduction against pruning at equal storage."""

from typing import Any

import pandas as pd

from laser_lit.report.figure import Figure, layout, line
from laser_lit.report.sections.score_axis import ScoreAxis
from laser_lit.report.sections.section import Section, Table
from laser_lit.report.wording import value
from laser_lit.results.record import Record
from laser_lit.results.storage import Storage, StoragePoint

_CURVES = (("low_rank", "low rank", "--accent"), ("pruned", "pruned", "--note-line"))
_NAMED = 4
"""Most ranks that a row of the table names."""


def storage_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None for a record without the comparison.

    Args:
        record: of the run.
        predictions: not looked at.
    """
    storage = record.analyses.storage
    if storage is None:
        return None
    axis = ScoreAxis.of(record)
    columns = (
        *("numbers kept", "share", "rank"),
        *(f"{split}: {name}" for split in ("validation", "test") for _, name, _ in _CURVES),
        "test: low rank over pruned",
    )
    table = Table(
        "storage", "Equal storage", columns, tuple(_row(point, storage, axis) for point in storage.points), columns
    )
    return Section(
        name="storage",
        title="Pruning against rank reduction at equal storage",
        paragraphs=(_sentence(storage, axis),),
        figures=(_figure(record, storage, axis),),
        tables=(table,),
        note=_note(storage, axis),
    )


def _note(storage: Storage, axis: ScoreAxis) -> str:
    of = " of the matrix's outputs on the calibration text" if storage.whitened else ""
    return (
        f"Factors of rank r{of} are r·(out + in) numbers; pruning keeps as many entries of largest magnitude. Values "
        "alone are counted: where they stand takes pruning further storage, a bit for every entry of the matrix at "
        f"most. {axis.heading[0].upper()}{axis.heading[1:]}; the difference in {axis.unit}, + where the low rank is "
        "better, with its 95 % interval, paired by example. No amount was chosen."
    )


def _sentence(storage: Storage, axis: ScoreAxis) -> str:
    low: list[str] = []
    pruned: list[str] = []
    unclear: list[str] = []
    for point in storage.points:
        ci95 = axis.bounds(_difference(point))
        where = unclear if ci95 is None or ci95[0] <= 0 <= ci95[1] else low if ci95[0] > 0 else pruned
        where.append(_share(point, storage))
    parts = [
        f"{said} at {', '.join(shares)}"
        for said, shares in (
            ("the low rank does better", low),
            ("pruning does better", pruned),
            ("neither does beyond chance", unclear),
        )
        if shares
    ]
    matrices = "matrix" if storage.matrices == 1 else f"{storage.matrices} matrices"
    return f"On test, with part of the {storage.numbers:,} numbers of the edited {matrices}: {'; '.join(parts)}."


def _difference(point: StoragePoint) -> Any:
    return point.low_rank["test"].against


def _share(point: StoragePoint, storage: Storage) -> str:
    return value(point.kept / storage.numbers, True)


def _row(point: StoragePoint, storage: Storage, axis: ScoreAxis) -> tuple[str, ...]:
    ranks = ", ".join(map(str, point.ranks[:_NAMED])) + (", …" if len(point.ranks) > _NAMED else "")
    scores = [axis.score(getattr(point, part)[split]) for split in ("validation", "test") for part, _, _ in _CURVES]
    return (f"{point.kept:,}", _share(point, storage), ranks, *scores, axis.gain(_difference(point)))


def _figure(record: Record, storage: Storage, axis: ScoreAxis) -> Figure:
    shares = [100 * point.kept / storage.numbers for point in storage.points]
    data = [_curve(storage, shares, axis, *how) for how in _CURVES]
    if storage.own is not None and record.test.laser is not None:
        laser = axis.plotted(record.test.laser.get("accuracy"), record.test.laser.get("log_loss"))
        data.append(_marker(100 * storage.own / storage.numbers, laser, axis))
    base = axis.plotted(record.test.base.get("accuracy"), record.test.base.get("log_loss"))
    return Figure(
        "storage",
        "Equal storage",
        "On test. The dotted line is the base.",
        data,
        layout(
            *("storage of the edited matrices, %", axis.title),
            xaxis={"type": "log", "dtick": "D2", "tickformat": "~g"},
            shapes=[line(xref="paper", x0=0, x1=1, y0=base, y1=base)],
            showlegend=True,
        ),
    )


def _curve(storage: Storage, shares: list[float], axis: ScoreAxis, part: str, name: str, colour: str) -> dict[str, Any]:
    scored = [getattr(point, part)["test"] for point in storage.points]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [round(share, 4) for share in shares],
        "y": [axis.plotted(entry.accuracy, entry.log_loss) for entry in scored],
        "text": [axis.gain(entry.gain) for entry in scored],
        "hovertemplate": f"{name}, %{{x:.3g}} %: %{{y:.4g}}<br>gain over the base %{{text}} {axis.unit}<extra></extra>",
        "line": {"color": colour, "width": 2.5},
        "marker": {"size": 8, "color": colour},
    }


def _marker(share: float, laser: float | None, axis: ScoreAxis) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "this run's edits",
        "x": [round(share, 4)],
        "y": [laser],
        "hovertemplate": f"this run's edits, %{{x:.3g}} %: %{{y:.4g}} {axis.title}<extra></extra>",
        "marker": {"size": 13, "symbol": "star", "color": "--ink"},
    }
