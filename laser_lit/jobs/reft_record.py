"""What a training of interventions was and came to: its record, and the table on the terminal."""

from collections.abc import Mapping, Sequence

from omegaconf import DictConfig
from rich.markup import escape
from rich.padding import Padding

from laser_lit.config_reft import ReftConfig
from laser_lit.data.example import ExampleSet
from laser_lit.jobs.training_record import Record, print_losses, print_notes, training_record
from laser_lit.lit.learning_curve import TRAIN
from laser_lit.lit.pairs import Pairs
from laser_lit.lit.trainees import LORA, Trainee
from laser_lit.report.terminal import add_row, plain_table, result_console
from laser_lit.tasks.language import model_id


def reft_record(
    examples: ExampleSet,
    pairs: Pairs,
    trainee: Trainee,
    steps: int,
    curve: Sequence[Mapping[str, float]],
    config: DictConfig,
) -> Record:
    """Returns everything about a training as plain values.

    Args:
        examples: the data set.
        pairs: what of it was trained on.
        trainee: what trained.
        steps: optimizer steps.
        curve: a row a step, as `LearningCurve` keeps it.
        config: the whole training config.
    """
    about = {
        "model": model_id(config.model),
        "data": {"name": examples.name, "revision": examples.revision, "split": config.reft.split, **pairs.counts},
        "type": trainee.type,
        "interventions": [] if trainee.reft is None else [said.describe() for said in trainee.reft.interventions],
        "parameters": trainee.parameters,
        "model_parameters": trainee.total,
        "shown": [],
    }
    return training_record(about, steps, curve, config)


def parameters_line(record: Record) -> str:
    """Returns what trains, in numbers, as ReFT's walkthrough prints it."""
    trained, total = record["parameters"], record["model_parameters"]
    return (
        f"trainable parameters: {trained:,} || model parameters: {total:,} || trainable %: {100 * trained / total:.4g}"
    )


def _course(curve: Sequence[Mapping[str, float]], points: int = 10) -> str:
    """Returns the training loss at some steps from the first to the last, as text."""
    rows = [row for row in curve if TRAIN in row]
    count = min(points, len(rows))
    chosen = [rows[round(i * (len(rows) - 1) / max(1, count - 1))] for i in range(count)]
    return " · ".join(f"{row['step']:,.0f} {row[TRAIN]:.4g}" for row in chosen)


def print_reft_losses(record: Record, unit: str) -> None:
    """Prints what trained on which model, and the losses before and after.

    Args:
        record: as from `reft_record`.
        unit: of a loss.
    """
    type, model = escape(record["type"]), escape(record["model"])
    headline = f"[bold]{type}[/bold] on [bold]{model}[/bold], trained on {record['data']['name']}"
    print_losses(record, headline, unit)


def print_reft(record: Record, *notes: str) -> None:
    """Prints what trained, the losses, the answers before and after, and where the folder is.

    Args:
        record: as from `reft_record`.
        notes: lines to end with.
    """
    print_reft_losses(record, "nats a token of the answers")
    if record["shown"]:
        shown = plain_table("Answers before and after")
        for column in ("prompt", "taught", "before", "after"):
            shown.add_column(column)
        for row in record["shown"]:
            add_row(shown, *(row[name] for name in ("prompt", "taught", "before", "after")))
        result_console().print(Padding(shown, (1, 0, 0, 1)))
    print_ends(record, *_unused_settings(record), *notes)


def _unused_settings(record: Record) -> list[str]:
    """Returns a note of what was set for interventions and counts for nothing in a LoRA; none where nothing was."""
    given, default = record["config"]["reft"], ReftConfig()
    names = [name for name in ("positions", "share", "component", "act_fn") if given[name] != getattr(default, name)]
    if record["type"] != LORA or not names:
        return []
    return [f"not used, since a LoRA has no places or activations: {', '.join(f'reft.{name}' for name in names)}"]


def print_ends(record: Record, *notes: str) -> None:
    """Prints how much trained on how much, and where the folder is.

    Args:
        record: as from `reft_record`.
        notes: lines to end with.
    """
    data = record["data"]
    print_notes(
        parameters_line(record),
        f"loss by step: {_course(record['curve'])}",
        f"{record['steps']:,} steps on {data['train']:,} examples ({data['split']}), {data['held_out']:,} held out",
        f"folder: {record['path']}",
        *notes,
    )
