"""Sokoban as a task: a policy plays levels, and a level is right when it is solved; see `laser_lit.tasks.base.Task`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor

from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache
from laser_lit.lit.trainer import device_name, make_trainer
from laser_lit.models.content import content_hash
from laser_lit.models.finite import refuse_not_finite
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.reft.adapter import Adapter
from laser_lit.results.stats import bootstrap_ci
from laser_lit.scoring.controls import AnswerLogits
from rl.data import SolvedLevels, solved_levels
from rl.decision_transformer import Policy
from rl.imitation import imitation_loss, imitation_losses
from rl.rollout import rollout
from rl.sokoban.rules import to_letters, to_text

NO_LOGITS = "an episode has many actions, not one answer"


class SokobanTask:
    """Scores a policy on the validation and test levels of a data config."""

    processes, writes = 1, True

    def __init__(self, config: DictConfig, policy: Policy, id: str) -> None:
        """Makes the levels, or reads them from the cache.

        Args:
            config: the whole evaluation config.
            policy: in eval mode.
            id: name of the policy in results.

        Raises:
            InputError: policy, levels and config do not go together.
        """
        self._config = config
        self.model = policy.to(make_trainer(config.trainer).strategy.root_device)
        self.matrices: MatrixMap = find_matrices(policy)
        refuse_not_finite(policy)
        self.id = id
        self.device = device_name(policy.device)
        self.levels: dict[str, SolvedLevels] = {
            "validation": solved_levels(config.data, "validation"),
            "test": solved_levels(config.data, "test"),
        }
        self.target_return = _target_return(policy, config.policy.target_return)
        self._max_steps: int = config.data.levels.max_steps
        _check(policy, self.levels["validation"], self._max_steps)
        self._weights = content_hash(policy)

    @property
    def no_controls(self) -> str:
        """Why the controls cannot be scored."""
        return NO_LOGITS

    def score(self, stack: Stack | None, split: str, adapter: Adapter | None = None) -> pd.DataFrame:
        """Returns a row a level; the weights are as they were afterwards.

        Columns: id, group (the room), correct (solved), log_loss (of the solution's actions, nats), prompt (the
        board), answer (the solution) and prediction (the actions) as letters, return, steps, optimal_steps.
        """
        if adapter is not None:
            raise InputError("reft.path: interventions are on token positions, which task=sokoban has none of")
        return self._table(Stack([]) if stack is None else stack, split, None)

    @contextmanager
    def searching(self, split: str, cache_gb: float) -> Iterator["SokobanScorer"]:
        """Yields what a search scores its stacks with; see `laser_lit.tasks.base.Task`."""
        yield SokobanScorer(self, split, FactorCache(max_memory_bytes=int(cache_gb * 1e9)))

    def losses(self, split: str, rows: Sequence[int]) -> Iterator[Tensor]:
        """Yields differentiable scalars whose sum is the mean log loss of the rows."""
        return imitation_loss(self.model, self.levels[split].solutions, rows)

    def answer_logits(self, split: str, stack: Stack | None = None) -> AnswerLogits:
        """Raises an error: there are no such logits."""
        raise InputError(f"controls: {NO_LOGITS}")

    def answer_name(self, column: int) -> str:
        """Raises an error, as `answer_logits`."""
        raise InputError(f"controls: {NO_LOGITS}")

    def metrics(self, table: pd.DataFrame) -> dict[str, Any]:
        """Returns the share of levels solved and more.

        - accuracy: share of levels solved; accuracy_low, accuracy_high: its 95 % interval, bootstrap over rooms.
        - log_loss: mean over levels, nats an action.
        - return: mean. steps_over_optimal: mean over solved levels of steps beyond the shortest solution's; None where
          none is solved or the shortest is not known.
        - n, n_groups: levels, rooms.
        """
        solved = table["correct"].astype(float).to_numpy()
        low, high = _interval(solved, table["group"].to_numpy(), self._config.seed)
        over = (table["steps"] - table["optimal_steps"])[table["correct"].astype(bool)].astype(float)
        return {
            "accuracy": float(solved.mean()),
            "accuracy_low": low,
            "accuracy_high": high,
            "log_loss": float(table["log_loss"].mean()),
            "return": float(table["return"].mean()),
            "steps_over_optimal": None if over.empty or over.isna().any() else float(over.mean()),
            "n": len(table),
            "n_groups": int(table["group"].nunique()),
        }

    def objective(self, table: pd.DataFrame) -> float:
        """Returns the share of levels solved."""
        return float(table["correct"].astype(bool).mean())

    def content(self) -> dict[str, Any]:
        """Returns all that decides the scores besides edits and split."""
        return {
            "task": "sokoban",
            "model": self._weights,
            "levels": {split: levels.digest for split, levels in self.levels.items()},
            "target_return": self.target_return,
            "max_steps": self._max_steps,
        }

    def describe(self) -> dict[str, Any]:
        """Returns the record's "model" and "data" entries."""
        n = {split: len(levels) for split, levels in self.levels.items()}
        shape = self.model.shape
        return {
            "model": {
                "id": self.id,
                "revision": None,
                "content": self._weights,
                "dtype": str(self.model.dtype).removeprefix("torch."),
                "parameters": self.model.num_parameters(),
                "architecture": self.matrices.architecture,
                "layout": shape.layout,
                "conditioned": shape.conditioned,
                "target_return": self.target_return,
            },
            "data": {
                "name": self._config.data.name,
                "revision": None,
                "split": "room",
                "scoring": "solved",
                **{f"n_{split}": size for split, size in n.items()},
                **{f"groups_{split}": size for split, size in n.items()},
            },
        }

    def _table(self, stack: Stack, split: str, rows: Sequence[int] | None) -> pd.DataFrame:
        levels = self.levels[split]
        wanted = list(range(len(levels))) if rows is None else list(rows)
        boards = levels.solutions.starts[wanted]
        with stack.applied(self.matrices):
            episodes = rollout(self.model, boards, target_return=self.target_return, max_steps=self._max_steps)
            losses = imitation_losses(self.model, levels.solutions, wanted)
        chosen = [levels.levels[row] for row in wanted]
        return pd.DataFrame(
            {
                "id": [level.name for level in chosen],
                "group": [level.room for level in chosen],
                "correct": episodes.solved,
                "log_loss": losses,
                "prompt": [to_text(level.board) for level in chosen],
                "answer": [to_letters(levels.solution(row)) for row in wanted],
                "prediction": list(episodes.actions),
                "return": episodes.returns,
                "steps": episodes.steps,
                "optimal_steps": pd.array([level.moves for level in chosen], dtype="Int64"),
            }
        )


class SokobanScorer:
    """Scores stacks on one split of the task; see `laser_lit.tasks.base.Scorer`.

    Attributes:
        together: stacks share no passes.
    """

    together = False

    def __init__(self, task: SokobanTask, split: str, factors: FactorCache) -> None:
        self._task, self._split, self._factors = task, split, factors

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        """Returns the table of some rows under a stack; the weights are back afterwards."""
        return self._task._table(Stack([]) if stack is None else stack.provided(self._factors), self._split, rows)

    def score_many(self, stacks: Sequence[Stack], rows: Sequence[int] | None = None) -> list[pd.DataFrame]:
        """Returns the tables of some rows under each of several stacks."""
        return [self.score(stack, rows) for stack in stacks]

    def hold(self, stack: Stack | None) -> None:
        """Does nothing: stacks share nothing but factors."""

    def losses(self, rows: Sequence[int]) -> Iterator[Tensor]:
        """Yields differentiable scalars whose sum is the mean log loss of the rows."""
        return self._task.losses(self._split, rows)


def _interval(solved: NDArray[np.float64], rooms: NDArray[Any], seed: int) -> tuple[float | None, float | None]:
    """Returns the 95 % interval of a share: bootstrap over rooms, exact (Clopper and Pearson) where it is 0 or 1."""
    n = len(np.unique(rooms))
    if solved.all() or not solved.any():
        beyond = 0.025 ** (1 / n)
        return (beyond, 1.0) if solved.all() else (0.0, 1 - beyond)
    return bootstrap_ci(solved, rooms, seed=seed) or (None, None)


def _target_return(policy: Policy, asked: float | None) -> float:
    """Returns the return that a policy is asked for: the configured one, else the one that its training chose."""
    target: float | None = getattr(policy.config, "target_return", None) if asked is None else asked
    if target is None:
        raise InputError(
            "the policy's config.json names no target_return, as that of train.py task=sokoban does; set "
            "policy.target_return=10"
        )
    return target


def _check(policy: Policy, levels: SolvedLevels, max_steps: int) -> None:
    shape, given = policy.shape, levels.solutions.starts.shape[1:]
    if given != (shape.height, shape.width):
        raise InputError(
            f"the policy plays boards of {shape.height} × {shape.width}, and data has {given[0]} × {given[1]}; give "
            f"levels of its size (data=rooms: data.levels.size={shape.height}), or train another policy"
        )
    if max_steps > shape.max_steps:
        raise InputError(
            f"data.levels.max_steps {max_steps}: the policy was trained on episodes of at most {shape.max_steps} "
            f"steps; set data.levels.max_steps={shape.max_steps}, or train another policy"
        )
