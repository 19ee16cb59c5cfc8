"""What the trainings that can be killed have in common: their folder, their lock, their loggers, their end."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from transformers import PreTrainedModel

from laser_lit.config import plain
from laser_lit.errors import InputError
from laser_lit.files import write_text_atomic
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.loggers import finish_loggers, make_loggers
from laser_lit.lit.trained_model import RECORD
from laser_lit.lit.training_checkpoint import saved_step
from laser_lit.models.content import content_hash
from laser_lit.tasks.language import model_id

CHECKPOINT = "last.ckpt"


def trainings_folder(config: DictConfig) -> Path:
    """Returns the folder of all trainings of this model on this data."""
    if config.paths.results is not None:
        return Path(config.paths.results)
    return Path("results") / config.task.name / folder_name(config) / config.data.name


def folder_name(config: DictConfig) -> str:
    """Returns the model's name as a folder's."""
    return model_id(config.model).replace("/", "--")


def finished(folder: Path, target: Path) -> dict[str, Any] | None:
    """Returns the record of this training if it has ended and its model is still there."""
    for place in (folder, target):
        if (place / RECORD).is_file():
            record: dict[str, Any] = json.loads((place / RECORD).read_text(encoding="utf-8"))
            if record.get("hash") == folder.name and (Path(record["path"]) / RECORD).is_file():
                return record
    return None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps a second process from the same training; a kill lets go."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"another process is at this very training, in {folder}; wait for it") from error


def announce(training: Finetuning) -> None:
    """Prints where a training begins and where its checkpoint is."""
    step, folder = saved_step(training.checkpoint), training.checkpoint.parent
    begins = f"goes on after step {step:,} of {training.settings.steps:,}" if step else "begins"
    print(f"training {begins}; its checkpoint is kept in {folder}", flush=True)  # noqa: T201


def training_loggers(config: DictConfig) -> list[Logger]:
    """Returns the loggers of a training, with its config."""
    name = f"{config.task.name} {model_id(config.model)} {config.data.name}"
    loggers = make_loggers(config.logger, Path(config.paths.output), name)
    for logger in loggers:
        logger.log_hyperparams(plain(config))
    return loggers


def finish_training(
    config: DictConfig,
    folder: Path,
    record: dict[str, Any],
    loggers: Sequence[Logger],
    show: Callable[[dict[str, Any]], None],
) -> None:
    """Writes the record, removes the checkpoint, and prints what came of the training."""
    text = json.dumps(record, indent=2, allow_nan=False)
    for place in (folder, Path(config.paths.output)):
        write_text_atomic(place / RECORD, text)
    (folder / CHECKPOINT).unlink(missing_ok=True)  # the model has its weights
    show(record)
    for line in finish_loggers(list(loggers)):
        print(line)  # noqa: T201


def what_is(model: PreTrainedModel) -> dict[str, Any]:
    """Returns what the base is: its weights, and what is made of them."""
    about = ("_name_or_path", "transformers_version", "dtype", "architectures")
    shape = {name: str(value) for name, value in model.config.to_diff_dict().items() if name not in about}
    return {"model": content_hash(model), "architecture": shape}
