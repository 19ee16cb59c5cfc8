"""The drivers by the name that users type after `search=`."""

from collections.abc import Callable

from laser_lit.config_search import SearchConfig
from laser_lit.search import collect, gradient, greedy, grid, optuna_driver, racing
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop

Driver = Callable[[Loop, SearchConfig], Cell | None]

DRIVERS: dict[str, Driver] = {
    "grid": grid.drive,
    "gradient": gradient.drive,
    "greedy": greedy.drive,
    "racing": racing.drive,
    "optuna": optuna_driver.drive,
    "collect": collect.drive,
}
"""A driver proposes stacks to the loop and returns the one that it chooses, or None."""

SHARDED = ("grid", "optuna")
"""Drivers whose work several jobs can share."""
