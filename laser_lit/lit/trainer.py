"""Lightning's Trainer and loggers from the config."""

import logging
import netrc
import os
import warnings
from pathlib import Path
from typing import Any

import torch
import wandb
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from laser_lit.config import LoggerConfig, TrainerConfig
from laser_lit.errors import InputError


class LabelledProgressBar(RichProgressBar):
    """Rich progress bar that says what is being scored."""

    label = "Testing"

    @property
    def test_description(self) -> str:
        """Returns the text in front of the bar."""
        return self.label


def make_trainer(config: TrainerConfig, callbacks: list[Callback] | None = None, **options: Any) -> Trainer:
    """Returns a Trainer that writes nothing by itself.

    Args:
        config: accelerator, devices, nodes and strategy.
        callbacks: besides the progress bar.
        options: passed on to Lightning's Trainer.

    Raises:
        InputError: for devices that this machine does not have.
    """
    quiet_lightning()
    bar: list[Callback] = [LabelledProgressBar(leave=False)] if config.progress_bar else []
    settings = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False} | options
    try:
        return Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.num_nodes,
            strategy=config.strategy,
            callbacks=[*bar, *(callbacks or [])],
            enable_progress_bar=config.progress_bar,
            use_distributed_sampler=False,
            **settings,
        )
    except Exception as error:  # Lightning raises a different type for each wrong setting
        raise InputError(
            f"Lightning refuses trainer.accelerator={config.accelerator} trainer.devices={config.devices} "
            f"trainer.strategy={config.strategy}: {error} "
            f"(this machine has {torch.cuda.device_count()} CUDA devices; trainer=cpu always works)"
        ) from error


def quiet_lightning() -> None:
    """Keeps warnings of Lightning and drops its advertisements."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def has_wandb_key() -> bool:
    """Returns whether W&B would find an API key without asking for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0]
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def make_loggers(config: LoggerConfig, output: Path, name: str) -> list[Logger]:
    """Returns the loggers; W&B is offline without an API key, and WANDB_MODE has the last word.

    Args:
        config: which loggers.
        output: the run's folder; both loggers write below it.
        name: name of the run on W&B.
    """
    loggers: list[Logger] = []
    if config.csv:
        loggers.append(CSVLogger(output, name="csv", version=""))
    mode = os.environ.get("WANDB_MODE") or ("online" if has_wandb_key() else "offline")
    if config.wandb and mode != "disabled":
        loggers.append(
            WandbLogger(
                name=name,
                save_dir=output,
                project=config.project,
                entity=config.entity,
                group=config.group,
                tags=list(config.tags),
                offline=mode in ("offline", "dryrun"),
                settings=wandb.Settings(silent=True),
            )
        )
    return loggers


def finish_loggers(loggers: list[Logger]) -> list[str]:
    """Returns where each W&B run is, a line a run; closes all loggers, so that a multirun's next job starts anew."""
    said = []
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            said.append(f"W&B: {run.url}" if run.url else f"W&B, offline: wandb sync {Path(run.dir).parent}")
            run.finish()
    return said
