"""How long a task's own forward passes take in two states of its model, measured side by side."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from laser_lit.tasks.base import Task

PASSES = 8
"""Most batches in a repeat: the first of validation."""
REPEATS = 21
_PLAIN = (torch.Tensor, bool, int, float, str, type(None))

Call = tuple[tuple[Any, ...], dict[str, Any]]


def recorded_passes(task: Task, most: int = PASSES) -> list[Call]:
    """Returns arguments of the model's forward passes when a task scores validation.

    Args:
        task: whose base is scored once for it.
        most: the first so many.

    Returns:
        Those that can be repeated by themselves: a pass that is given a cache would change it.
    """
    found: list[Call] = []

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if len(found) < most and all(isinstance(value, _PLAIN) for value in (*args, *kwargs.values())):
            found.append((args, dict(kwargs)))

    hook = task.model.register_forward_pre_hook(record, with_kwargs=True)
    try:
        task.score(None, "validation")
    finally:
        hook.remove()
    return found


def speed_ratios(
    model: nn.Module, calls: list[Call], other: Callable[[], AbstractContextManager[None]], repeats: int = REPEATS
) -> list[float]:
    """Returns seconds of the passes as the model is over those inside a context, once a repeat, the two in turn.

    Args:
        model: in eval mode.
        calls: arguments of its passes, at least one.
        other: makes the context that changes the model and takes it back.
        repeats: after one that warms up.
    """
    ratios = []
    for repeat in range(repeats + 1):
        seconds = [_seconds(model, calls, context) for context in (nullcontext(), other())]
        if repeat:
            ratios.append(seconds[0] / seconds[1])
    return ratios


@torch.no_grad()
def _seconds(model: nn.Module, calls: list[Call], context: AbstractContextManager[None]) -> float:
    with context:
        _wait()
        begin = time.perf_counter()
        for args, kwargs in calls:
            model(*args, **kwargs)
        _wait()
        return time.perf_counter() - begin


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
