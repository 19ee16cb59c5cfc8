"""What the trainings beside a frozen model have in common: length, what decides them, the folder that they write."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xxhash
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from torch import nn

from laser_lit.config_finetune import FinetuneConfig
from laser_lit.config_reft import ReftConfig
from laser_lit.errors import InputError
from laser_lit.files import new_folder
from laser_lit.jobs.training import TrainingJob, run_training
from laser_lit.jobs.training_identity import training_title
from laser_lit.jobs.training_record import Record
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.learning_curve import Curve
from laser_lit.lit.trained_model import RECORD
from laser_lit.lit.trainees import Trainee
from laser_lit.scoring.inputs import context_length
from laser_lit.tasks.language import model_id

_NO_MATTER = ("name", "path", "strength", "epochs", "show", "new_tokens", "save_every")
"""Settings that do not change what is trained, or are in the number of steps."""


def token_limit(config: DictConfig, settings: ReftConfig, model: nn.Module) -> int | None:
    """Returns how many tokens an example may have; None: any number.

    Raises:
        InputError: more than the model takes.
    """
    limit, length = context_length(model), settings.max_length
    if length is not None and limit is not None and length > limit:
        raise InputError(f"reft.max_length {length}: model {model_id(config.model)} takes at most {limit} tokens")
    return limit if length is None else length


def training_plan(settings: ReftConfig, examples: int, processes: int) -> FinetuneConfig:
    """Returns the settings of the training itself, with epochs as steps.

    Where epochs count, no step takes more than all examples once: ten epochs of four examples are ten steps.

    Args:
        settings: checked.
        examples: number of those trained on.
        processes: that train together.
    """
    parts = settings.accumulate * processes
    size = settings.batch_size if settings.steps else min(settings.batch_size, max(1, examples // parts))
    steps = settings.steps or max(1, math.ceil(settings.epochs * examples / (size * parts)))
    return FinetuneConfig(
        steps=steps,
        batch_size=size,
        accumulate=settings.accumulate,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup=round(settings.warmup * steps),
        schedule=settings.schedule,
        clip=settings.clip,
        precision=settings.precision,
        gradient_checkpointing=settings.gradient_checkpointing,
        save_every=settings.save_every or max(1, steps // 10),
    )


def what_decides(
    settings: ReftConfig, plan: FinetuneConfig, about: dict[str, Any], rows: tuple[Any, ...], seed: int, processes: int
) -> dict[str, Any]:
    """Returns everything that decides what is trained.

    Args:
        settings: checked.
        plan: as from `training_plan`.
        about: the model, as from `what_is`.
        rows: everything that is trained on and looked at, in types whose `repr` says all.
        seed: of the training.
        processes: that train together.
    """
    said = {name: value for name, value in asdict(settings).items() if name not in _NO_MATTER}
    digest = xxhash.xxh3_128_hexdigest(repr(rows).encode())
    return {"reft": said, "steps": plan.steps, **about, "pairs": digest, "seed": seed, "processes": processes}


def train_beside(
    config: DictConfig,
    trainee: Trainee,
    training: Finetuning,
    *,
    folder_name: str,
    lead: Callable[[Sequence[Logger]], Record],
    show: Callable[..., None],
) -> float:
    """Returns the loss that a training beside a frozen model ended with.

    Args:
        config: the whole training config.
        trainee: what trains.
        training: as in `run_training`.
        folder_name: of what is published, before the type of what trains.
        lead: as in `TrainingJob`, and so is `show`.
        show: see there.
    """

    def follow() -> Curve:
        with trainee.attached():
            return training.fit(trainee.model, config.trainer, (), trainee.reft)

    job = TrainingJob(
        title=training_title(config),
        folder_name=f"{folder_name}-{trainee.type}",
        lead=lead,
        follow=follow,
        publish=lambda target, record: _publish(target, trainee, record),
        show=show,
    )
    return run_training(config, training, job)


@contextmanager
def trained(config: DictConfig, trainee: Trainee, training: Finetuning, loggers: Sequence[Logger]) -> Iterator[Curve]:
    """Trains, and keeps what was trained attached, with the weights of the checkpoint and in eval mode.

    Args:
        config: the whole training config.
        trainee: what trains.
        training: its length, data and checkpoint.
        loggers: where the losses go.
    """
    with trainee.attached():
        curve = training.fit(trainee.model, config.trainer, loggers, trainee.reft)
        trainee.take(training.checkpoint)
        trainee.model.eval()
        if trainee.reft is not None:
            trainee.reft.eval()
        yield curve


def _publish(target: Path, trainee: Trainee, record: Record) -> None:
    """Writes the folder of what was trained, with the training's record; all of it or nothing."""
    with new_folder(target) as folder:
        inner = folder / "trained"
        trainee.save(inner)
        for file in inner.iterdir():
            file.rename(folder / file.name)
        inner.rmdir()
        (folder / RECORD).write_text(json.dumps(record, indent=2, allow_nan=False), encoding="utf-8")
