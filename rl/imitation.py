"""How well a policy imitates solutions: the log loss of their actions, with the levels' own best returns told."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from rl.decision_transformer import Policy
from rl.lit import Packs
from rl.trajectories.trajectories import NO_TARGET, Trajectories

STEPS = 16_384
"""Steps of solutions in a forward pass, about; a quarter of them where gradients are kept."""


@torch.no_grad()
def imitation_losses(policy: Policy, solutions: Trajectories, rows: Sequence[int]) -> NDArray[np.float64]:
    """Returns the mean log loss (nats) of the actions of some solutions, (rows,).

    Args:
        policy: in eval mode.
        solutions: of levels.
        rows: which of them, in the order that is wanted.
    """
    found = dict[int, float]()
    for episodes, losses in _passes(policy, solutions, rows, STEPS):
        found |= dict(zip(episodes.tolist(), losses.tolist(), strict=True))
    return np.array([found[row] for row in rows])


def imitation_loss(policy: Policy, solutions: Trajectories, rows: Sequence[int]) -> Iterator[Tensor]:
    """Yields differentiable scalars whose sum is the mean over some solutions of `imitation_losses`.

    Args:
        policy: in eval mode.
        solutions: of levels.
        rows: which of them.
    """
    for _, losses in _passes(policy, solutions, rows, STEPS // 4):
        yield losses.sum() / len(rows)


def _passes(
    policy: Policy, solutions: Trajectories, rows: Sequence[int], steps: int
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Yields some of the rows and their losses, solutions of like length together."""
    packs = Packs(solutions, steps, 0, symmetric=False)
    for episodes in packs.cut(np.array(rows)):
        batch = {name: tensor.to(policy.device) for name, tensor in packs.part(0, episodes).items()}
        logits = policy.logits(batch["boards"], batch["actions"], batch["returns"])
        labels = batch["labels"]
        losses = cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=NO_TARGET, reduction="none"
        ).view_as(labels)
        yield episodes, losses.sum(1) / (labels != NO_TARGET).sum(1)
