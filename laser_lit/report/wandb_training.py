"""A training on W&B: its numbers, its curve as a figure and a table, the answers before and after, its folder."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from laser_lit.report.curve_figure import curve_figure
from laser_lit.report.wandb import ROWS, figure_entries, wandb_runs, wandb_table
from laser_lit.report.wandb_files import log_files

_NUMBERS = ("steps", "parameters", "model_parameters", "head_parameters", "final_loss")
_ENDS = ("train_loss", "validation_loss")


@rank_zero_only
def log_training(
    loggers: Logger | Iterable[Logger],
    record: Mapping[str, Any],
    folder: Path,
    kind: str,
    model: str,
    artifacts: Sequence[str],
) -> None:
    """Adds a finished training to the run of every W&B logger; its losses by step are there already.

    Args:
        loggers: one of Lightning's loggers, or several.
        record: of the training, with its "hash"; curve, losses and answers where it has them.
        folder: what it has written.
        kind: "adapter" or "model".
        model: name of the model that was trained.
        artifacts: the kinds of files that are wanted, as in `logger.artifacts`.
    """
    curve = record.get("curve") or []
    figure = curve_figure(curve)
    entries = figure_entries([] if figure is None else [figure], "training/")
    for name, rows in (("losses", curve[-ROWS:]), ("answers", record.get("shown") or [])):
        if rows:
            entries[f"training/{name}"] = wandb_table(_columns(rows))
    for run in wandb_runs(loggers):
        run.summary.update(_summary(record))
        if entries:
            run.log(entries)
        log_files(run, kind, model, str(record["hash"]), [folder], artifacts)


def _summary(record: Mapping[str, Any]) -> dict[str, float | int]:
    """Returns the numbers of a training: training/steps, training/validation_loss_last and so on."""
    found = {f"training/{name}": record.get(name) for name in _NUMBERS}
    for name in _ENDS:
        found |= {f"training/{name}_{end}": loss for end, loss in (record.get(name) or {}).items()}
    return {name: number for name, number in found.items() if number is not None}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns rows by column, None where a row lacks one."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
