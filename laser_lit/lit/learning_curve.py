"""The losses of a training, kept in its checkpoint, so that a resumed training has the whole curve."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.lit.finetune import CausalLMModule
from laser_lit.lit.windows import Rows

Curve = list[dict[str, float]]
"""A row a step: its number, and the losses by name."""

TRAIN, RATE, VALIDATION = "train/loss", "train/learning_rate", "validation/loss"


class LearningCurve(Callback):
    """Records and logs the loss of every optimizer step, and the loss on the text held out.

    Args:
        held_out: rows that are not trained on; may be none.
        size: rows a batch, for those.
        accumulate: batches a step.
        is_due: whether to look at the text held out after a step, counted from 1; it is looked at before the first.
        group: config group of the settings, for errors.
        loggers: where the numbers go; a resumed training sends them the curve before it too.
        measure: further numbers by name, of the model in eval mode, wherever the text held out is looked at.
    """

    def __init__(
        self,
        held_out: Rows,
        *,
        size: int,
        accumulate: int,
        is_due: Callable[[int], bool],
        group: str = "finetune",
        loggers: Sequence[Logger] = (),
        measure: Callable[[nn.Module], dict[str, float]] | None = None,
    ) -> None:
        self._group = group
        self.rows: Curve = []
        self._held_out, self._size, self._accumulate = held_out, size, accumulate
        self._is_due, self._loggers, self._measure = is_due, loggers, measure
        self._batches: list[Tensor] = []
        self._rate = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Returns the curve, for the checkpoint."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the curve from a checkpoint."""
        self.rows = [dict(row) for row in state_dict["rows"]]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Logs what was before, or looks at the text held out before the first step."""
        for row in self.rows:
            self._log(row)
        if not self.rows:
            self._add(0, self._validation(trainer, module, 0))

    def on_before_optimizer_step(self, trainer: Trainer, module: LightningModule, optimizer: Any) -> None:
        """Reads the learning rate of the step."""
        self._rate = float(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Adds a row for a finished step."""
        self._batches.append(outputs["loss"].detach())
        if (batch_index + 1) % self._accumulate:
            return
        # Lightning has divided the loss of each batch by their number
        loss = float(trainer.strategy.reduce(torch.stack(self._batches).double().sum(), reduce_op="mean"))
        self._batches, step = [], trainer.global_step
        self._refuse_not_finite("training loss", loss, step)
        found = self._validation(trainer, module, step) if self._is_due(step) else {}
        self._add(step, {TRAIN: loss, RATE: self._rate, **found})

    def _validation(self, trainer: Trainer, module: LightningModule, step: int) -> dict[str, float]:
        found: dict[str, float] = {}
        if len(self._held_out):
            found[VALIDATION] = held_out_loss(trainer, cast(CausalLMModule, module), self._held_out, self._size)
            self._refuse_not_finite("loss on the text held out", found[VALIDATION], step)
        if self._measure is not None:
            module.eval()
            found |= self._measure(cast(CausalLMModule, module).model)
            module.train()
        return found

    def _add(self, step: int, numbers: dict[str, float]) -> None:
        if numbers:
            self.rows.append({"step": step, **numbers})
            self._log(self.rows[-1])

    def _refuse_not_finite(self, name: str, loss: float, step: int) -> None:
        """Raises an error for a loss that is no number, before a checkpoint of such a step is written."""
        if math.isfinite(loss):
            return
        if not step:
            raise InputError(
                f"the {name} is {loss} before the first step; the model does not compute in this precision"
            )
        raise InputError(
            f"the {name} is {loss} at step {step}; give a smaller {self._group}.learning_rate, a longer "
            f"{self._group}.warmup, or {self._group}.precision=32-true"
        )

    def _log(self, row: dict[str, float]) -> None:
        for logger in self._loggers:
            logger.log_metrics({name: number for name, number in row.items() if name != "step"}, int(row["step"]))


@torch.no_grad()
def held_out_loss(trainer: Trainer, module: CausalLMModule, rows: Rows, size: int) -> float:
    """Returns the mean loss (of a token, nats), in the arithmetic of the training; all processes share the work.

    Args:
        trainer: in a training.
        module: whose loss.
        rows: at least one.
        size: rows a batch.
    """
    parts = np.array_split(np.arange(len(rows)), -(-len(rows) // size))
    total = torch.zeros(2, dtype=torch.float64, device=trainer.strategy.root_device)  # loss, how many
    module.eval()
    for part in parts[trainer.global_rank :: trainer.world_size]:
        batch = {name: tensor.to(total.device) for name, tensor in rows.batch(part.tolist()).items()}
        with trainer.precision_plugin.forward_context():
            loss = module.loss(batch).double()
        count = module.count(batch)
        total += torch.stack([loss * count, count])
    module.train()
    summed, number = trainer.strategy.reduce(total, reduce_op="sum").tolist()
    return float(summed / number)
