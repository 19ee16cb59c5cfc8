"""What can be said against a config before anything is loaded, trained or written."""

import os
from pathlib import Path
from typing import get_args

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch import Trainer
from omegaconf import DictConfig

from laser_lit.data.split import MODES
from laser_lit.errors import InputError, unknown_name
from laser_lit.jobs.check_adapter import check_adapter
from laser_lit.jobs.check_analysis import check_analysis
from laser_lit.jobs.check_quantization import check_quantization
from laser_lit.jobs.check_search import check_search
from laser_lit.jobs.export import check_export
from laser_lit.lit.trainer import make_trainer
from laser_lit.scoring.batches import Side
from laser_lit.scoring.request import check_protocol


def check_evaluation(config: DictConfig) -> None:
    """Raises an error where the values of a language model's evaluation cannot be meant or do not go together.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    if config.max_length is not None and config.max_length < 2:
        raise InputError(f"max_length {config.max_length}: must be at least 2")
    check_protocol(config.scoring)
    for name, value, allowed in (("split", config.split, MODES), ("padding", config.padding, get_args(Side))):
        if value not in allowed:
            raise unknown_name(name, value, allowed)
    check_model(config)
    check_adapter(config)
    check_job(config)


def check_job(config: DictConfig) -> None:
    """Raises an error where values that the evaluation of any task has cannot be meant or do not go together.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    for name, least in (("batch_size", 1), ("seed", 0)):
        if config[name] < least:
            raise InputError(f"{name} {config[name]}: must be at least {least}")
    check_search(config, _check_processes(config))
    check_analysis(config)
    check_export(config)
    for name in ("results", "output"):
        if config.paths[name] is not None:
            check_folder(f"paths.{name}", Path(config.paths[name]))


def check_model(config: DictConfig) -> None:
    """Raises an error for a model without a place, or one that does not go with the data.

    Args:
        config: the whole config.

    Raises:
        InputError: see above.
    """
    check_quantization(config)
    if config.data.levels is not None:
        raise InputError(
            f"model={config.model.name} data={config.data.name}: levels of Sokoban are played by task=sokoban; add it"
        )
    if config.model.path is None and config.model.facts is None:
        raise InputError(
            f"model={config.model.name} needs model.path=DIR, a folder in transformers' format or a hub id"
        )
    if (config.model.facts is None) != (config.data.world is None):
        raise InputError(
            f"model={config.model.name} data={config.data.name}: the built-in model knows the words of the built-in "
            "data and nothing else; use model=facts with data=facts, and model=facts model.path=DIR for an export of it"
        )


def check_folder(name: str, folder: Path) -> None:
    """Raises an error for a folder that is not there and cannot be made, or cannot be written to; makes nothing.

    Args:
        name: as typed.
        folder: where files are to go.

    Raises:
        InputError: names the part of the path that is at fault.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{name}={folder}: {there} is a file, so that no folder can be made there")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{name}={folder}: {there} cannot be written to; name another folder")


def _check_processes(config: DictConfig) -> int:
    """Returns how many processes score together."""
    settings = config.trainer
    trainer = make_trainer(settings)  # raises for devices that are not there
    typed = f"trainer.devices={settings.devices} trainer.strategy={settings.strategy}"
    if trainer.world_size > 1 and config.model.device_map is not None:
        raise InputError(
            f"model.device_map={config.model.device_map} with {typed}: either one process spreads the model over the "
            "devices, or several hold a copy each; leave one of them out"
        )
    if trainer.world_size > 1 and _is_job_of_a_sweep() and not _started_from_outside(trainer):
        raise InputError(
            f"-m with {typed}: Lightning cannot start processes from within a job of a sweep. Use one device a job "
            "(hydra/launcher=joblib runs several jobs at once: pip install 'laser_lit[launch]'), or a launcher that "
            "starts all processes of a job itself, as hydra/launcher=submitit_slurm with tasks_per_node"
        )
    return int(trainer.world_size)


def _is_job_of_a_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _started_from_outside(trainer: Trainer) -> bool:
    environment = getattr(trainer.strategy, "cluster_environment", None)
    return environment is not None and environment.creates_processes_externally
