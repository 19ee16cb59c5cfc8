from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

Tables = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]


def invent(groups: int = 40, size: int = 3, seed: int = 0, effect: float = 0.2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns base and LASER tables whose examples of a group rise and fall together."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), size)
    base = pd.DataFrame({"id": [f"e{i}" for i in range(group.size)], "group": [f"g{g}" for g in group]})
    base["prompt"] = [f"prompt {i}" for i in range(len(base))]
    base["answer"] = "yes"
    base["correct"] = (rng.random(groups) < 0.5)[group]
    base["log_loss"] = rng.exponential(2.0, groups)[group]
    laser = base.copy()
    laser["correct"] = base["correct"] | (rng.random(groups) < effect)[group]
    laser["log_loss"] = base["log_loss"] - effect * rng.random(groups)[group]
    return base, laser


@pytest.fixture
def tables() -> Tables:
    return invent
