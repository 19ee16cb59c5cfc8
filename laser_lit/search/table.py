"""The cells of a search as a table, for cells.parquet and the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from laser_lit.edits.edit import Edit
from laser_lit.models.matrices import MatrixMap
from laser_lit.results.cells import COLUMNS, LATER
from laser_lit.results.intervals import intervals
from laser_lit.results.multiple import max_t
from laser_lit.results.verdict import MARGIN
from laser_lit.search.cell import Cell
from laser_lit.search.harm import shown
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.space import describe

METRICS = ("accuracy", "log_loss")


def cell_table(loop: Loop, driver: str, delta: float = MARGIN) -> pd.DataFrame:
    """Returns a row a stack that the search asked for, in the order of asking.

    - driver, step (0 for a single edit, k for one on top of k), edits (the stack in words).
    - layer, matrix, part, expert, kind, rank, rho: of the stack's last edit.
    - n: rows scored; complete: whether these are all of validation.
    - accuracy, log_loss, gain_accuracy, gain_log_loss: on these rows, gains over the base, positive is better.
    - gain_accuracy_low, gain_accuracy_high, gain_accuracy_bound: two-sided 95 % interval of the gain and its one-sided
      lower 95 % bound, by resampling groups, of complete stacks; gain_log_loss_low, … the same.
    - p, p_adjusted: of the objective's gain over groups, two-sided; adjusted by max-T over all complete stacks;
      p_adjusted_other the same of the other metric.
    - not_worse: whether the objective's gain is shown to be above -delta, see `laser_lit.results.intervals.not_worse`;
      None where the stack is not complete.
    - predicted: change of the mean log loss that a gradient predicted.
    - guard: "passed" or "refused"; None where the guard was not asked, as it is of no stack worse than the chosen one.
    - seconds, error.

    Args:
        loop: after the search.
        driver: its name.
        delta: the margin of not_worse, above 0, in the objective's unit.
    """
    cells = loop.cells
    names = [*COLUMNS, *LATER]
    table = pd.DataFrame([{"driver": driver, **_row(loop, cell)} for cell in cells], columns=names)
    table["not_worse"] = pd.Series([None] * len(table), dtype=object)
    complete = [number for number, cell in enumerate(cells) if cell.error is None and cell.n == loop.size]
    if complete:
        judged = _judged(loop, [cells[number] for number in complete], delta)
        for name, values in judged.items():
            table.loc[complete, name] = values
    words = {"driver", "edits", "layer", "matrix", "part", "expert", "kind", "guard", "error", "not_worse"}
    whole = {"step", "n", "complete", "seconds"}
    return table.astype(dict.fromkeys((name for name in names if name not in words | whole), "float64"))


def _judged(loop: Loop, cells: Sequence[Cell], delta: float) -> dict[str, np.ndarray]:
    """Returns the columns that complete cells are judged by; `cells` has at least one."""
    found: dict[str, np.ndarray] = {}
    weights, objective = loop.objective.weights, loop.objective.name
    for metric in METRICS:
        if metric == "accuracy" and loop.base.correct is None:
            continue
        gains = Objective(metric, weights).gains(cells, loop.base)  # (cells, N)
        p, adjusted = max_t(gains, loop.groups, weights=weights, seed=loop.seed)
        found |= {"p": p, "p_adjusted": adjusted} if metric == objective else {"p_adjusted_other": adjusted}
        ends = intervals(gains, loop.groups, weights=weights, seed=loop.seed)
        found |= {f"gain_{metric}_{end}": getattr(ends, end) for end in ("low", "high", "bound")}
        if metric == objective:
            found["not_worse"] = shown(ends, loop, delta)
    return found


def _row(loop: Loop, cell: Cell) -> dict[str, Any]:
    last = cell.edits[-1]
    row: dict[str, Any] = {
        "step": len(cell.edits) - 1,
        "edits": describe(cell.edits),
        "layer": last.layer,
        "matrix": last.matrix,
        "part": last.part,
        "expert": last.expert,
        "kind": last.kind,
        "rank": last.rank,
        "rho": _rho(last, loop.matrices),
        "n": cell.n,
        "complete": cell.error is None and cell.n == loop.size,
        "predicted": loop.predicted.get(last) if len(cell.edits) == 1 else None,
        "guard": None if cell.edits not in loop.verdicts else "passed" if loop.verdicts[cell.edits] else "refused",
        "seconds": cell.seconds,
        "error": cell.error,
    }
    return row if cell.n == 0 else row | _scores(loop, cell)


def _scores(loop: Loop, cell: Cell) -> dict[str, float | None]:
    base, weights = loop.base.head(cell.n), loop.objective.weights[: cell.n]
    loss = float(np.average(cell.log_loss, weights=weights))
    scores: dict[str, float | None] = {
        "log_loss": loss,
        "gain_log_loss": float(np.average(base.log_loss, weights=weights)) - loss,
    }
    if cell.correct is None or base.correct is None:
        return scores
    accuracy = float(np.average(cell.correct, weights=weights))
    return scores | {
        "accuracy": accuracy,
        "gain_accuracy": accuracy - float(np.average(base.correct, weights=weights)),
    }


def _rho(edit: Edit, matrices: MatrixMap) -> float | None:
    if edit.rank is None:
        return None
    (first, *_) = matrices.select(edit.layer, edit.matrix, edit.part, edit.expert)
    return edit.rank / edit.full_rank(matrices[first].shape, str(first))


def path_rows(loop: Loop, path: Sequence[Cell]) -> tuple[dict[str, Any], ...]:
    """Returns the accepted steps of a greedy search: edits in words, objective on validation, gain of the step.

    Args:
        loop: after the search.
        path: the stacks, each with one more edit.
    """
    rows, before = [], loop.objective.merit(loop.base)[0]
    for cell in path:
        merit = loop.objective.merit(cell)[0]
        rows.append({"edits": describe(cell.edits[-1:]), "validation": merit, "gain": merit - before})
        before = merit
    return tuple(rows)
