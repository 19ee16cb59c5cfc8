"""predictions.parquet: a row an example, base, LASER and other variants side by side."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from laser_lit.errors import InputError
from laser_lit.results.parquet import read_table, write_table

FILE = "predictions.parquet"
DESCRIBING = (
    *("id", "group", "split", "data", "weight", "category", "frequency"),
    *("prompt", "answer", "choices", "aliases", "target_new"),
)
"""Columns that describe an example; every other one is an outcome, written once for the base and for each variant."""


def predictions_table(
    tables: Mapping[str, tuple[pd.DataFrame, pd.DataFrame | None]],
    more: Mapping[str, Mapping[str, pd.DataFrame]] | None = None,
) -> pd.DataFrame:
    """Returns one table of all splits: describing columns once, outcomes as base_*, laser_* and so on.

    Args:
        tables: for each split ("validation", "test") the per-example tables of base and LASER, LASER's in any row
            order, None for a run without edits.
        more: for each split the tables of further variants, by the first part of their columns' names ("reft").

    Raises:
        InputError: tables of different examples.
    """
    parts = []
    for split, (base, laser) in tables.items():
        variants = {} if laser is None else {"laser": laser}
        parts.append(_beside(base, {**variants, **(more or {}).get(split, {})}).assign(split=split))
    table = pd.concat(parts, ignore_index=True)
    describing = [name for name in DESCRIBING if name in table.columns]
    return table[describing + [name for name in table.columns if name not in describing]]


def _beside(base: pd.DataFrame, variants: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    describing = [name for name in DESCRIBING if name in base.columns and name != "split"]
    parts = [base[describing], _outcomes(base, "base")]
    for prefix, table in variants.items():
        if set(table["id"]) != set(base["id"]) or len(table) != len(base):
            raise InputError(f"base has {len(base)} examples, {prefix} {len(table)}, not the same ones")
        parts.append(_outcomes(table.set_index("id").loc[base["id"]].reset_index(), prefix))
    return pd.concat([part.reset_index(drop=True) for part in parts], axis=1)


def _outcomes(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    names = [name for name in table.columns if name not in DESCRIBING]
    return table[names].rename(columns={name: f"{prefix}_{name}" for name in names})


def write_predictions(table: pd.DataFrame, path: Path) -> None:
    """Writes the table atomically.

    Args:
        table: as from `predictions_table`.
        path: the file, usually predictions.parquet of the run folder.
    """
    write_table(table, path)


def read_predictions(path: Path) -> pd.DataFrame:
    """Returns the table that `write_predictions` wrote.

    Args:
        path: predictions.parquet, or the run folder that holds it.

    Raises:
        InputError: no such file, or no parquet.
    """
    table, _ = read_table(path, FILE, "give the folder of a finished run", "evaluation")
    return table
