"""Where a data set's rows come from: the local files of `data.path`, else the hub."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from laser_lit.config_data import DataConfig
from laser_lit.data.hub import first_rows, read_hub
from laser_lit.data.reader import read_table
from laser_lit.data.table import Schema, Table
from laser_lit.errors import InputError


def read_tables(config: DataConfig, schema: Schema, columns: Sequence[str] | None = None) -> list[Table]:
    """Returns the tables of a data set: one a local file, or one a split of the hub.

    Args:
        config: `path` wins over `id`.
        schema: what the rows must look like.
        columns: the only columns to read, where the format allows it.

    Raises:
        InputError: a file or the hub cannot be read.
    """
    paths = local_paths(config)
    if not paths and config.first_rows:
        return first_rows(config, schema, config.first_rows)
    if not paths:
        return read_hub(config, schema, columns)
    tables = [_head(read_table(path, schema, columns), config.first_rows) for path in paths]
    if len(tables) == 1:
        return tables
    names = [path.name.split(".")[0] for path in paths]
    unique = len(set(names)) == len(names)
    return [
        replace(table, split=name if unique else f"{name}.{i}")
        for i, (table, name) in enumerate(zip(tables, names, strict=True), start=1)
    ]


def _head(table: Table, n: int | None) -> Table:
    return table if n is None else replace(table, rows=table.rows[:n], numbers=table.numbers[:n])


def local_paths(config: DataConfig) -> list[Path]:
    """Returns the files of `data.path`, none where it is null."""
    if config.path is None:
        return []
    given = [config.path] if isinstance(config.path, str | Path) else list(config.path)
    if not given or not all(isinstance(path, str | Path) and str(path) for path in given):
        raise InputError(f"data.path {config.path!r}: must be a file or a list of files")
    return [Path(path).expanduser() for path in given]
