"""What can be said against a training of interventions before anything is loaded."""

from pathlib import Path

from omegaconf import DictConfig

from laser_lit.config_reft import ReftConfig
from laser_lit.errors import InputError, unknown_name
from laser_lit.files import check_apart, check_new_folder
from laser_lit.jobs.check_finetune import PRECISIONS, check_devices
from laser_lit.jobs.checks import check_folder, check_model
from laser_lit.lit.finetune import SCHEDULES
from laser_lit.lit.trained_model import RECORD
from laser_lit.lit.trainees import LORA, interventions_of
from laser_lit.reft.methods import FORMS

SPLITS = ("validation", "all")
_LEAST = {"steps": 1, "batch_size": 1, "accumulate": 1, "save_every": 1, "rank": 1, "new_tokens": 1}
_LEAST |= {"max_length": 2, "show": 0, "weight_decay": 0}
_LORA_ONLY = ("alpha", "matrices")


def check_reft(config: DictConfig, settings: ReftConfig) -> None:
    """Raises an error where a training's values cannot be meant or do not go together.

    Args:
        config: the whole training config.
        settings: its `reft`, as plain values.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    for name, allowed in (
        ("type", (*FORMS, LORA)),
        ("schedule", tuple(SCHEDULES)),
        ("precision", PRECISIONS),
        ("split", SPLITS),
    ):
        if getattr(settings, name) not in allowed:
            raise unknown_name(f"reft.{name}", getattr(settings, name), allowed)
    _check_numbers(config, settings)
    _check_type(settings)
    if config.laser.name != "none":
        raise InputError(
            f"laser={config.laser.name}: task=reft trains on the unedited model, so that it would count for nothing; "
            "leave it out, and give it to evaluate.py beside reft.path, which scores both together"
        )
    check_model(config)
    check_devices(config, "reft")
    for name, folder in (("paths.results", config.paths.results), ("paths.output", config.paths.output)):
        if folder is not None:
            check_folder(name, Path(folder))
    if settings.path is not None:
        check_apart("reft.path", Path(settings.path), Path(config.paths.results or f"results/{config.task.name}"))
        if not (Path(settings.path) / RECORD).is_file():  # else the run may be this one
            check_new_folder("reft.path", Path(settings.path))


def _check_numbers(config: DictConfig, settings: ReftConfig) -> None:
    for name, least in _LEAST.items():
        value = getattr(settings, name)
        if value is not None and not least <= value < float("inf"):
            raise InputError(f"reft.{name} {value}: must be at least {least}")
    if config.seed < 0:
        raise InputError(f"seed {config.seed}: must be at least 0")
    for name in ("epochs", "learning_rate", "clip", "alpha"):
        value = getattr(settings, name)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"reft.{name} {value}: must be above 0")
    for name in ("holdout", "warmup"):
        if not 0 <= getattr(settings, name) < 1:
            raise InputError(f"reft.{name} {getattr(settings, name)}: must lie in [0, 1)")
    if settings.strength != 1:
        raise InputError(f"reft.strength {settings.strength}: counts in evaluate.py only; training is at strength 1")


def _check_type(settings: ReftConfig) -> None:
    default = ReftConfig()
    if settings.type == LORA:
        if settings.interventions:
            raise InputError("reft.interventions beside reft.type=lora: leave one of them out")
        if not 0 <= settings.dropout < 1:
            raise InputError(f"reft.dropout {settings.dropout}: must lie in [0, 1)")
        return
    typed = [name for name in _LORA_ONLY if getattr(settings, name) != getattr(default, name)]
    if typed:
        raise InputError(
            f"reft.{typed[0]} counts for a LoRA only, and reft.type={settings.type}; say reft=lora, or leave it out"
        )
    interventions_of(settings)
