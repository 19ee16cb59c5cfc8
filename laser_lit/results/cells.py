"""cells.parquet: a row a stack that a search tried on validation."""

from pathlib import Path

import numpy as np
import pandas as pd

from laser_lit.errors import InputError
from laser_lit.results.parquet import read_table, write_table

FILE = "cells.parquet"
COLUMNS = (
    *("driver", "step", "edits", "layer", "matrix", "part", "expert", "kind", "rank", "rho", "n", "complete"),
    *("accuracy", "log_loss", "gain_accuracy", "gain_log_loss", "p", "p_adjusted", "predicted"),
    *("guard", "seconds", "error"),
)
"""What every table of cells has."""
LATER = (
    *("gain_accuracy_low", "gain_accuracy_high", "gain_accuracy_bound"),
    *("gain_log_loss_low", "gain_log_loss_high", "gain_log_loss_bound"),
    *("p_adjusted_other", "not_worse"),
)
"""What tables of older versions lack."""


def write_cells(table: pd.DataFrame, path: Path) -> None:
    """Writes the table atomically.

    Args:
        table: with COLUMNS and LATER.
        path: the file, usually cells.parquet of the run folder.
    """
    write_table(table, path)


def read_cells(path: Path) -> pd.DataFrame:
    """Returns the table that `write_cells` wrote; what older versions did not write is missing in every row.

    Args:
        path: cells.parquet, or the run folder that holds it.

    Raises:
        InputError: no such file, no parquet, or a column is missing.
    """
    table, file = read_table(path, FILE, "the search of that run has not finished, or its cells were removed", "search")
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(f"{file} lacks the columns {', '.join(missing)}: run the search again")
    return table.assign(**{name: np.nan for name in LATER if name not in table.columns})
