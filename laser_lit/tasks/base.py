"""What a task is: something that a search can score under any stack of edits, without knowing what it is about."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pandas as pd
from torch import Tensor, nn

from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import MatrixMap
from laser_lit.reft.adapter import Adapter
from laser_lit.scoring.controls import AnswerLogits

SPLITS = ("validation", "test")


class Scorer(Protocol):
    """Scores many stacks on one split, in this process, and computes nothing twice.

    Attributes:
        together: whether `score_many` is faster than `score` for each.
    """

    together: bool

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        """Returns the table of some rows under a stack; the weights are back afterwards.

        Args:
            stack: the edits; None scores the model as it is.
            rows: positions in the table of `Task.score`, and the order of the rows that come back; None is all of them.
        """
        ...

    def score_many(self, stacks: Sequence[Stack], rows: Sequence[int] | None = None) -> list[pd.DataFrame]:
        """Returns what `score` returns for each of several stacks, in passes that they share where they can.

        Args:
            stacks: at least one.
            rows: as in `score`.
        """
        ...

    def hold(self, stack: Stack | None) -> None:
        """Says that the stacks to come extend this one, so that what they share with it is computed once.

        Args:
            stack: None is the model as it is, which holds at the start.
        """
        ...

    def losses(self, rows: Sequence[int]) -> Iterator[Tensor]:
        """Yields differentiable scalars, one a micro-batch, whose sum is the mean log loss of the rows.

        The weights are those that the model has when it is asked.

        Args:
            rows: positions in the table of `Task.score`.
        """
        ...


class Task(Protocol):
    """A model, examples and a score for each example.

    Attributes:
        model: in eval mode.
        matrices: the model's weight matrices.
        id: name of the model in results.
        processes: how many processes score together.
        writes: whether this process writes results; one of them does.
        device: where the model is scored, in words.
    """

    model: nn.Module
    matrices: MatrixMap
    id: str
    processes: int
    writes: bool
    device: str

    @property
    def no_controls(self) -> str | None:
        """Why the controls cannot be scored here, in words; None where they can."""
        ...

    def score(self, stack: Stack | None, split: str, adapter: Adapter | None = None) -> pd.DataFrame:
        """Returns a row an example (id, group, correct, log_loss, …) under a stack; the model is as it was afterwards.

        Args:
            stack: the edits; None scores the model as it is.
            split: "validation" or "test".
            adapter: what the model has besides; it is attached to the edited weights.
        """
        ...

    def searching(self, split: str, cache_gb: float) -> AbstractContextManager[Scorer]:
        """Returns what a search scores its stacks with.

        Args:
            split: "validation" or "test".
            cache_gb: most memory, in 1e9 bytes, for what is kept to not compute it twice.
        """
        ...

    def answer_logits(self, split: str, stack: Stack | None = None) -> AnswerLogits:
        """Returns the logits under a stack where the answers of a split are read; None is the base."""
        ...

    def answer_name(self, column: int) -> str:
        """Returns what a column of `answer_logits` stands for."""
        ...

    def metrics(self, table: pd.DataFrame) -> dict[str, Any]:
        """Returns the numbers of a table, "accuracy" and "log_loss" among them."""
        ...

    def objective(self, table: pd.DataFrame) -> float:
        """Returns what a search maximises."""
        ...

    def content(self) -> dict[str, Any]:
        """Returns all that decides the scores besides edits and split: contents of model and data, scoring, seed."""
        ...

    def describe(self) -> dict[str, Any]:
        """Returns the record's "model" and "data" entries."""
        ...
