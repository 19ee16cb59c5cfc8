"""Episodes of a policy on many levels at once, with the actions that it holds for the most probable."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from laser_lit.errors import InputError
from rl.decision_transformer import NO_ACTION, Policy
from rl.sokoban.boards import Boards
from rl.sokoban.rules import Board, sized, to_letters


@dataclass(frozen=True)
class Episodes:
    """What became of a level each, in the order of the levels.

    Attributes:
        solved: (n,) whether the last box got onto a target in time.
        returns: (n,) sum of the rewards.
        steps: (n,) how many actions were taken.
        actions: n strings, a letter an action.
    """

    solved: NDArray[np.bool_]
    returns: NDArray[np.float64]
    steps: NDArray[np.int64]
    actions: tuple[str, ...]


@torch.no_grad()
def rollout(
    policy: Policy,
    boards: Sequence[Board] | NDArray[np.int8],
    *,
    target_return: float,
    max_steps: int | None = None,
    batch_size: int = 256,
    cached: bool = True,
    drop_finished: bool = True,
) -> Episodes:
    """Returns a greedy episode on each board.

    Args:
        policy: in eval mode.
        boards: (n, height, width) where the episodes begin.
        target_return: sum of rewards that the policy is asked for.
        max_steps: longest episode; None is the policy's own.
        batch_size: episodes that run together.
        cached: keep keys and values of earlier steps instead of computing them again.
        drop_finished: take finished episodes out of the batch.

    Raises:
        InputError: boards of another size, or longer episodes than the policy knows.
    """
    limit = policy.shape.max_steps if max_steps is None else max_steps
    _check(policy, boards, limit)
    parts = [
        _Batch(policy, boards[begin : begin + batch_size], target_return, cached, drop_finished).run(limit)
        for begin in range(0, len(boards), batch_size)
    ]
    return Episodes(
        np.concatenate([part.solved for part in parts]),
        np.concatenate([part.returns for part in parts]),
        np.concatenate([part.steps for part in parts]),
        tuple(letters for part in parts for letters in part.actions),
    )


def _check(policy: Policy, boards: Sequence[Board] | NDArray[np.int8], limit: int) -> None:
    shape = policy.shape
    if limit > shape.max_steps:
        raise InputError(f"episodes of {limit} steps: the policy was trained on at most {shape.max_steps}")
    if len(boards) == 0 or np.shape(boards[0]) != (shape.height, shape.width):
        given = sized(np.shape(boards[0])) if len(boards) else "none"
        raise InputError(f"the policy plays boards of {shape.height} × {shape.width}; given {given}")


class _Batch:
    """Episodes that run together."""

    def __init__(
        self,
        policy: Policy,
        boards: Sequence[Board] | NDArray[np.int8],
        target_return: float,
        cached: bool,
        drop_finished: bool,
    ) -> None:
        self._policy, self._drop = policy, drop_finished
        self._boards = Boards(boards)
        n = len(self._boards)
        self._source: _Cached | _Whole = _Cached(policy, n) if cached else _Whole(policy)
        self._rows = np.arange(n)  # which episodes still run
        self._over = self._boards.solved
        self._to_go = np.full(n, target_return)
        self._solved, self._returns, self._steps = np.zeros(n, bool), np.zeros(n), np.zeros(n, np.int64)
        self._actions: list[list[int]] = [[] for _ in range(n)]

    def run(self, limit: int) -> Episodes:
        """Returns what became of the episodes after so many steps at most."""
        for _ in range(limit):
            if self._over.all():
                break
            if self._drop and self._over.any():
                self._keep(np.flatnonzero(~self._over))
            self._step()
        return Episodes(self._solved, self._returns, self._steps, tuple(map(to_letters, self._actions)))

    def _step(self) -> None:
        device = self._policy.device
        tiles = torch.from_numpy(self._boards.tiles.reshape(len(self._boards), -1)).to(device)
        to_go = torch.from_numpy(self._to_go.astype(np.float32)).to(device)
        chosen = self._source.logits(tiles, to_go).argmax(-1)
        self._source.took(chosen)
        actions, playing = chosen.cpu().numpy(), ~self._over
        moves = self._boards.step(actions)
        self._over = self._over | moves.solved
        rows = self._rows[playing]
        self._returns[rows] += moves.reward[playing]
        self._steps[rows] += 1
        self._solved[rows] = moves.solved[playing]
        self._to_go = self._to_go - moves.reward
        for row, action in zip(rows, actions[playing], strict=True):
            self._actions[row].append(int(action))

    def _keep(self, rows: NDArray[np.integer]) -> None:
        self._boards, self._over = self._boards.take(rows), self._over[rows]
        self._rows, self._to_go = self._rows[rows], self._to_go[rows]
        self._source.keep(rows)


class _Cached:
    """Logits of the next step from keys and values of the steps before."""

    def __init__(self, policy: Policy, episodes: int) -> None:
        self._policy, self._context = policy, policy.begin(episodes)

    def logits(self, tiles: Tensor, to_go: Tensor) -> Tensor:
        return self._policy.next_logits(self._context, tiles, to_go)

    def took(self, actions: Tensor) -> None:
        self._context.action = actions

    def keep(self, rows: NDArray[np.integer]) -> None:
        self._context.keep(rows)


class _Whole:
    """Logits of the next step from all steps so far, computed anew."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._past: list[list[Tensor]] = []  # tiles, actions and returns of each step

    def logits(self, tiles: Tensor, to_go: Tensor) -> Tensor:
        self._past.append([tiles, torch.full_like(to_go, NO_ACTION, dtype=torch.long), to_go])
        boards, actions, returns = (torch.stack(part, 1) for part in zip(*self._past, strict=True))
        return self._policy.logits(boards, actions, returns)[:, -1]

    def took(self, actions: Tensor) -> None:
        self._past[-1][1] = actions

    def keep(self, rows: NDArray[np.integer]) -> None:
        self._past = [[part[rows] for part in step] for step in self._past]
