"""report.html of several runs: their table, their gains, and where two of them differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from laser_lit.files import write_text_atomic
from laser_lit.report.figure import Figure, drawing
from laser_lit.report.html import FILE
from laser_lit.report.page import render_page
from laser_lit.report.run_examples import run_examples
from laser_lit.report.runs_figure import runs_figures
from laser_lit.report.sweep import Row, same_subject, same_unit, summary, without
from laser_lit.results.record import read_record


def write_sweep(
    folder: Path,
    runs: Sequence[Path],
    rows: Sequence[Row],
    left: Sequence[str] = (),
    parameters: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Writes report.html of several runs into the folder above them, and returns its path.

    Args:
        folder: of all of them.
        runs: as from `find_runs`.
        rows: as from `sweep_rows`.
        left: jobs without a record.
        parameters: as from `parameters_section`.
    """
    figures = runs_figures(rows, [read_record(run) for run in runs])
    more: list[Figure] = [part["figure"] for part in parameters]
    page = render_page(
        "sweep.html.j2",
        name=folder.resolve().name,
        rows=rows,
        alike=same_subject(rows),
        varied=any(row.varied for row in rows),
        unit=same_unit(rows),
        summary=summary(rows),
        left=without(left) if left else "",
        figures=figures,
        parameters=parameters,
        drawing=drawing([*figures, *more]),
        examples=run_examples(runs, rows),
    )
    path = folder / FILE
    write_text_atomic(path, page)
    return path
