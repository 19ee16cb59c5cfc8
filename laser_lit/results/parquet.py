"""Tables of a run folder: written atomically, read back with words for what is wrong."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from laser_lit.errors import InputError
from laser_lit.files import write_atomic


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a table atomically.

    Args:
        table: any.
        path: the file.
    """
    write_atomic(path, lambda temporary: table.to_parquet(temporary, index=False))


def read_table(path: Path, name: str, missing: str, again: str) -> tuple[pd.DataFrame, Path]:
    """Returns the table of a run, and the file that it is in.

    Args:
        path: the file, or the run folder that holds it.
        name: of the file in a run folder.
        missing: what to say where it is not there.
        again: what to run where it cannot be read.

    Raises:
        InputError: no such file, or no parquet.
    """
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"no {name} at {file}: {missing}")
    try:
        return pd.read_parquet(file), file
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file} is no readable parquet ({error}): run the {again} again") from error
