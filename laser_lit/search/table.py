"""The cells of a search as a table, for cells.parquet and the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from laser_lit.edits.edit import Edit
from laser_lit.models.matrices import MatrixMap
from laser_lit.results.cells import COLUMNS
from laser_lit.results.multiple import max_t
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.space import describe


def cell_table(loop: Loop, driver: str) -> pd.DataFrame:
    """Returns a row a stack that the search asked for, in the order of asking.

    - driver, step (0 for a single edit, k for one on top of k), edits (the stack in words).
    - layer, matrix, part, expert, kind, rank, rho: of the stack's last edit.
    - n: rows scored; complete: whether these are all of validation.
    - accuracy, log_loss, gain_accuracy, gain_log_loss: on these rows, gains over the base, positive is better.
    - p, p_adjusted: of the objective's gain over groups, two-sided; adjusted by max-T over all complete stacks.
    - predicted: change of the mean log loss that a gradient predicted.
    - guard: "passed" or "refused"; None where the guard was not asked, as it is of no stack worse than the chosen one.
    - seconds, error.

    Args:
        loop: after the search.
        driver: its name.
    """
    cells = loop.cells
    table = pd.DataFrame([{"driver": driver, **_row(loop, cell)} for cell in cells], columns=list(COLUMNS))
    complete = [number for number, cell in enumerate(cells) if cell.error is None and cell.n == loop.size]
    if complete:
        values = loop.objective.values
        base = values(loop.base)
        gains = np.stack([values(cells[number]) - base for number in complete])  # (cells, N)
        p, adjusted = max_t(gains, loop.groups, weights=loop.objective.weights, seed=loop.seed)
        table.loc[complete, "p"] = p
        table.loc[complete, "p_adjusted"] = adjusted
    numbers = ["rank", "rho", "accuracy", "log_loss", "gain_accuracy", "gain_log_loss", "p", "p_adjusted", "predicted"]
    return table.astype(dict.fromkeys(numbers, "float64"))


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
