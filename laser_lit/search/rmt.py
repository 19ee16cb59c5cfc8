"""`search=rmt`: laserRMT's search from the last layer to the first."""

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.models.matrices import MatrixMap
from laser_lit.search.cell import Cell
from laser_lit.search.in_turn import keep_what_helps
from laser_lit.search.loop import Loop
from laser_lit.search.reductions import reductions
from laser_lit.search.space import Space, place_of

ORDER = ("fc_out", "fc_up", "fc_in", "q_proj", "k_proj", "v_proj", "out_proj")
"""Of the matrices of a layer. laserRMT has down, up, q, k, v, o; the gate, which is fc_in beside an fc_up, it leaves
out."""


def candidates(matrices: MatrixMap, settings: SearchConfig) -> Space:
    """Returns each matrix at the rank of the rule, the last layers first (a decoder's before its encoder's).

    Args:
        matrices: the model's.
        settings: of the search: `layers`, `matrices`, `rule`.

    Raises:
        InputError: as `reductions`.
    """
    found, skipped = reductions(matrices, settings.layers, settings.matrices, settings.rule)
    return Space(tuple(sorted((each.edit for each in found), key=_turn)), skipped)


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns the reductions that each made validation better on top of those before, at most `max_mod` of them.

    Source: rmt_laser.py of cognitivecomputations/laserRMT at 6410e2b. Other than there a reduction that does not help
    is taken back by itself, not with every layer whose number begins alike, and bit for bit.

    Args:
        loop: scores the candidates, in their order.
        settings: of the search.
    """
    return keep_what_helps(loop, settings.max_mod)


def _turn(edit: Edit) -> tuple[bool, int, int]:
    part, layer, name = place_of(edit)
    return part == "encoder", -layer, ORDER.index(name)
