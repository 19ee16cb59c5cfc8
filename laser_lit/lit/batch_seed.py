"""Dropout as a function of the batch's number, so that a resumed training draws what it would have drawn."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class BatchSeed(Callback):
    """Seeds torch's generators before every batch.

    Args:
        seed: of the training.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_index: int) -> None:
        """Seeds by training, batch and process."""
        entropy = np.random.SeedSequence([self._seed, batch_index, trainer.global_rank])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))
