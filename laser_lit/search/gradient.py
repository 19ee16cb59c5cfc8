"""`search=gradient`: one backward pass orders every candidate, and a few of them are scored."""

from collections.abc import Sequence

import numpy as np

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.search.loop import Loop
from laser_lit.search.slopes import predicted_changes
from laser_lit.search.space import Edits, Space


def predict(loop: Loop, space: Space, rows: Sequence[int] | int = 100, prefix: Edits = ()) -> dict[Edit, float]:
    """Returns the change of the mean log loss (nats, negative is better) that one gradient predicts for candidates.

    Predictions over the model as it is also go to `loop.predicted`.

    Args:
        loop: gives the scorer and the matrices.
        space: the candidates.
        rows: positions in the split's table that the gradient is taken on, or how many: the first of every group,
            then the second, and so on, in the search's order.
        prefix: edits that are there already; candidates on their matrices are predicted as if they came after them.

    Source: Sreeram, Maalouf, Sharma and Rus 2025 (arXiv 2510.20800): a gradient on 100 examples.
    """
    chosen = loop.order[spread(loop.groups, rows)].tolist() if isinstance(rows, int) else list(rows)
    with Stack(prefix).applied(loop.matrices):
        found = predicted_changes(lambda: loop.scorer.losses(chosen), loop.matrices, space.edits)
    if not prefix:
        loop.predicted |= found
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
