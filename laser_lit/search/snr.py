"""`search=snr`: laserRMT's search over the matrices with the lowest signal-to-noise ratio."""

import logging

from laser_lit.config_search import SearchConfig
from laser_lit.models.matrices import MatrixMap
from laser_lit.search.cell import Cell
from laser_lit.search.in_turn import keep_what_helps
from laser_lit.search.loop import Loop
from laser_lit.search.reductions import reductions
from laser_lit.search.space import Space, describe

log = logging.getLogger(__name__)


def candidates(matrices: MatrixMap, settings: SearchConfig) -> Space:
    """Returns the `k` matrices of least signal-to-noise ratio at the rank of the rule, the least first.

    Args:
        matrices: the model's.
        settings: of the search: `layers`, `matrices`, `rule`, `k`.

    Raises:
        InputError: as `reductions`.
    """
    found, skipped = reductions(matrices, settings.layers, settings.matrices, settings.rule)
    least = sorted(found, key=lambda each: each.snr)[: settings.k]
    for each in least:
        log.info("%s: signal-to-noise ratio %.4g", describe((each.edit,)), each.snr)
    return Space(tuple(each.edit for each in least), skipped)


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns the reductions that each made validation better on top of those before.

    Source: rmt_laser_snr.py of cognitivecomputations/laserRMT at 6410e2b, with its order. There a reduction stays that
    leaves the perplexity as it is; here it goes.

    Args:
        loop: scores the candidates, in their order.
        settings: of the search.
    """
    return keep_what_helps(loop)
