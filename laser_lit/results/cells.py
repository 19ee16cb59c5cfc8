"""cells.parquet: a row a stack that a search tried on validation."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from laser_lit.errors import InputError
from laser_lit.files import write_atomic

FILE = "cells.parquet"
COLUMNS = (
    *("driver", "step", "edits", "layer", "matrix", "part", "expert", "kind", "rank", "rho", "n", "complete"),
    *("accuracy", "log_loss", "gain_accuracy", "gain_log_loss", "p", "p_adjusted", "predicted", "seconds", "error"),
)


def write_cells(table: pd.DataFrame, path: Path) -> None:
    """Writes the table atomically.

    Args:
        table: with COLUMNS.
        path: the file, usually cells.parquet of the run folder.
    """
    write_atomic(path, lambda temporary: table.to_parquet(temporary, index=False))


def read_cells(path: Path) -> pd.DataFrame:
    """Returns the table that `write_cells` wrote.

    Args:
        path: cells.parquet, or the run folder that holds it.

    Raises:
        InputError: no such file, no parquet, or a column is missing.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"no {FILE} at {file}: the search of that run has not finished, or its cells were removed")
    try:
        table = pd.read_parquet(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file} is no readable parquet ({error}): run the search again") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(f"{file} lacks the columns {', '.join(missing)}: run the search again")
    return table
