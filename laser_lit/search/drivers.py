"""The drivers by the name that users type after `search=`."""

from collections.abc import Callable

from laser_lit.config_search import SearchConfig
from laser_lit.models.matrices import MatrixMap
from laser_lit.search import collect, gradient, greedy, grid, optuna_driver, racing, rmt, smallest, snr
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.space import Space

Driver = Callable[[Loop, SearchConfig], Cell | None]

DRIVERS: dict[str, Driver] = {
    "grid": grid.drive,
    "gradient": gradient.drive,
    "greedy": greedy.drive,
    "racing": racing.drive,
    "optuna": optuna_driver.drive,
    "rmt": rmt.drive,
    "snr": snr.drive,
    "smallest": smallest.drive,
    "collect": collect.drive,
}
"""A driver proposes stacks to the loop and returns the one that it chooses, or None."""

SHARDED = ("grid", "optuna")
"""Drivers whose work several jobs can share."""

BY_ONE_RULE = {"rmt": rmt.candidates, "snr": snr.candidates}
"""Drivers that try each matrix at one rank, and what makes their candidates."""


def candidates(matrices: MatrixMap, settings: SearchConfig) -> Space:
    """Returns what a search may choose from.

    Args:
        matrices: the model's.
        settings: of the search.

    Raises:
        InputError: candidates that the model does not have, or none.
    """
    if settings.name in BY_ONE_RULE:
        return BY_ONE_RULE[settings.name](matrices, settings)
    rules = (settings.rule,) if isinstance(settings.rule, str) else tuple(settings.rule or ())
    fields = (settings.layers, settings.matrices, settings.rho, settings.rank, tuple(settings.kinds), rules)
    return Space.of(matrices, *fields, settings.decomposition, settings.blocks)
