"""`search=greedy`: edits are stacked one after the other, as long as validation shows that the next one helps."""

from collections.abc import Sequence

import numpy as np

from laser_lit.config_search import SearchConfig
from laser_lit.results.multiple import max_t
from laser_lit.search.cell import Cell
from laser_lit.search.gradient import forecast, verified
from laser_lit.search.loop import Loop
from laser_lit.search.surrogate import Surrogate

LEVEL = 0.05
"""Chance, at most, that a second or later edit is accepted where none of its step's candidates gains anything."""


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns the stack that was built edit by edit; None where no edit beats the base.

    Each step forecasts the candidates on matrices that have no edit yet, from a gradient under the edits so far, and
    scores the most promising on top of them. The first edit is the best that beats the base, as with every driver. Of
    the best of many later ones some gain would be left by luck alone, so that a later edit must besides gain by a max-T
    adjusted p of at most 0.05, two-sided over groups, among the cells of its step. A step without such an edit is taken
    back and ends the search. On the built-in facts models of five seeds that is the second step: a stack adds nothing
    there that 600 rows could show.

    Source: Sharma, Ash and Misra 2023, section 5.1 (composing reductions), which accepts every step that gains.

    Args:
        loop: scores the candidates.
        settings: of the search: `steps` edits at most, `verify` cells a step, `examples` rows for each gradient.
    """
    above = loop.base
    surrogate: Surrogate | None = None
    try:
        for _ in range(settings.steps):
            space = loop.space.without(above.edits)
            if not space.edits:
                break
            loop.hold(above.edits)
            found = forecast(loop, space, settings.examples, above.edits)
            surrogate = surrogate or Surrogate(found)
            cells = verified(loop, found, surrogate, settings.verify, above)
            best = loop.best(cells, above)
            if best is None or (above.edits and step_p(loop, cells, best, above) > LEVEL):
                break
            loop.note_step(best)
            above = best
    finally:
        loop.hold(())
    return above if above.edits else None


def step_p(loop: Loop, cells: Sequence[Cell], best: Cell, above: Cell) -> float:
    """Returns the p of a step's gain on validation, two-sided over groups, adjusted for all that it was chosen among.

    Args:
        loop: of the search.
        cells: what the step has scored.
        best: the one of them with the highest merit.
        above: the stack before the step.
    """
    complete = [cell for cell in cells if cell.error is None and cell.n == loop.size]
    values = loop.objective.values
    gains = np.stack([values(cell) - values(above) for cell in complete])  # (cells, N)
    _, adjusted = max_t(gains, loop.groups, weights=loop.objective.weights, seed=loop.seed)
    return float(adjusted[complete.index(best)])
