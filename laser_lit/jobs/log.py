"""A finished evaluation on its loggers: metrics.csv and W&B."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from lightning.pytorch.loggers import CSVLogger
from omegaconf import DictConfig

from laser_lit.lit.loggers import finish_loggers, make_loggers
from laser_lit.report.terminal import result_console
from laser_lit.report.wandb import flat_metrics, log_result
from laser_lit.results.record import Record


@dataclass(frozen=True)
class Written:
    """What an evaluation has written into its folder.

    Attributes:
        record: of the run.
        predictions: as from `predictions_table`.
        manifest: of the stack; None for a run without edits.
        cells: of the search that chose the stack; None for a run without a search.
    """

    record: Record
    predictions: pd.DataFrame
    manifest: Path | None
    cells: pd.DataFrame | None


def log_results(written: Written, config: DictConfig) -> None:
    """Logs a result, with the exported model where there is one, and prints where its W&B run is.

    Args:
        written: of the run.
        config: the whole evaluation config.
    """
    record, folder = written.record, Path(config.paths.output)
    how = config.laser.name if record.search is None else f"search {record.search.driver}"
    how += f" + {record.reft.kind}" if record.reft else ""
    name = f"{record.model['id']} {record.data['name']} {how}"
    loggers = make_loggers(config.logger, folder, name, config.task.name)
    for logger in loggers:
        if isinstance(logger, CSVLogger):
            logger.log_metrics(flat_metrics(record))
    log_result(
        loggers,
        record,
        written.predictions,
        written.manifest,
        written.cells,
        export=None if config.export.path is None else Path(config.export.path),
        artifacts=config.logger.artifacts,
    )
    for line in finish_loggers(loggers):
        result_console().print(f"  {line}", style="dim", highlight=False, soft_wrap=True)
