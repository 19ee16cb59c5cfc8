"""What a finished run leaves behind: the files of its folder, the terminal's table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.jobs.log import Written
from laser_lit.jobs.scores import Scores
from laser_lit.report.html import write_report
from laser_lit.report.tables import render_result
from laser_lit.report.terminal import result_console
from laser_lit.results.cells import FILE as CELLS
from laser_lit.results.cells import write_cells
from laser_lit.results.predictions import predictions_table, write_predictions
from laser_lit.results.record import Record


def write_results(
    record: Record,
    scores: Scores,
    variants: Mapping[str, Mapping[str, pd.DataFrame]],
    stack: Stack | None,
    edits: Sequence[AppliedEdit],
    config: DictConfig,
    cells: pd.DataFrame | None = None,
) -> Written:
    """Returns what the loggers get, after writing the files of the run folder and printing the table.

    The files are result.json, predictions.parquet, stack.yaml, report.html and, of a search, cells.parquet.

    Args:
        record: of the run.
        scores: the per-example tables.
        variants: those of the analyses, by split and name.
        stack: what was applied; None for the base alone.
        edits: the stack as resolved.
        config: the whole evaluation config.
        cells: of the search that chose the stack.
    """
    folder = Path(config.paths.output)
    manifest = None if stack is None else save_stack(folder, record, stack, edits)
    if cells is not None:
        write_cells(cells, folder / CELLS)
    tables = {split: (base, scores.laser.get(split)) for split, base in scores.base.items()}
    named = {"reft": scores.reft, "laser_reft": scores.laser_reft}
    more = {
        split: {**{name: found[split] for name, found in named.items() if found}, **variants.get(split, {})}
        for split in tables
    }
    predictions = predictions_table(tables, more)
    write_predictions(predictions, folder / "predictions.parquet")
    record.save(folder / "result.json")
    write_report(folder, record, predictions)
    result_console().print(render_result(record, folder, cells, predictions))  # before W&B, which may be slow
    return Written(record, predictions, manifest, cells)


def save_stack(folder: Path, record: Record, stack: Stack, edits: Sequence[AppliedEdit]) -> Path:
    """Returns the manifest that re-applies a stack, written into a folder.

    Args:
        folder: where `laser.from=` finds it.
        record: of the run.
        stack: what was applied.
        edits: the stack as resolved.
    """
    path = folder / "stack.yaml"
    stack.save(path, edits, about={**record.model, "config_hash": record.config_hash})
    return path
