"""What a finetuning was and came to: its record, and the table on the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from omegaconf import DictConfig
from rich.markup import escape

from laser_lit.data.example import TextSet
from laser_lit.jobs.training_record import Record, print_losses, print_notes, training_record
from laser_lit.lit.windows import Windows
from laser_lit.models.unfrozen import Unfrozen
from laser_lit.report.wording import plural
from laser_lit.tasks.language import model_id


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
    about = {
        "model": model_id(config.model),
        "data": {
            "name": text.name,
            "revision": text.revision,
            "window": windows.train.shape[1] - 1,
            "train_windows": len(windows.train),
            "held_out_windows": len(windows.held_out),
        },
        "unfrozen": asdict(unfrozen),
    }
    return training_record(about, config.finetune.steps, curve, config)


def print_finetuning(record: Record, *notes: str) -> None:
    """Prints a short table and where the model is.

    Args:
        record: as from `finetune_record`.
        notes: lines to end with.
    """
    unfrozen, data = record["unfrozen"], record["data"]
    print_losses(record, f"[bold]{escape(record['model'])}[/bold] finetuned on {data['name']}", "nats a token")
    share = unfrozen["trained"] / unfrozen["total"]
    print_notes(
        f"{plural(record['steps'], 'step')} on {plural(data['train_windows'], 'window')} of "
        f"{plural(data['window'], 'token')}, {plural(data['held_out_windows'], 'window')} held out",
        f"trained {unfrozen['trained']:,} of {unfrozen['total']:,} parameters ({share:.1%}) in "
        f"{plural(len(unfrozen['names']), 'tensor')}{'; all others are as they were' if share < 1 else ''}",
        *(f"{' and '.join(names)} are one tensor, which trained under all its names" for names in unfrozen["shared"]),
        f"model: {record['path']}",
        *notes,
    )
