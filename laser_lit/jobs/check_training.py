"""What can be said against any training before anything is loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from omegaconf import DictConfig

from laser_lit.errors import InputError, unknown_name
from laser_lit.files import check_apart, check_new_folder
from laser_lit.jobs.checks import check_folder
from laser_lit.lit.trained_model import RECORD
from laser_lit.lit.trainer import make_trainer

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true")


def check_choices(group: str, settings: Any, allowed: Mapping[str, Sequence[str]]) -> None:
    """Raises an error for a setting that is none of its allowed values.

    Args:
        group: config group, as typed.
        settings: of the group.
        allowed: values by the setting's name.
    """
    for name, values in allowed.items():
        if getattr(settings, name) not in values:
            raise unknown_name(f"{group}.{name}", getattr(settings, name), values)


def check_numbers(
    group: str, settings: Any, least: Mapping[str, float], positive: Sequence[str], shares: Sequence[str], seed: int
) -> None:
    """Raises an error for numbers that cannot be meant; null counts for nothing.

    Args:
        group: config group, as typed.
        settings: of the group.
        least: smallest value by the setting's name.
        positive: settings above 0.
        shares: settings in [0, 1).
        seed: of the training.
    """
    for name, smallest in least.items():
        value = getattr(settings, name)
        if value is not None and not smallest <= value < float("inf"):
            raise InputError(f"{group}.{name} {value}: must be at least {smallest}")
    if seed < 0:
        raise InputError(f"seed {seed}: must be at least 0")
    for name in positive:
        value = getattr(settings, name)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{group}.{name} {value}: must be above 0")
    for name in shares:
        if not 0 <= getattr(settings, name) < 1:
            raise InputError(f"{group}.{name} {getattr(settings, name)}: must lie in [0, 1)")


def check_devices(config: DictConfig, task: str) -> None:
    """Raises an error for devices that are not there, or that would hold a part of the model each.

    Args:
        config: the whole training config.
        task: which training, as typed after `task=`.
    """
    if config.model.device_map is not None:
        raise InputError(
            f"model.device_map={config.model.device_map}: task={task} holds the model whole on each device; leave it "
            f"out, and save memory with {task}.precision=bf16-true or {task}.gradient_checkpointing=true"
        )
    strategy = make_trainer(config.trainer).strategy  # raises for devices that are not there
    if not isinstance(strategy, SingleDeviceStrategy | DDPStrategy):
        raise InputError(
            f"trainer.strategy={config.trainer.strategy} shards the model, and task={task} holds it whole on each "
            "device; use trainer=default or trainer=ddp"
        )


def check_folders(config: DictConfig, group: str) -> None:
    """Raises an error for folders that cannot be written, or that are in use.

    Args:
        config: the whole training config.
        group: config group that has the `path` to publish in.
    """
    for name, folder in (("paths.results", config.paths.results), ("paths.output", config.paths.output)):
        if folder is not None:
            check_folder(name, Path(folder))
    path = config[group].path
    if path is not None:
        check_apart(f"{group}.path", Path(path), Path(config.paths.results or f"results/{config.task.name}"))
        if not (Path(path) / RECORD).is_file():  # else the run may be this one
            check_new_folder(f"{group}.path", Path(path))
