"""How much faster Sokoban is when many boards are played at once, by chance and by a policy.

    python benchmarks/sokoban.py

env    random actions in laser_lit/Sokoban-v0 (7 x 7 cells, 2 boxes, 120 steps), CPU seconds of one thread, resets too:
       batch   `gymnasium.make_vec` with 256 boards, autoreset on (NEXT_STEP); a step that is a reset is not counted
       single  `gymnasium.make`, with TimeLimit, stepped and reset in a loop; actions are plain ints, and gymnasium's
               passive checker, which would slow it, is off
       Levels are drawn from 1,000 that were generated before; `_generated` is with a new level generated for each
       episode, which takes both sides longer than its steps do

rollout  greedy episodes of the policy of `make demo-rl` (trained first where it is missing, 4 minutes) on 256 test
       rooms, keys and values kept, finished episodes dropped: all together, and one by one

The sides are measured in turns, ROUNDS times (rollouts ROLLOUT_ROUNDS times). Steps a second are medians, a speedup is
the median of the ratios of the rounds. The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import gymnasium
import hydra
import numpy as np
from gymnasium.vector import AutoresetMode

import rl
from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder
from laser_lit.lit.threads import one_thread
from rl.data import solved_levels
from rl.decision_transformer import load_policy
from rl.jobs.train import ensure_policy
from rl.rollout import rollout
from rl.sokoban.rooms import generate_level

ENV = f"{rl.__name__}:laser_lit/Sokoban-v0"
LEVELS, BOARDS, ROUNDS, ROLLOUT_ROUNDS = 1000, 256, 9, 3
SINGLE_STEPS, BATCH_STEPS, WARM_UP = 100_000, 3_000, 2_000
GENERATED_SINGLE_STEPS, GENERATED_BATCH_STEPS = 24_000, 150

Rate = Callable[[], float]


def environments() -> dict[str, float]:
    """Returns how many steps of a board a second of one core gives, in a batch and alone, and their ratio."""
    rng = np.random.default_rng(0)
    levels = np.stack([generate_level(rng, 7, 2).board for _ in range(LEVELS)])
    rates = compared(batch_rate(BATCH_STEPS, levels=levels), single_rate(SINGLE_STEPS, levels=levels))
    generated = compared(batch_rate(GENERATED_BATCH_STEPS), single_rate(GENERATED_SINGLE_STEPS))
    return {
        "env_speedup_vs_single": round(rates[2], 2),
        "env_batch_steps_per_second": round(rates[0]),
        "env_single_steps_per_second": round(rates[1]),
        "env_speedup_vs_single_generated": round(generated[2], 2),
        "env_batch_steps_per_second_generated": round(generated[0]),
        "env_single_steps_per_second_generated": round(generated[1]),
    }


def rollouts() -> dict[str, float]:
    """Returns how many episodes a second of one core gives, together and one by one, and their ratio."""
    register_schemas()
    with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = hydra.compose("evaluate", ["task=sokoban", "trainer=cpu", f"data.levels.test={BOARDS}"])
    policy = load_policy(ensure_policy(config))
    boards = solved_levels(config.data, "test").solutions.starts

    def rate_of(size: int) -> Rate:
        def measure() -> float:
            start = time.process_time()
            rollout(policy, boards, target_return=policy.config.target_return, batch_size=size)
            return len(boards) / (time.process_time() - start)

        return measure

    with one_thread():
        rates = compared(rate_of(len(boards)), rate_of(1), ROLLOUT_ROUNDS)
    return {
        "speedup_batched": round(rates[2], 2),
        "batched_episodes_per_second": round(rates[0], 1),
        "single_episodes_per_second": round(rates[1], 1),
    }


def compared(batch: Rate, single: Rate, times: int = ROUNDS) -> tuple[float, float, float]:
    """Returns the medians of two rates measured in turns, and of their ratios."""
    rounds = [(batch(), single()) for _ in range(times)]
    return median(a for a, _ in rounds), median(b for _, b in rounds), median(a / b for a, b in rounds)


def batch_rate(steps: int, **arguments: Any) -> Rate:
    """Returns what measures steps of a board a second in a batch, each board's episodes at a point of its own.

    Args:
        steps: of the batch, in one measurement.
        arguments: of the environment.
    """
    env = gymnasium.make_vec(ENV, num_envs=BOARDS, vectorization_mode="vector_entry_point", **arguments)
    if env.metadata["autoreset_mode"] is not AutoresetMode.NEXT_STEP:
        raise SystemExit("episodes must begin anew by themselves, in the step after their end")
    rng = np.random.default_rng(1)
    env.reset(seed=0)
    for _ in range(min(WARM_UP, steps)):
        env.step(rng.integers(4, size=BOARDS))

    def measure() -> float:
        actions, resets = rng.integers(4, size=(steps, BOARDS)), 0
        start = time.process_time()
        for each in actions:
            _, _, terminated, truncated, _ = env.step(each)
            resets += int(np.count_nonzero(terminated | truncated))
        return (actions.size - resets) / (time.process_time() - start)

    return measure


def single_rate(steps: int, **arguments: Any) -> Rate:
    """Returns what measures steps a second of an environment of one board.

    Args:
        steps: in one measurement.
        arguments: of the environment.
    """
    env = gymnasium.make(ENV, disable_env_checker=True, **arguments)
    rng = np.random.default_rng(1)
    env.reset(seed=0)

    def measure() -> float:
        actions = rng.integers(4, size=steps).tolist()
        start = time.process_time()
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return steps / (time.process_time() - start)

    return measure


def main() -> None:
    """Prints the measured figures."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(json.dumps({**rollouts(), **environments()}))


if __name__ == "__main__":
    main()
