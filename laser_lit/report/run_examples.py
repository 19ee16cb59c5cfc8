"""The examples of several runs of one test split: what any two of them answer, for the page to set side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from laser_lit.errors import InputError
from laser_lit.report.examples import examples_payload
from laser_lit.report.sweep import Row
from laser_lit.results.predictions import read_predictions
from laser_lit.results.record import read_record

LIMIT = 400_000
"""Answers (examples times runs) on one page; beyond it the later runs, and then unchanged examples, are left out."""

_ROUNDING = 1e-3
"""Nats by which a log loss may differ between two runs of one base, by batches and devices."""
_SHARED = ("id", "group", "category", "prompt", "answer", "frequency")
_SHOWN = ("prediction", "correct", "log_loss")
_EDITED = ("laser_reft", "reft", "laser", "base")
"""What the columns of a run begin with, the most edited variant first."""


def run_examples(runs: Sequence[Path], rows: Sequence[Row], limit: int = LIMIT) -> dict[str, Any] | None:
    """Returns the test examples that most runs share with each run's answers; None where no two runs have the same.

    As `examples_payload` does, with a variant a run and the base's where all runs share it, and besides: runs (how many
    are shown), alike (how many share these examples), of (how many there are).

    Args:
        runs: as from `find_runs`.
        rows: as from `sweep_rows`, of the same runs.
        limit: largest number of answers.
    """
    alike: dict[tuple[Any, ...], list[tuple[Row, pd.DataFrame]]] = {}
    for run, row in zip(runs, rows, strict=True):
        table = _tested(run)
        if table is not None:
            alike.setdefault(_examples(run, table), []).append((row, table))
    largest = max(alike.values(), key=len, default=[])
    if len(largest) < 2:
        return None
    shown = largest[: max(2, limit // len(largest[0][1]))]
    names, table = _beside(shown)
    payload = examples_payload(table, max(1, limit // len(names)), names)
    return {**payload, "fixed_width": (), "runs": len(shown), "alike": len(largest), "of": len(runs)}


def _tested(run: Path) -> pd.DataFrame | None:
    """Returns the rows of the test split in the order of their ids; None where a run keeps none."""
    try:
        table = read_predictions(run)
    except InputError:
        return None
    table = table[table["split"] == "test"] if "split" in table.columns else table
    return None if table.empty else table.sort_values("id", kind="stable").reset_index(drop=True)


def _examples(run: Path, table: pd.DataFrame) -> tuple[Any, ...]:
    """Returns what tells the examples of a run from those of others; windows of a text go by what text it is."""
    asked = "prompt" in table.columns and table["prompt"].notna().all()
    names = ("id", "prompt", "answer", *(() if asked else ("group", "base_n_tokens")))
    shown = table[[name for name in names if name in table.columns]].astype(str)
    text = None if asked else _revisions(read_record(run).data)
    return text, *pd.util.hash_pandas_object(shown, index=False).tolist()


def _revisions(data: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get("revision") for entry in data.get("data_sets") or (data,))


def _beside(shown: Sequence[tuple[Row, pd.DataFrame]]) -> tuple[Mapping[str, str], pd.DataFrame]:
    """Returns what the variants are called by what their columns begin with, and the columns."""
    first = shown[0][1]
    parts = [first[[name for name in _SHARED if name in first.columns]]]
    names = {}
    if all(_same(_columns(first, "base", "base"), _columns(table, "base", "base")) for _, table in shown):
        names["base"] = "base"
        parts.append(_columns(first, "base", "base"))
    for place, (row, table) in enumerate(shown):
        key = f"run{place}"
        names[key] = f"{row.name}: {row.varied or row.applied}"
        parts.append(_columns(table, _edited(table), key))
    return names, pd.concat(parts, axis=1).assign(split="test")


def _edited(table: pd.DataFrame) -> str:
    return next((prefix for prefix in _EDITED if f"{prefix}_log_loss" in table.columns), "base")


def _columns(table: pd.DataFrame, prefix: str, key: str) -> pd.DataFrame:
    found = {f"{prefix}_{name}": f"{key}_{name}" for name in _SHOWN if f"{prefix}_{name}" in table.columns}
    return table[list(found)].rename(columns=found)


def _same(first: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Returns whether two runs scored the base alike, up to rounding of its log loss."""
    if list(first.columns) != list(other.columns):
        return False
    losses = [name for name in first.columns if name.endswith("_log_loss")]
    close = np.isclose(first[losses].astype(float), other[losses].astype(float), atol=_ROUNDING, equal_nan=True)
    return bool(close.all()) and first.drop(columns=losses).equals(other.drop(columns=losses))
