"""Training a causal language model on labelled tokens."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import lightning
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from laser_lit.errors import unknown_name
from laser_lit.reft.prompt import prompts

Batch = dict[str, torch.Tensor]
PROMPT = "prompt"
"""Entry of a batch that says where its prompts' tokens are, for interventions on hidden states; no input."""


def cosine(progress: float, floor: float) -> float:
    """Returns half a cosine from 1 + floor/2 down to the floor, for progress in [0, 1]."""
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2


def linear(progress: float, floor: float) -> float:
    """Returns the straight line from 1 down to the floor, for progress in [0, 1]."""
    return 1 - (1 - floor) * progress


def constant(progress: float, floor: float) -> float:
    """Returns 1 throughout."""
    return 1.0


SCHEDULES: dict[str, Callable[[float, float], float]] = {"cosine": cosine, "linear": linear, "constant": constant}


class CausalLMModule(lightning.LightningModule):
    """Next-token training of any transformers causal model under AdamW.

    A batch holds `input_ids` and `labels` (both (batch, length)) and any further inputs of that shape, such as
    `attention_mask` and `position_ids`. Labels are those of transformers: the token itself, negative where no loss is
    wanted, shifted in here. Only the positions with a label go through the output layer.

    Args:
        model: a model whose `get_output_embeddings` makes its logits.
        learning_rate: the peak.
        weight_decay: of matrices; vectors (biases, norms) have none.
        betas: of AdamW.
        warmup: steps of linear rise.
        schedule: what follows, one of SCHEDULES.
        floor: the last learning rate as a share of the peak.
    """

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        warmup: int = 0,
        schedule: str = "cosine",
        floor: float = 0.0,
    ) -> None:
        super().__init__()
        if schedule not in SCHEDULES:
            raise unknown_name("schedule", schedule, SCHEDULES)
        self.save_hyperparameters(ignore="model")
        self.model = model

    def loss(self, batch: Batch) -> torch.Tensor:
        """Returns the mean log loss (nats) over the labelled tokens of a batch."""
        return next_token_loss(self.model, batch)

    def count(self, batch: Batch) -> torch.Tensor:
        """Returns how many losses `loss` is the mean of."""
        return (batch["labels"][:, 1:] >= 0).sum()

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        """Returns the loss of a batch, and logs it."""
        loss = self.loss(batch)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Scales the gradient down to a norm; Lightning refuses fused AdamW here, for the sake of scaled losses.

        Losses are scaled in float16 only, in which nothing is trained here.
        """
        if gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(
                [parameter for group in optimizer.param_groups for parameter in group["params"]], gradient_clip_val
            )

    def configure_optimizers(self) -> Any:
        """Returns AdamW and its schedule, stepped once a batch."""
        hyper = self.hparams
        parameters = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": hyper.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=hyper.learning_rate, betas=tuple(hyper.betas), fused=True)
        factor = partial(
            learning_rate_factor,
            steps=int(self.trainer.estimated_stepping_batches),
            warmup=hyper.warmup,
            schedule=hyper.schedule,
            floor=hyper.floor,
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def learning_rate_factor(step: int, *, steps: int, warmup: int, schedule: str, floor: float) -> float:
    """Returns the learning rate at a step as a share of its peak.

    Args:
        step: from 0.
        steps: length of the training.
        warmup: steps of linear rise; the first one is already above 0.
        schedule: one of SCHEDULES, over the whole training.
        floor: what the schedule ends at.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return rise * SCHEDULES[schedule](min(1.0, step / max(1, steps)), floor)


def next_token_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Returns the mean log loss (nats) of the labelled tokens, with logits at their positions only.

    Args:
        model: as in CausalLMModule.
        batch: as in CausalLMModule; a label at the first position has no prediction and is left out.
    """
    targets = batch["labels"][:, 1:]  # (batch, length - 1)
    inputs = {name: tensor[:, :-1] for name, tensor in batch.items() if name not in ("labels", PROMPT)}
    wanted = targets >= 0
    head = model.get_output_embeddings()  # type: ignore[operator]
    gather = head.register_forward_pre_hook(lambda _, args: (args[0][wanted], *args[1:]))
    try:
        with prompts(batch[PROMPT]) if PROMPT in batch else nullcontext():
            logits = model(**inputs, use_cache=False).logits  # (wanted, vocabulary)
    finally:
        gather.remove()
    return cross_entropy(logits.float(), targets[wanted])
