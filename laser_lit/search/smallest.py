"""`search=smallest`: the stack of cuts that saves most storage and is shown to be not worse than the base."""

from collections.abc import Sequence

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.linalg.lowrank import is_smaller
from laser_lit.models.matrices import MatrixMap
from laser_lit.search.cell import Cell
from laser_lit.search.grid import in_order, scored
from laser_lit.search.harm import harmless
from laser_lit.search.loop import Loop
from laser_lit.search.space import Edits, place_of


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns a stack of harmless cuts that stays harmless; None where no cut that saves storage is.

    Harmless is a stack whose gain of the objective is shown to be above -delta on all of validation, and that passes
    the guard. Curves of score against rank go up and down, so that every candidate is scored. Of each matrix the
    lowest harmless rank is taken (see `alone`). All of these cuts together may harm though each alone does not: they
    are then put in order, those with the most gain per entry saved first, and halving finds a number of them that is
    harmless together; each of the others is tried once on top of what is kept by then.

    Args:
        loop: scores the candidates.
        settings: of the search: `delta`.
    """
    scored(loop, in_order(loop.space), settings.name)
    found = alone(loop, settings.delta)
    if not found:
        return None
    whole = together(loop, found)
    if _harmless(loop, whole, settings.delta):
        return whole
    ordered = sorted(found, key=lambda cell: _gain(loop, cell) / saved(cell.edits[0], loop.matrices), reverse=True)
    kept = _halved(loop, ordered, settings.delta)
    left = [cell for cell in ordered if cell.edits[0] not in kept.edits]
    return _extended(loop, kept, left, settings.delta)


def alone(loop: Loop, delta: float) -> list[Cell]:
    """Returns of each matrix the smallest cut that is harmless by itself and saves storage, in the space's order.

    Args:
        loop: that has been asked for every candidate.
        delta: the margin, above 0, in the objective's unit.
    """
    cells = [loop.score((edit,)) for edit in loop.space.edits if saved(edit, loop.matrices) > 0]
    good = {cell.edits[0]: cell for cell in harmless(loop, cells, delta)}
    found = []
    for edits in loop.space.by_matrix().values():
        smallest = sorted((edit for edit in edits if edit in good), key=lambda edit: edit.rank or 0)
        fine = next((edit for edit in smallest if loop.passes((edit,))), None)
        if fine is not None:
            found.append(good[fine])
    return found


def together(loop: Loop, cells: Sequence[Cell]) -> Cell:
    """Returns the score of all the cuts of some cells at once.

    Args:
        loop: scores it.
        cells: of different matrices.
    """
    return loop.score(_joined(loop, [edit for cell in cells for edit in cell.edits]))


def saved(edit: Edit, matrices: MatrixMap) -> int:
    """Returns how many entries fewer two factors have than the matrix; 0 where they have no fewer.

    Args:
        edit: of low_rank or zero, on a matrix and its experts.
        matrices: the model's.
    """
    place, rank = place_of(edit), edit.rank or 0
    ids = matrices.select(place[1], place[2], place[0])
    shapes = [matrices[id].shape for id in ids]
    return sum(out * inputs - rank * (out + inputs) for out, inputs in shapes if is_smaller(rank, (out, inputs)))


def _gain(loop: Loop, cell: Cell) -> float:
    return loop.objective.merit(cell)[0] - loop.objective.merit(loop.base)[0]


def _harmless(loop: Loop, cell: Cell, delta: float) -> bool:
    return bool(harmless(loop, [cell], delta)) and loop.passes(cell.edits)


def _joined(loop: Loop, edits: Sequence[Edit]) -> Edits:
    """Returns edits in the space's order, so that a stack is the same however it came about."""
    return tuple(edit for edit in loop.space.edits if edit in edits)


def _halved(loop: Loop, ordered: Sequence[Cell], delta: float) -> Cell:
    """Returns the harmless stack of the first cuts, at least one, at which halving arrives; all of them harm."""
    kept, high = ordered[0], len(ordered)
    while high - len(kept.edits) > 1:
        middle = (len(kept.edits) + high) // 2
        tried = together(loop, ordered[:middle])
        if _harmless(loop, tried, delta):
            kept = tried
        else:
            high = middle
    return kept


def _extended(loop: Loop, kept: Cell, left: Sequence[Cell], delta: float) -> Cell:
    """Returns what was kept with each of the other cuts that can be put on top of it, one after the other."""
    try:
        loop.hold(kept.edits)
        for (edit,) in loop.track([cell.edits for cell in left], "on top"):
            tried = loop.score(_joined(loop, [*kept.edits, edit]))
            if _harmless(loop, tried, delta):
                kept = tried
                loop.hold(kept.edits)
    finally:
        loop.hold(())
    return kept
