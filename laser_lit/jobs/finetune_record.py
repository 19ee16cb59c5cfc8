"""What a finetuning was and came to: its record, and the table on the terminal."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from laser_lit.config import SCHEMA, plain
from laser_lit.data.example import TextSet
from laser_lit.jobs.write import PIPE_WIDTH
from laser_lit.lit.learning_curve import TRAIN, VALIDATION
from laser_lit.lit.windows import Windows
from laser_lit.models.unfrozen import Unfrozen
from laser_lit.results.provenance import git_commit, versions

Record = dict[str, Any]


def finetune_record(
    about: Mapping[str, str],
    text: TextSet,
    windows: Windows,
    unfrozen: Unfrozen,
    curve: Sequence[Mapping[str, float]],
    config: DictConfig,
) -> Record:
    """Returns everything about a training as plain values; numbers that are not finite are None.

    Args:
        about: model, hash and path.
        text: what it was trained on.
        windows: the text as cut.
        unfrozen: what trained.
        curve: a row a step, as `LearningCurve` keeps it.
        config: the whole training config.
    """
    rows = [{name: number if math.isfinite(number) else None for name, number in row.items()} for row in curve]
    return {
        "schema": SCHEMA,
        **about,
        "data": {
            "name": text.name,
            "revision": text.revision,
            "window": windows.train.shape[1] - 1,
            "train_windows": len(windows.train),
            "held_out_windows": len(windows.held_out),
        },
        "unfrozen": asdict(unfrozen),
        "steps": config.finetune.steps,
        "train_loss": _ends(rows, TRAIN),
        "validation_loss": _ends(rows, VALIDATION),
        "curve": rows,
        "versions": versions(),
        "git": git_commit(),
        "config": plain(config),
    }


def _ends(rows: Sequence[Mapping[str, float | None]], name: str) -> dict[str, float | None]:
    found = [row[name] for row in rows if name in row]
    return {"first": found[0], "last": found[-1]} if found else {"first": None, "last": None}


def result_of(record: Record) -> float:
    """Returns the last loss on the text held out, or where nothing is, the last training loss; NaN if it diverged."""
    last = record["validation_loss" if record["data"]["held_out_windows"] else "train_loss"]["last"]
    return math.nan if last is None else float(last)


def print_finetuning(record: Record) -> None:
    """Prints a short table and where the model is.

    Args:
        record: as from `finetune_record`.
    """
    unfrozen, data = record["unfrozen"], record["data"]
    table = Table(title=f"{record['model']} on {data['name']}, {record['steps']:,} steps", title_justify="left")
    for column in ("loss, nats a token", "before", "after"):
        table.add_column(column, justify="left" if column.startswith("loss") else "right")
    for name, ends in (("held out", record["validation_loss"]), ("training", record["train_loss"])):
        table.add_row(name, *("–" if ends[end] is None else f"{ends[end]:.4f}" for end in ("first", "last")))
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(table)
    share = unfrozen["trained"] / unfrozen["total"]
    lines = [
        f"trained {unfrozen['trained']:,} of {unfrozen['total']:,} parameters ({share:.1%}), "
        f"{len(unfrozen['names'])} tensors; windows of {data['window']} tokens: {data['train_windows']:,} to train on, "
        f"{data['held_out_windows']:,} held out",
        *(f"{' and '.join(names)} are one tensor, which trained under all its names" for names in unfrozen["shared"]),
        f"model: {record['path']}",
    ]
    for line in lines:
        console.print(f"  {line}", highlight=False, soft_wrap=True)
