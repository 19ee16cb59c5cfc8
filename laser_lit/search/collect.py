"""`search=collect`: chooses among what other jobs have scored into the same results folder."""

from laser_lit.config_search import SearchConfig
from laser_lit.errors import InputError
from laser_lit.search.cell import Cell
from laser_lit.search.grid import in_order
from laser_lit.search.loop import Loop


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns the best of the space's candidates, all of which must have been scored (or failed) before.

    Args:
        loop: knows the cells of the results folder.
        settings: of the search.

    Raises:
        InputError: cells are missing; says how many, and of which matrices.
    """
    stacks = [(edit,) for edit in in_order(loop.space).edits]
    missing = [edits for edits in stacks if not loop.knows(edits)]
    if missing:
        places = list(dict.fromkeys(f"layer {edits[0].layer} {edits[0].matrix}" for edits in missing))
        raise InputError(
            f"search=collect: {len(missing)} of {len(stacks)} cells are not in {loop.folder}, of "
            f"{', '.join(places[:6])}{', …' if len(places) > 6 else ''}. Run the missing shards first, with the same "
            "search.layers, search.matrices, search.rho, search.rank and search.rule; search=grid scores what is "
            "missing and chooses"
        )
    return loop.best([loop.score(edits) for edits in stacks])
