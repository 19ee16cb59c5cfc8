"""A stack built up edit by edit: what each of its edits adds to those before."""

from collections.abc import Mapping

import pandas as pd

from laser_lit.analyses.further import Further
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.results.composition import Composition, Step
from laser_lit.tasks.base import SPLITS


def composition(stack: Stack, laser: Mapping[str, pd.DataFrame], further: Further) -> Composition:
    """Returns the scores of the first edit, of the first two, and so on, up to the whole stack.

    Args:
        stack: of at least two edits; their order is that of the list.
        laser: tables of the whole stack by split.
        further: scores the others.
    """
    shorter = [stack.first(count) for count in range(1, len(stack))]
    scored = {}
    for split in SPLITS:
        tables = [*further.tables(shorter, split), laser[split]]
        before = [None, *tables[:-1]]
        scored[split] = [further.scored(table, split, other) for table, other in zip(tables, before, strict=True)]
    added = [_said(edit) for edit in stack.edits]
    return Composition(tuple(Step(*step) for step in zip(added, *(scored[split] for split in SPLITS), strict=True)))


def _said(edit: Edit) -> str:
    """Returns an edit in words, as it was typed: "layer 2 fc_in rho 0.1"."""
    amount = "" if edit.amount is None else f"{edit.amount} {getattr(edit, edit.amount)}"
    words = (edit.target, "" if edit.kind == "low_rank" else edit.kind, amount, edit.how)
    return " ".join(word for word in words if word)
