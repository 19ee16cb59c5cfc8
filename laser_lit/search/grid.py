"""`search=grid`: every candidate, the late layers first."""

from laser_lit.config_search import SearchConfig
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.space import Space


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns the best of all candidates; None where none beats the base.

    Source: Sharma, Ash and Misra 2023, section 4.

    Args:
        loop: scores the candidates.
        settings: of the search; only its shard is scored.
    """
    return loop.best(scored(loop, in_order(loop.space.shard(settings.shard, settings.shards)), settings.name))


def scored(loop: Loop, part: Space, label: str) -> list[Cell]:
    """Returns the score of each candidate of a space, in its order.

    Args:
        loop: scores them.
        part: the candidates.
        label: what is being done, for progress.
    """
    ranks = {edits[0]: [(edit,) for edit in edits] for edits in part.by_matrix().values()}
    cells = []
    for (edit,) in loop.track([(edit,) for edit in part.edits], label):
        if edit in ranks:
            loop.prepare(ranks[edit])
        cells.append(loop.score((edit,)))
    return cells


def in_order(space: Space) -> Space:
    """Returns the candidates with the last layers first, which are the cheapest: early finds come early."""
    return Space(tuple(sorted(space.edits, key=lambda edit: -int(str(edit.layer)))))
