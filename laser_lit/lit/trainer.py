"""Lightning's Trainer from the config."""

import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console

from laser_lit.config import TrainerConfig
from laser_lit.errors import InputError


class LabelledProgressBar(RichProgressBar):
    """Rich progress bar that says what is being scored."""

    label = "Testing"

    @property
    def test_description(self) -> str:
        """Returns the text in front of the bar."""
        return self.label


def device_name(device: torch.device) -> str:
    """Returns a device in words: "cpu", or "cuda (NVIDIA H200)"."""
    return f"{device.type} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def make_trainer(config: TrainerConfig, callbacks: list[Callback] | None = None, **options: Any) -> Trainer:
    """Returns a Trainer that writes nothing by itself.

    Args:
        config: accelerator, devices, nodes and strategy; the progress bar shows on a terminal or in a notebook.
        callbacks: besides the progress bar.
        options: passed on to Lightning's Trainer.

    Raises:
        InputError: for devices that this machine does not have.
    """
    quiet_lightning()
    watched = config.progress_bar and (Console().is_terminal or Console().is_jupyter)
    bar: list[Callback] = [LabelledProgressBar(leave=False)] if watched else []
    settings = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False} | options
    try:
        return Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.num_nodes,
            strategy=config.strategy,
            callbacks=[*bar, *(callbacks or [])],
            enable_progress_bar=watched,
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
