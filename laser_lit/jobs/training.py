"""A training from its beginning, or where it was killed, to the folder of what it made; whatever it is that trains."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from laser_lit.config import plain
from laser_lit.config_logger import ADAPTER, MODEL
from laser_lit.errors import InputError
from laser_lit.files import check_new_folder, new_folder, write_text_atomic
from laser_lit.jobs.training_record import Record, last_loss
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.learning_curve import Curve
from laser_lit.lit.loggers import finish_loggers, make_loggers
from laser_lit.lit.trained_model import RECORD
from laser_lit.lit.trainer import make_trainer
from laser_lit.lit.training_checkpoint import saved_step
from laser_lit.report.wandb_training import log_training

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class TrainingJob:
    """What one kind of training does in its own way.

    Attributes:
        title: the run's name in loggers.
        folder_name: of what is published, beside the checkpoint, where the config has no path.
        lead: trains in the first process, with these loggers, and returns the record.
        follow: trains in each other process, and leaves the checkpoint alone, which the first one removes in the end.
        publish: writes the folder of what was trained, the record in it; all of it or nothing.
        show: prints a record, and notes below it.
    """

    title: str
    folder_name: str
    lead: Callable[[Sequence[Logger]], Record]
    follow: Callable[[], Curve]
    publish: Callable[[Path, Record], None]
    show: Callable[..., None]


def run_training(config: DictConfig, training: Finetuning, job: TrainingJob) -> float:
    """Returns the loss on what is held out, or where nothing is, that of the last step.

    A finished training is not repeated; what it made is copied where another path is typed.

    Args:
        config: the whole training config; its group `training.group` has the `path` to publish in.
        training: its checkpoint lies in a folder that is named by the hash of all that decides the training.
        job: the rest.

    Raises:
        InputError: a folder in use, or another process at the same training.
    """
    folder, path = training.checkpoint.parent, config[training.group].path
    target = (folder / job.folder_name if path is None else Path(path)).resolve()
    known = _finished(folder, target)
    if known is not None:
        training.checkpoint.unlink(missing_ok=True)  # a kill right after the folder was published left it
        if path is not None and make_trainer(config.trainer).is_global_zero:
            _copy(training.group, known, target)
        made = dict.fromkeys([known["path"], *([] if path is None else [str(target)])])
        job.show(known, f"trained before; remove {' and '.join(made)} to train again")
        return last_loss(known["curve"])
    check_new_folder(f"{training.group}.path", target)
    if not make_trainer(config.trainer).is_global_zero:
        return last_loss(job.follow())
    with _alone(folder):
        _announce(training)
        loggers = _loggers(config, job.title)
        record = job.lead(loggers) | {"hash": folder.name, "path": str(target)}
        job.publish(target, record)
        _keep(config, training, record)
        job.show(record)
        kind = ADAPTER if training.group == "reft" else MODEL
        log_training(loggers, record, target, kind, str(record["model"]), config.logger.artifacts)
        for line in finish_loggers(loggers):
            print(line)  # noqa: T201
    return last_loss(record["curve"])


def _finished(folder: Path, target: Path) -> Record | None:
    """Returns the record of this training if it has ended and what it published is still there."""
    for place in (folder, target):
        if (place / RECORD).is_file():
            record: Record = json.loads((place / RECORD).read_text(encoding="utf-8"))
            if record.get("hash") == folder.name and (Path(record["path"]) / RECORD).is_file():
                return record
    return None


def _copy(group: str, known: Record, target: Path) -> None:
    """Copies what a finished training made to another folder, unless that has it."""
    made, there = Path(known["path"]), target / RECORD
    if there.is_file() and json.loads(there.read_text(encoding="utf-8")).get("hash") == known["hash"]:
        return
    check_new_folder(f"{group}.path", target)
    if made in target.parents:
        raise InputError(f"{group}.path={target}: lies in {made}, which is to be copied there; name a folder beside it")
    with new_folder(target) as folder:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        write_text_atomic(folder / RECORD, _as_json(known | {"path": str(target)}))
    print(f"copied from {made} to {target}")  # noqa: T201


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second process from the same training; a kill lets go."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"another process is at this very training, in {folder}; wait for it") from error


def _announce(training: Finetuning) -> None:
    """Prints where a training begins and where its checkpoint is."""
    step, folder = saved_step(training.checkpoint), training.checkpoint.parent
    begins = f"goes on after step {step:,} of {training.settings.steps:,}" if step else "begins"
    print(f"training {begins}; its checkpoint is kept in {folder}", flush=True)  # noqa: T201


def _loggers(config: DictConfig, title: str) -> list[Logger]:
    """Returns the loggers of a training, with its config."""
    loggers = make_loggers(config.logger, Path(config.paths.output), title, f"{config.task.name}-training")
    for logger in loggers:
        logger.log_hyperparams(plain(config))
    return loggers


def _keep(config: DictConfig, training: Finetuning, record: Record) -> None:
    """Writes the record, and removes the checkpoint, whose weights are published."""
    for place in (training.checkpoint.parent, Path(config.paths.output)):
        write_text_atomic(place / RECORD, _as_json(record))
    training.checkpoint.unlink(missing_ok=True)


def _as_json(record: Record) -> str:
    return json.dumps(record, indent=2, allow_nan=False)
