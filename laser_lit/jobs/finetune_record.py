"""What a finetuning was and came to: its record, and the table on the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from omegaconf import DictConfig
from rich.markup import escape
from rich.padding import Padding

from laser_lit.config import SCHEMA, plain
from laser_lit.data.example import TextSet
from laser_lit.lit.learning_curve import TRAIN, VALIDATION
from laser_lit.lit.windows import Windows
from laser_lit.models.unfrozen import Unfrozen
from laser_lit.report.terminal import add_row, plain_table, result_console
from laser_lit.results.provenance import git_commit, versions

Record = dict[str, Any]


def finetune_record(
    text: TextSet,
    windows: Windows,
    unfrozen: Unfrozen,
    curve: Sequence[Mapping[str, float]],
    config: DictConfig,
) -> Record:
    """Returns everything about a training as plain values.

    Args:
        text: what it was trained on.
        windows: the text as cut.
        unfrozen: what trained.
        curve: a row a step, as `LearningCurve` keeps it.
        config: the whole training config.
    """
    return {
        "schema": SCHEMA,
        "data": {
            "name": text.name,
            "revision": text.revision,
            "window": windows.train.shape[1] - 1,
            "train_windows": len(windows.train),
            "held_out_windows": len(windows.held_out),
        },
        "unfrozen": asdict(unfrozen),
        "steps": config.finetune.steps,
        "train_loss": _ends(curve, TRAIN),
        "validation_loss": _ends(curve, VALIDATION),
        "curve": [dict(row) for row in curve],
        "versions": versions(),
        "git": git_commit(),
        "config": plain(config),
    }


def _ends(rows: Sequence[Mapping[str, float]], name: str) -> dict[str, float | None]:
    found = [row[name] for row in rows if name in row]
    return {"first": found[0], "last": found[-1]} if found else {"first": None, "last": None}


def result_of(record: Record) -> float:
    """Returns the last loss on the text held out, or where nothing is, the last training loss."""
    return float(record["validation_loss" if record["data"]["held_out_windows"] else "train_loss"]["last"])


def print_finetuning(record: Record, *notes: str) -> None:
    """Prints a short table and where the model is.

    Args:
        record: as from `finetune_record`.
        notes: lines to end with.
    """
    unfrozen, data = record["unfrozen"], record["data"]
    table = plain_table("Loss, nats a token")
    for column in ("", "before", "after"):
        table.add_column(column, justify="right" if column else "left")
    for name, ends in (("held out", record["validation_loss"]), ("training, a step's", record["train_loss"])):
        add_row(table, name, *("–" if ends[end] is None else f"{ends[end]:.4f}" for end in ("first", "last")))
    console = result_console()
    console.print(f"\n  [bold]{escape(record['model'])}[/bold] finetuned on {data['name']}", highlight=False)
    console.print()
    console.print(Padding(table, (0, 0, 0, 1)))
    console.print()
    share = unfrozen["trained"] / unfrozen["total"]
    plural = "" if record["steps"] == 1 else "s"
    lines = [
        f"{record['steps']:,} step{plural} on {data['train_windows']:,} windows of {data['window']} tokens, "
        f"{data['held_out_windows']:,} windows held out",
        f"trained {unfrozen['trained']:,} of {unfrozen['total']:,} parameters ({share:.1%}) in "
        f"{len(unfrozen['names'])} tensors{'; all others are as they were' if share < 1 else ''}",
        *(f"{' and '.join(names)} are one tensor, which trained under all its names" for names in unfrozen["shared"]),
        f"model: {record['path']}",
        *notes,
    ]
    for line in lines:
        console.print(f"  {line}", highlight=False, soft_wrap=True)
