"""What can be said against a finetuning before anything is loaded."""

from pathlib import Path

from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from omegaconf import DictConfig

from laser_lit.errors import InputError, unknown_name
from laser_lit.files import check_apart, check_new_folder
from laser_lit.jobs.checks import check_folder, check_model
from laser_lit.lit.finetune import SCHEDULES
from laser_lit.lit.trained_model import RECORD
from laser_lit.lit.trainer import make_trainer
from laser_lit.models.unfrozen import read_unfrozen

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true")
_LEAST = {"steps": 1, "batch_size": 1, "accumulate": 1, "save_every": 1, "window": 2, "warmup": 0}


def check_finetune(config: DictConfig) -> tuple[str, ...] | None:
    """Returns the patterns of what trains (None: everything), having checked the config as far as that goes.

    Args:
        config: the whole training config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    settings = config.finetune
    _check_numbers(config)
    for name, allowed in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
        if settings[name] not in allowed:
            raise unknown_name(f"finetune.{name}", settings[name], allowed)
    if config.model.facts is not None or config.data.world is not None:
        raise InputError(
            f"task=finetune trains on text, and model={config.model.name} data={config.data.name} are questions and a "
            "model of the built-in world; give model=local model.path=DIR data=text data.path=FILE "
            "(python train.py alone trains the built-in model)"
        )
    check_model(config)
    check_devices(config, "finetune")
    for name, folder in (("paths.results", config.paths.results), ("paths.output", config.paths.output)):
        if folder is not None:
            check_folder(name, Path(folder))
    if settings.path is not None:
        check_apart("finetune.path", Path(settings.path), Path(config.paths.results or f"results/{config.task.name}"))
        if not (Path(settings.path) / RECORD).is_file():  # else the run may be this one
            check_new_folder("finetune.path", Path(settings.path))
    return None if settings.unfrozen is None else read_unfrozen(settings.unfrozen)


def _check_numbers(config: DictConfig) -> None:
    settings = config.finetune
    for name, least in _LEAST.items():
        if settings[name] is not None and settings[name] < least:
            raise InputError(f"finetune.{name} {settings[name]}: must be at least {least}")
    if config.seed < 0:
        raise InputError(f"seed {config.seed}: must be at least 0")
    for name in ("learning_rate", "clip"):
        if settings[name] is not None and not 0 < settings[name] < float("inf"):
            raise InputError(f"finetune.{name} {settings[name]}: must be above 0")
    if not 0 <= settings.weight_decay < float("inf"):
        raise InputError(f"finetune.weight_decay {settings.weight_decay}: must be at least 0")
    if not 0 <= settings.holdout < 1:
        raise InputError(f"finetune.holdout {settings.holdout}: must lie in [0, 1)")


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
