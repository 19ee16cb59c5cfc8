"""The checkpoint that a training goes on from: whole or not there, and without the weights that do not change."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.files import write_atomic
from laser_lit.lit.learning_curve import Curve, LearningCurve

PREFIX = "model."
"""Before the names of the model's parameters in a CausalLMModule."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes Lightning's checkpoints by way of a temporary file, and straight to it: no second copy is in memory."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint; a kill at any byte leaves the one before."""
        write_atomic(Path(path), lambda temporary: torch.save(checkpoint, temporary))


class TrainingCheckpoint(Callback):
    """Saves a training now and then, in one file that holds only the weights that train.

    Args:
        file: where the checkpoint is.
        names: what trains, by its names in the module.
        accumulate: batches a step.
        is_due: whether a checkpoint is written after a step, counted from 1.
    """

    def __init__(self, file: Path, names: Collection[str], *, accumulate: int, is_due: Callable[[int], bool]) -> None:
        self._file, self._names = file, frozenset(names)
        self._accumulate, self._is_due = accumulate, is_due

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Saves where it is due; every process calls it, one writes."""
        if (batch_index + 1) % self._accumulate == 0 and self._is_due(trainer.global_step):
            trainer.save_checkpoint(str(self._file))

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Leaves out the weights that do not train."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: state[name] for name in state if name in self._names}

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Checks that the checkpoint holds what trains and nothing else; Lightning can only ask for the whole model."""
        if set(checkpoint["state_dict"]) != self._names:
            raise InputError(f"{self._file} holds other parameters than those that train; remove it to train anew")


def saved_step(file: Path) -> int:
    """Returns how many optimizer steps a checkpoint has made; 0 where there is none.

    Raises:
        InputError: the file is no checkpoint.
    """
    return int(_loaded(file)["global_step"]) if file.is_file() else 0


def saved_weights(file: Path, prefix: str = PREFIX) -> dict[str, Tensor]:
    """Returns what a checkpoint's training changed, by the names in the model, or in what else the prefix names."""
    state: dict[str, Tensor] = _loaded(file)["state_dict"]
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def saved_curve(file: Path) -> Curve:
    """Returns the learning curve in a checkpoint, a row a step."""
    rows: Curve = _loaded(file)["callbacks"][LearningCurve.__qualname__]["rows"]
    return rows


def _loaded(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # of many kinds, from the archive's to the unpickler's
        raise InputError(f"{file} is no training checkpoint ({error}); remove it to train anew") from error
    return content
