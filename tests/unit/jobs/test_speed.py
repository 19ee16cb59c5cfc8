from contextlib import contextmanager
from types import SimpleNamespace

import torch
from torch import nn

from laser_lit.jobs.speed import recorded_passes, speed_ratios


class Doubling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def forward(self, x: torch.Tensor, cache: object = None) -> torch.Tensor:
        self.seen.append((x, cache))
        return 2 * x


def scored(model: Doubling, caches: list[object]) -> SimpleNamespace:
    """Returns a task that passes a tensor a cache through its model."""
    calls = [(torch.ones(2) * number, cache) for number, cache in enumerate(caches)]
    return SimpleNamespace(model=model, score=lambda stack, split: [model(x, cache=cache) for x, cache in calls])


def test_the_first_passes_that_can_be_repeated_are_kept():
    calls = recorded_passes(scored(Doubling(), [None, {"keys": 1}, True, None]), most=2)
    assert [(args[0].tolist(), kwargs) for args, kwargs in calls] == [
        ([0, 0], {"cache": None}),
        ([2, 2], {"cache": True}),
    ]


def test_nothing_is_recorded_afterwards():
    model = Doubling()
    calls = recorded_passes(scored(model, [None]))
    model(torch.ones(3))
    assert len(calls) == 1


def test_the_passes_run_in_turn_with_and_without_the_change():
    model, inside = Doubling(), []

    @contextmanager
    def other():
        inside.append(len(model.seen))
        yield
        inside.append(len(model.seen))

    ratios = speed_ratios(model, [((torch.ones(2),), {})] * 3, other, repeats=2)
    assert len(ratios) == 2
    assert min(ratios) > 0
    assert inside == [3, 6, 9, 12, 15, 18]  # one that warms up, and two that count
