"""What `search=smallest` says of the model that it makes: its harm, its size and its speed."""

from dataclasses import replace
from functools import partial
from statistics import median, quantiles

from laser_lit.export.in_place import Thin
from laser_lit.jobs.speed import recorded_passes, speed_ratios
from laser_lit.results.compression import Compression
from laser_lit.search.cell import Cell
from laser_lit.search.harm import gain_intervals
from laser_lit.search.loop import Loop
from laser_lit.search.smallest import alone, together
from laser_lit.tasks.base import Task


def compression(task: Task, loop: Loop, chosen: Cell | None, delta: float) -> Compression:
    """Returns the record's entry about the smallest model.

    Args:
        task: what was scored.
        loop: after the search.
        chosen: the stack; None where no cut that saves storage is harmless.
        delta: harm that does not count.
    """
    found = alone(loop, delta)
    size = sum(parameter.numel() for parameter in task.model.parameters())
    nothing = Compression(delta, len(loop.space.by_matrix()), len(found), size, size)
    if chosen is None:
        return nothing
    all_gain, all_bound = _judged(loop, together(loop, found))
    gain, bound = _judged(loop, chosen)
    thin = Thin.of(task.model, task.matrices, loop.stack(chosen.edits))
    ratios, passes = _speed(task, thin)
    return replace(
        nothing,
        taken=len(chosen.edits),
        all_gain=all_gain,
        all_bound=all_bound,
        gain=gain,
        bound=bound,
        parameters_after=size - thin.saved,
        whole=len(thin.whole),
        speed=median(ratios) if ratios else None,
        speed_range=_middle_half(ratios) if ratios else None,
        repeats=len(ratios),
        passes=passes,
    )


def _judged(loop: Loop, cell: Cell) -> tuple[float | None, float | None]:
    """Returns the objective's gain of a cell and its one-sided lower bound; None without a score."""
    if cell.error is not None:
        return None, None
    merit = loop.objective.merit
    return merit(cell)[0] - merit(loop.base)[0], float(gain_intervals(loop, [cell]).bound[0])


def _middle_half(ratios: list[float]) -> tuple[float, float]:
    low, _, high = quantiles(ratios, n=4)
    return low, high


def _speed(task: Task, thin: Thin) -> tuple[list[float], int]:
    """Returns dense over factored seconds of each repeat, and how many passes one has; none where none can be had."""
    calls = recorded_passes(task) if thin.modules else []
    return (speed_ratios(task.model, calls, partial(thin.within, task.model)) if calls else []), len(calls)
