"""A scorer without a model, for tests of searches."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack

ROWS = 24

Gains = Callable[[tuple[Edit, ...]], np.ndarray]


class FakeScorer:
    """Scores by a function of the edits instead of by a model, and counts what it is asked."""

    def __init__(self, losses: Gains, text: bool = False) -> None:
        self.losses_of = losses
        self.text = text
        self.asked: list[tuple[tuple[Edit, ...], tuple[int, ...]]] = []
        self.held: list[tuple[Edit, ...]] = []
        self.together = False

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        edits = () if stack is None else stack.edits
        rows = range(ROWS) if rows is None else rows
        self.asked.append((edits, tuple(rows)))
        loss = self.losses_of(edits)[list(rows)]
        return pd.DataFrame(
            {
                "id": [f"row {row}" for row in rows],
                "group": [f"group {row // 2}" for row in rows],
                "correct": [None if self.text else bool(value < 1.0) for value in loss],
                "log_loss": loss,
                "n_tokens": 1,
            }
        )

    def score_many(self, stacks: Sequence[Stack], rows: Sequence[int] | None = None) -> list[pd.DataFrame]:
        return [self.score(stack, rows) for stack in stacks]

    def hold(self, stack: Stack | None) -> None:
        self.held.append(() if stack is None else stack.edits)

    def losses(self, rows: Sequence[int]) -> Iterator[torch.Tensor]:
        raise NotImplementedError
