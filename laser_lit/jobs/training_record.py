"""What the records of all trainings have, and how it stands on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig
from rich.padding import Padding

from laser_lit.config import SCHEMA, plain
from laser_lit.lit.learning_curve import TRAIN, VALIDATION
from laser_lit.report.terminal import add_row, plain_table, result_console
from laser_lit.results.provenance import git_commit, versions

Record = dict[str, Any]


def training_record(about: Record, steps: int, curve: Sequence[Mapping[str, float]], config: DictConfig) -> Record:
    """Returns everything about a training as plain values.

    Args:
        about: what trained, on which data.
        steps: optimizer steps.
        curve: a row a step, as `LearningCurve` keeps it.
        config: the whole training config.
    """
    return {
        "schema": SCHEMA,
        **about,
        "steps": steps,
        "train_loss": _ends(curve, TRAIN),
        "validation_loss": _ends(curve, VALIDATION),
        "curve": [dict(row) for row in curve],
        "versions": versions(),
        "git": git_commit(),
        "config": plain(config),
    }


def _ends(curve: Sequence[Mapping[str, float]], name: str) -> dict[str, float | None]:
    found = [row[name] for row in curve if name in row]
    return {"first": found[0], "last": found[-1]} if found else {"first": None, "last": None}


def last_loss(curve: Sequence[Mapping[str, float]]) -> float:
    """Returns the last loss on what is held out, or where nothing is, the last training loss."""
    found = [row[name] for name in (TRAIN, VALIDATION) for row in curve if name in row]
    return float(found[-1])


def print_losses(record: Record, headline: str, unit: str) -> None:
    """Prints a line, and the losses before and after.

    Args:
        record: as from `training_record`.
        headline: what was trained on what, as markup.
        unit: of a loss.
    """
    table = plain_table(f"Loss, {unit}")
    for column in ("", "before", "after"):
        table.add_column(column, justify="right" if column else "left")
    for name, ends in (("held out", record["validation_loss"]), ("training, a step's", record["train_loss"])):
        add_row(table, name, *("–" if ends[end] is None else f"{ends[end]:.4f}" for end in ("first", "last")))
    console = result_console()
    console.print(f"\n  {headline}", highlight=False)
    console.print()
    console.print(Padding(table, (0, 0, 0, 1)))


def print_notes(*notes: str) -> None:
    """Prints lines below the tables of a training."""
    console = result_console()
    console.print()
    for line in notes:
        console.print(f"  {line}", highlight=False, soft_wrap=True)
