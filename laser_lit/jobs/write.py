"""What a finished run leaves behind: the files of its folder, the terminal's table, the loggers' entries."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from lightning.pytorch.loggers import CSVLogger
from omegaconf import DictConfig

from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.jobs.scores import Scores
from laser_lit.lit.loggers import finish_loggers, make_loggers
from laser_lit.report.html import write_report
from laser_lit.report.tables import render_result
from laser_lit.report.terminal import result_console
from laser_lit.report.wandb import flat_metrics, log_result
from laser_lit.results.cells import FILE as CELLS
from laser_lit.results.cells import write_cells
from laser_lit.results.predictions import predictions_table, write_predictions
from laser_lit.results.record import Record


def write_results(
    record: Record,
    scores: Scores,
    stack: Stack | None,
    edits: Sequence[AppliedEdit],
    config: DictConfig,
    cells: pd.DataFrame | None = None,
) -> None:
    """Writes result.json, predictions.parquet, stack.yaml and report.html, logs them, and prints the table.

    Args:
        record: of the run.
        scores: the per-example tables.
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
    more = {split: {name: found[split] for name, found in named.items() if found} for split in tables}
    predictions = predictions_table(tables, more)
    write_predictions(predictions, folder / "predictions.parquet")
    record.save(folder / "result.json")
    write_report(folder, record, predictions)
    console = result_console()
    console.print(render_result(record, folder, cells))  # before W&B, which may be slow
    how = config.laser.name if record.search is None else f"search {record.search.driver}"
    how += f" + {record.reft.kind}" if record.reft else ""
    loggers = make_loggers(config.logger, folder, f"{record.model['id']} {record.data['name']} {how}")
    for logger in loggers:
        if isinstance(logger, CSVLogger):
            logger.log_metrics(flat_metrics(record))
    log_result(loggers, record, predictions, manifest, cells)
    for line in finish_loggers(loggers):
        console.print(f"  {line}", style="dim", highlight=False, soft_wrap=True)


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
