"""Small Sokoban: what to type for it, its composed config, and an untrained policy that plays it."""

from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder
from rl.decision_transformer import Policy, PolicyShape

LEVELS = ("size=6", "boxes=1", "min_moves=2", "max_moves=10", "max_steps=20")
ROOMS = tuple(f"data.levels.{setting}" for setting in LEVELS)
TRAINED = (
    *("data.levels.validation=80", "data.levels.test=80", "data.trajectories.count=1600", "policy.hidden=64"),
    *(
        "policy.layers=2",
        "policy.batch_steps=256",
        "policy.warmup=20",
        "policy.steps=300",
        "policy.learning_rate=0.006",
    ),
)
"""A policy that learns in seconds to solve half of its levels."""


def sokoban_config(*overrides: str, command: str = "evaluate") -> DictConfig:
    """Returns the config of a command of task=sokoban on small rooms."""
    register_schemas()
    few = ("data.levels.validation=12", "data.levels.test=9", "data.trajectories.count=40")
    typed = ("task=sokoban", *ROOMS, *few, "trainer=cpu", "logger=none", "paths.output=out", *overrides)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(command, [*typed])


def untrained(seed: int = 0, max_steps: int = 20, **shape: Any) -> Policy:
    """Returns a policy of boards of 6 × 6 whose decisions lie far apart, so that rounding decides none."""
    policy = Policy.new(PolicyShape(6, 6, max_steps, 2, 32, 2, **shape), seed).eval()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(3)
    policy.config.target_return = 10.0
    return policy
