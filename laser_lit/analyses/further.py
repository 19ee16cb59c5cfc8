"""Scores of further stacks beside those of base and LASER."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from laser_lit.edits.stack import Stack
from laser_lit.results.compare import Gain
from laser_lit.results.scored import Scored
from laser_lit.tasks.base import Task


@dataclass(frozen=True)
class Further:
    """Scores stacks as a search does: what they share with each other and with the base is computed once.

    Attributes:
        task: what is scored.
        base: tables of the base by split.
        gain: of a table over another of the same examples.
        cache_gb: most memory, in 1e9 bytes, for what is kept to not compute it twice.
    """

    task: Task
    base: Mapping[str, pd.DataFrame]
    gain: Callable[[pd.DataFrame, pd.DataFrame], Gain]
    cache_gb: float

    def tables(self, stacks: Sequence[Stack], split: str) -> list[pd.DataFrame]:
        """Returns the tables of a split under each of several stacks; the weights are back afterwards.

        Args:
            stacks: none give no tables.
            split: "validation" or "test".
        """
        if not stacks:
            return []
        if self.task.processes > 1:  # a search's scorer works in one process
            return [self.task.score(stack, split) for stack in stacks]
        with self.task.searching(split, self.cache_gb) as scorer:
            found = scorer.score_many(stacks)
        base = self.base[split]
        return [table.assign(weight=base["weight"]) for table in found] if "weight" in base.columns else found

    def scored(self, table: pd.DataFrame, split: str, other: pd.DataFrame | None = None) -> Scored:
        """Returns the scores of a table, with its gains over the base and over another table.

        Args:
            table: of a stack.
            split: whose table it is.
            other: of the same examples under another stack.
        """
        numbers, gain = self.task.metrics(table), self.gain(self.base[split], table)
        return Scored(
            numbers["accuracy"], numbers["log_loss"], gain, None if other is None else self.gain(other, table)
        )
