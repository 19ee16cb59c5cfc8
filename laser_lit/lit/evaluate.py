"""Scoring under Lightning: every process scores its share, and all of them end with the whole table."""

from typing import Any

import torch.distributed
from lightning.pytorch import LightningModule
from torch import nn

from laser_lit.scoring.batches import Batch
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.request import RequestScore


class EvaluationModule(LightningModule):
    """Runs requests through a language model and keeps a score for each.

    The model is held outside Lightning's view: Lightning would bring it back to the CPU after every test, and could not
    move one that accelerate has spread over several devices.
    """

    def __init__(self, model: nn.Module) -> None:
        """Keeps the model.

        Args:
            model: any causal or masked language model of transformers, in eval mode.
        """
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.keep_logits = False
        self._held = (model,)
        self._scores: list[RequestScore] = []

    @property
    def scores(self) -> list[RequestScore]:
        """Returns the scores of all processes, in no particular order."""
        return self._scores

    def setup(self, stage: str) -> None:
        """Moves the model to this process's device, unless accelerate has placed it."""
        (model,) = self._held
        if not hasattr(model, "hf_device_map"):
            model.to(self.trainer.strategy.root_device)

    def on_test_start(self) -> None:
        """Starts an empty table."""
        self._scores = []

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Scores one batch."""
        (model,) = self._held
        self._scores.extend(score_batch(model, batch, keep_logits=self.keep_logits))

    def on_test_epoch_end(self) -> None:
        """Gathers the scores of all processes; metrics are only ever computed from the whole table."""
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, self._scores)
            self._scores = [score for scores in gathered for score in scores]
