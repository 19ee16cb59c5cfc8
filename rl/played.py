"""Episodes that are known: where another policy would take every action again, an episode need not be played again."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rl.decision_transformer import Policy
from rl.imitation import STEPS
from rl.lit import Packs
from rl.rollout import Episodes, rollout
from rl.sokoban.rules import ACTIONS, Board
from rl.trajectories.trajectories import Trajectories


class Played:
    """Greedy episodes of a policy on some levels, as it was when they were played."""

    def __init__(self, policy: Policy, boards: Board, *, target_return: float, max_steps: int) -> None:
        """Plays them.

        Args:
            policy: in eval mode; its weights may change afterwards.
            boards: (n, height, width) where the episodes begin.
            target_return: sum of rewards that the policy is asked for.
            max_steps: longest episode.
        """
        self._policy, self._boards = policy, boards
        self._target_return, self._max_steps = target_return, max_steps
        self.episodes = rollout(policy, boards, target_return=target_return, max_steps=max_steps)
        actions = np.array([ACTIONS.index(letter) for letter in "".join(self.episodes.actions)], np.int8)
        known = Trajectories(boards, self.episodes.steps.astype(np.int32), actions, actions, {})
        self._packs = Packs(known, STEPS, 0, symmetric=False)
        to_go = known.returns_to_go
        totals = np.repeat(to_go[known.first], known.lengths)
        self._told = (target_return - (totals - to_go)).astype(np.float32)  # (steps,) what the policy was told

    def now(self, rows: Sequence[int]) -> Episodes:
        """Returns the episodes of some levels under the weights that the policy has now.

        Args:
            rows: which, in the order that is wanted.
        """
        wanted = np.array(rows)
        found = self.episodes.take(wanted)
        changed = np.flatnonzero(~self._taken_again(wanted))
        if len(changed):
            boards = self._boards[wanted[changed]]
            others = rollout(self._policy, boards, target_return=self._target_return, max_steps=self._max_steps)
            found.put(changed, others)
        return found

    @torch.no_grad()
    def _taken_again(self, wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns in which of the known episodes the policy would take every action again, (wanted,)."""
        packs, again = self._packs, np.zeros(len(self._boards), bool)
        for episodes in packs.cut(wanted):
            batch = {name: tensor.to(self._policy.device) for name, tensor in packs.part(0, episodes).items()}
            told = torch.from_numpy(packs.of_steps(self._told, episodes)).to(self._policy.device)
            chosen = self._policy.logits(batch["boards"], batch["actions"], told).argmax(-1)
            same = (chosen == batch["labels"]) | (batch["labels"] < 0)
            again[episodes] = same.all(1).cpu().numpy()
        return again[wanted]
