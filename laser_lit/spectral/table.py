"""The table of a scan, and the files that hold it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from laser_lit.files import write_text_atomic

CSV, JSON = "scan.csv", "scan.json"
SCHEMA = 1
"""Version of scan.json."""

Row = dict[str, Any]

_TEXTS = ("name", "kind", "matrix", "part", "shape", "dtype")
_INDICES = ("layer", "expert")


def make_table(rows: Sequence[Row], about: Mapping[str, Any]) -> pd.DataFrame:
    """Returns a row a matrix; whole numbers stay whole where some are missing.

    Args:
        rows: plain values by column, None for missing ones; all with the same columns.
        about: kept as `table.attrs`.
    """
    names = list(rows[0]) if rows else []
    table = pd.DataFrame({name: _column(name, [row[name] for row in rows]) for name in names})
    table.attrs.update(about)
    return table


def write_table(folder: Path, rows: Sequence[Row], about: Mapping[str, Any]) -> list[Path]:
    """Writes scan.csv and scan.json atomically, and returns their paths.

    Args:
        folder: made when missing.
        rows: as for `make_table`, all finite.
        about: what else scan.json says.
    """
    content = {"schema": SCHEMA, **about, "matrices": list(rows)}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    write_text_atomic(folder / JSON, text)
    table = make_table(rows, {})
    if "shape" in table:
        table["shape"] = ["x".join(map(str, shape)) for shape in table["shape"]]
    write_text_atomic(folder / CSV, str(table.to_csv(index=False, lineterminator="\n")))
    return [folder / CSV, folder / JSON]


def _column(name: str, values: list[Any]) -> pd.Series:
    known = {type(value) for value in values if value is not None}
    if name in _TEXTS:
        return pd.Series([tuple(value) if isinstance(value, list) else value for value in values], dtype=object)
    if known == {bool}:
        return pd.Series(values, dtype=bool)
    if known == {int} or name in _INDICES:
        return pd.Series(values, dtype="Int64")
    return pd.Series([None if value is None else float(value) for value in values], dtype=float)
