"""Lightning's loggers from the config: metrics.csv, and W&B online or offline."""

from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from laser_lit.config_logger import LoggerConfig
from laser_lit.lit.wandb_run import finish_run, start_run


def make_loggers(config: LoggerConfig, output: Path, name: str, job_type: str) -> list[Logger]:
    """Returns the loggers; W&B is offline without an API key, and WANDB_MODE has the last word.

    Args:
        config: which loggers.
        output: the run's folder; both loggers write below it.
        name: name of the run on W&B.
        job_type: the task, as W&B groups runs by it.
    """
    loggers: list[Logger] = []
    if config.csv:
        loggers.append(CSVLogger(output, name="csv", version=""))
    run = start_run(config, output, name, job_type)
    return loggers if run is None else [*loggers, WandbLogger(experiment=run)]


def finish_loggers(loggers: list[Logger]) -> list[str]:
    """Returns where each W&B run is, a line a run; closes all loggers, so that a multirun's next job starts anew.

    Args:
        loggers: as from `make_loggers`.
    """
    said = []
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            said.append(finish_run(logger.experiment))
    return said
