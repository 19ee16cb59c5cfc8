"""The return that a policy is asked for: chosen on the validation levels, as the edits are."""

from dataclasses import dataclass

import numpy as np

from rl.data import SolvedLevels
from rl.decision_transformer import Policy
from rl.rollout import rollout

BELOW = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Target returns that are tried, below the best possible one."""


@dataclass(frozen=True)
class TunedReturn:
    """What was tried.

    Attributes:
        chosen: the target return under which the most levels were solved; of several the highest.
        solved: share of the levels that were solved, by target return.
    """

    chosen: float
    solved: dict[float, float]


def best_possible(levels: SolvedLevels) -> float:
    """Returns the mean return of the levels' solutions, to one decimal."""
    first = levels.solutions.first
    return round(float(levels.solutions.returns_to_go[first].mean()), 1)


def tuned_return(policy: Policy, levels: SolvedLevels) -> TunedReturn:
    """Returns the target return that suits a policy; of one that is told none, the best possible one.

    Args:
        policy: in eval mode.
        levels: those of validation.
    """
    best = best_possible(levels)
    tried = [round(best - less, 1) for less in BELOW] if policy.shape.conditioned else [best]
    boards = levels.solutions.starts
    solved = {target: float(rollout(policy, boards, target_return=target).solved.mean()) for target in tried}
    return TunedReturn(tried[int(np.argmax(list(solved.values())))], solved)
