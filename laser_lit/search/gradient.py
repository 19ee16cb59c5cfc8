"""`search=gradient`: one backward pass orders every candidate, and a few of them are scored."""

from collections.abc import Mapping, Sequence

import numpy as np

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.linalg.cache import FactorCache
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.slopes import Forecast, forecasts
from laser_lit.search.space import Edits, Space, place_of
from laser_lit.search.surrogate import Surrogate

REFINED = 0.25
"""Share of the cells that go to the ranks around the best one so far."""


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns the best of the few candidates that are scored; None where none of them beats the base.

    Args:
        loop: scores the candidates.
        settings: of the search: `examples` rows for the gradient, `verify` cells.
    """
    found = forecast(loop, loop.space, settings.examples)
    return loop.best(verified(loop, found, Surrogate(found), settings.verify))


def predict(loop: Loop, space: Space, rows: Sequence[int] | int = 100, prefix: Edits = ()) -> dict[Edit, float]:
    """Returns the change of the mean log loss (nats, negative is better) that one gradient predicts; see `forecast`."""
    return {edit: found.change for edit, found in forecast(loop, space, rows, prefix).items()}


def forecast(loop: Loop, space: Space, rows: Sequence[int] | int = 100, prefix: Edits = ()) -> dict[Edit, Forecast]:
    """Returns what one gradient predicts for each candidate.

    Predictions over the model as it is also go to `loop.predicted`. Factors are read from the cache on disk a matrix at
    a time; the weights are back afterwards.

    Args:
        loop: gives the scorer and the matrices.
        space: the candidates.
        rows: positions in the split's table that the gradient is taken on, or how many: the first of every group,
            then the second, and so on, in the search's order.
        prefix: edits that are there already, on other matrices than the candidates.

    Source: Sreeram, Maalouf, Sharma and Rus 2025 (arXiv 2510.20800): a gradient on 100 examples.
    """
    chosen = loop.order[spread(loop.groups, rows)].tolist() if isinstance(rows, int) else list(rows)
    cache = FactorCache(max_memory_bytes=0)
    with loop.stack(prefix, cache).applied(loop.matrices):
        found = forecasts(
            *(lambda: loop.scorer.losses(chosen), loop.matrices, space.edits), cache=cache, calibration=loop.calibration
        )
    if not prefix:
        loop.predicted |= {edit: each.change for edit, each in found.items()}
    return found


def spread(groups: np.ndarray, n: int) -> np.ndarray:
    """Returns up to n places over as many groups as can be: the first row of each group, then the second, and so on.

    Args:
        groups: (N,) name of each row's group.
        n: at least 1.
    """
    names, inverse = np.unique(groups, return_inverse=True)
    order = np.argsort(inverse, kind="stable")  # rows group by group, each in its order
    sizes = np.bincount(inverse, minlength=len(names))
    turn = np.empty(len(groups), dtype=np.int64)
    turn[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.argsort(turn, kind="stable")[:n]


def verified(
    loop: Loop, found: Mapping[Edit, Forecast], surrogate: Surrogate, count: int, above: Cell | None = None
) -> list[Cell]:
    """Returns the cells of the candidates that were scored, in that order.

    What was scored corrects the predictions, and so decides what is scored next; the last quarter goes to the ranks
    next to the best cell so far, as the objective has it.

    Args:
        loop: scores them.
        found: forecasts of the candidates over `above`.
        surrogate: learns from what is scored.
        count: most cells.
        above: what the candidates come on top of; None is the base.
    """
    above = above or loop.base
    prefix, left, cells = above.edits, dict(found), list[Cell]()
    count = min(count, len(left))
    for number, _ in enumerate(loop.track([prefix] * count, "gradient" if not prefix else f"step {len(prefix) + 1}")):
        near = _nearest(loop, cells, left) if number >= count - int(REFINED * count) else None
        edit = near or surrogate.most_promising(left)
        cells.append(loop.score((*prefix, edit)))
        surrogate.observe(edit, left.pop(edit), _mean_loss(loop, cells[-1]) - _mean_loss(loop, above))
    return cells


def _nearest(loop: Loop, cells: Sequence[Cell], left: Mapping[Edit, Forecast]) -> Edit | None:
    """Returns the candidate that is left of the best cell's matrix and kind, with the rank nearest to its own."""
    sound = [cell for cell in cells if np.isfinite(_mean_loss(loop, cell))]
    if not sound:
        return None
    best = max(sound, key=loop.objective.merit).edits[-1]
    same = [edit for edit in left if place_of(edit) == place_of(best) and edit.kind == best.kind]
    return min(same, key=lambda edit: abs(np.log((edit.rank or 1) / (best.rank or 1))), default=None)


def _mean_loss(loop: Loop, cell: Cell) -> float:
    """Returns the mean log loss of a cell (nats); inf for one that failed."""
    return float("inf") if cell.error else float(np.average(cell.log_loss, weights=loop.objective.weights))
