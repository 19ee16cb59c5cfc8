"""Epochs as steps."""

import pytest

from laser_lit.config_reft import ReftConfig
from laser_lit.jobs.reft_plan import training_plan


@pytest.mark.parametrize(
    ("settings", "examples", "processes", "steps", "size"),
    [
        ({"epochs": 10}, 621, 1, 195, 32),  # batches run on across epochs
        ({"epochs": 10}, 4, 1, 10, 4),  # never four examples eight times in a batch
        ({"epochs": 10}, 32, 1, 10, 32),
        ({"epochs": 1, "accumulate": 4}, 10, 1, 2, 2),
        ({"epochs": 2, "accumulate": 2}, 3, 2, 2, 1),  # fewer than the parts of a step
        ({"epochs": 10, "steps": 5}, 4, 1, 5, 32),  # as typed
    ],
)
def test_epochs(settings, examples, processes, steps, size):
    plan = training_plan(ReftConfig(**settings), examples, processes)
    assert (plan.steps, plan.batch_size) == (steps, size)
