"""Which return a policy is asked for."""

from types import SimpleNamespace

import numpy as np
import pytest
from sokoban_settings import sokoban_config, untrained

from rl import target_return
from rl.data import solved_levels
from rl.rollout import rollout
from rl.target_return import BELOW, best_possible, tuned_return


@pytest.fixture(scope="module")
def levels(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASER_LIT_CACHE", str(tmp_path_factory.mktemp("levels")))
        return solved_levels(sokoban_config("data.levels.max_moves=3", "data.levels.validation=40").data, "validation")


def solving(shares):
    """Returns a rollout that solves a share of the boards, by target return."""

    def play(policy, boards, *, target_return):
        solved = np.arange(len(boards)) < shares.get(target_return, 0) * len(boards)
        return SimpleNamespace(solved=solved)

    return play


def test_the_best_possible_return_is_that_of_the_solutions(levels):
    returns = [11 - 0.1 * length for length in levels.solutions.lengths]
    assert best_possible(levels) == pytest.approx(np.mean(returns), abs=0.05)


def test_the_target_is_the_highest_of_those_that_solve_most(levels, monkeypatch):
    best = best_possible(levels)
    tried = [round(best - less, 1) for less in BELOW]
    monkeypatch.setattr(target_return, "rollout", solving({tried[1]: 0.5, tried[2]: 0.75, tried[4]: 0.75}))
    tuned = tuned_return(untrained(), levels)
    assert tuned.chosen == tried[2]
    assert tuned.solved == {tried[0]: 0, tried[1]: 0.5, tried[2]: 0.75, tried[3]: 0, tried[4]: 0.75}


def test_what_was_solved_is_what_the_policy_solves(levels):
    policy = untrained(seed=6)
    tuned = tuned_return(policy, levels)
    assert tuned.solved[tuned.chosen] == max(tuned.solved.values()) > 0
    for target, share in tuned.solved.items():
        assert share == rollout(policy, levels.solutions.starts, target_return=target).solved.mean()


def test_a_policy_that_is_told_none_has_one_target(levels):
    tuned = tuned_return(untrained(conditioned=False), levels)
    assert list(tuned.solved) == [tuned.chosen] == [best_possible(levels)]
