"""Candidates one after the other, each on top of those that were kept: laserRMT's way to search."""

import logging

from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.space import describe

log = logging.getLogger(__name__)


def keep_what_helps(loop: Loop, most: int | None = None) -> Cell | None:
    """Returns the stack of the candidates that were kept; None where none was.

    Each candidate is scored once, on top of those kept before it. It is kept where validation gets better by however
    little and the guard lets the stack pass, and else left out of all that follows.

    Args:
        loop: scores the candidates, in the order of its space.
        most: kept candidates after which the search ends.
    """
    above = loop.base
    try:
        for number, edit in enumerate(loop.space.edits, start=1):
            cell = loop.score((*above.edits, edit))
            kept = loop.best([cell], above)
            log.info("%d of %d, %s: %s", number, len(loop.space), describe((edit,)), _verdict(loop, above, cell, kept))
            if kept is None:
                continue
            loop.note_step(kept)
            above = kept
            if len(above.edits) == most:
                break
            loop.hold(above.edits)
    finally:
        loop.hold(())
    return above if above.edits else None


def _verdict(loop: Loop, above: Cell, cell: Cell, kept: Cell | None) -> str:
    """Returns what became of a candidate, with the objective before and after."""
    if cell.error is not None:
        return "left out, since it could not be scored"
    merit = loop.objective.merit
    before, after = merit(above), merit(cell)
    change = f"log loss {-before[-1]:.5f} to {-after[-1]:.5f}"
    if loop.objective.name == "log_loss":
        change = f"log loss {-before[0]:.5f} to {-after[0]:.5f}"
    else:
        change = f"accuracy {100 * before[0]:.2f} % to {100 * after[0]:.2f} %, {change}"
    if kept is not None:
        return f"{change}: kept"
    return f"{change}: {'turned away by the guard' if after > before else 'left out'}"
