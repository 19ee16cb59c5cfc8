"""Scoring under Lightning: every process scores its share, and all of them end with the whole table."""

from typing import Any

import torch.distributed
from lightning.pytorch import LightningModule
from torch import nn

from laser_lit.errors import InputError
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
        """Returns the scores of this process's share, in no particular order."""
        return self._scores

    def gathered_scores(self) -> list[RequestScore]:
        """Returns the scores of all processes, in every one of them; metrics are only ever computed from all of them.

        To be called by every process when the test is over, and not from a hook: Lightning calls none in a process
        that has no batches.

        Raises:
            InputError: another process has failed.
        """
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return self._scores
        gathered: list[Any] = [None] * torch.distributed.get_world_size()
        try:
            torch.distributed.all_gather_object(gathered, self._scores)
        except RuntimeError as error:
            raise InputError("another process of this run has failed; see its message") from error
        return [score for scores in gathered for score in scores]

    def setup(self, stage: str) -> None:
        """Starts an empty table and moves the model to this process's device, unless accelerate has placed it."""
        self._scores = []
        (model,) = self._held
        if not hasattr(model, "hf_device_map"):
            model.to(self.trainer.strategy.root_device)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Scores one batch."""
        (model,) = self._held
        self._scores.extend(score_batch(model, batch, keep_logits=self.keep_logits))
