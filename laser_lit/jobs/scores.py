"""What one evaluation scores: base, LASER, an adapter and both, on both splits, and what each gains."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from laser_lit.config import config_hash
from laser_lit.edits.stack import Stack
from laser_lit.reft.adapter import Adapter
from laser_lit.results.compare import Gain, compare
from laser_lit.results.store import ResultsStore
from laser_lit.tasks.base import SPLITS, Task


@dataclass
class Scores:
    """Per-example tables of one run.

    Attributes:
        base: by split.
        laser: by split; empty without edits.
        reft: under the adapter alone, by split; empty without one.
        laser_reft: under edits and adapter, by split; empty without either.
        test_opened: how often the test split has been scored so far.
        seconds: wall time by phase.
    """

    base: dict[str, pd.DataFrame] = field(default_factory=dict)
    laser: dict[str, pd.DataFrame] = field(default_factory=dict)
    reft: dict[str, pd.DataFrame] = field(default_factory=dict)
    laser_reft: dict[str, pd.DataFrame] = field(default_factory=dict)
    test_opened: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Adds the time spent inside to a phase."""
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

    @property
    def most_edited(self) -> dict[str, pd.DataFrame]:
        """The tables of the model with all that was asked for, by split."""
        return self.laser_reft or self.reft or self.laser or self.base


def score_both(
    task: Task, stack: Stack | None, store: ResultsStore, content: dict[str, Any], adapter: Adapter | None = None
) -> Scores:
    """Returns the tables of base, stack, adapter and both on both splits.

    The base is scored once a model, data set and split, whatever the edits; several processes always score it, so that
    none of them waits for another that found it on disk.
    """
    scores = Scores()
    for split in SPLITS:
        if split == "test" and task.writes:
            scores.test_opened = store.open_test(config_hash(content))
        with scores.timed("base"):
            key = config_hash({**content, "part": split})
            base = partial(task.score, None, split)
            scores.base[split] = base() if task.processes > 1 else store.base_table(key, base)
        if stack is not None:
            with scores.timed("laser"):
                scores.laser[split] = task.score(stack, split)
        if adapter is not None:
            with scores.timed("reft"):
                scores.reft[split] = task.score(None, split, adapter)
        if adapter is not None and stack is not None:
            with scores.timed("laser_reft"):
                scores.laser_reft[split] = task.score(stack, split, adapter)
    return scores


def gain_over(base: pd.DataFrame, table: pd.DataFrame, seed: int) -> Gain:
    """Returns the gain of one table over another of the same examples, tokens of a text counting alike.

    Args:
        base: what is compared with.
        table: whose gain it is.
        seed: of the resampling.
    """
    text = base["correct"].isna().all()
    weight = "weight" if "weight" in base.columns else "n_tokens" if text else None
    return compare(base, table, weight=weight, seed=seed)
