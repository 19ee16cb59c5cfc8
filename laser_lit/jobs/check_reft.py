"""What can be said against a training of interventions before anything is loaded."""

from omegaconf import DictConfig

from laser_lit.config_reft import ReftConfig
from laser_lit.errors import InputError
from laser_lit.jobs.check_training import PRECISIONS, check_choices, check_devices, check_folders, check_numbers
from laser_lit.jobs.checks import check_model
from laser_lit.lit.finetune import SCHEDULES
from laser_lit.lit.trainees import LORA, interventions_of
from laser_lit.reft.methods import FORMS

SPLITS = ("validation", "all")
_LEAST = {"steps": 1, "batch_size": 1, "accumulate": 1, "save_every": 1, "rank": 1, "new_tokens": 1}
_LEAST |= {"max_length": 2, "show": 0, "weight_decay": 0}
_POSITIVE = ("epochs", "learning_rate", "clip", "alpha")
_LORA_ONLY = ("alpha", "matrices")


def check_reft(config: DictConfig, settings: ReftConfig) -> None:
    """Raises an error where a training's values cannot be meant or do not go together.

    Args:
        config: the whole training config.
        settings: its `reft`, as plain values.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    allowed = {"type": (*FORMS, LORA), "schedule": tuple(SCHEDULES), "precision": PRECISIONS, "split": SPLITS}
    check_choices("reft", settings, allowed)
    check_numbers("reft", settings, _LEAST, _POSITIVE, ("holdout", "warmup"), config.seed)
    if settings.strength != 1:
        raise InputError(f"reft.strength {settings.strength}: counts in evaluate.py only; training is at strength 1")
    _check_type(settings)
    if config.laser.name != "none":
        raise InputError(
            f"laser={config.laser.name}: task=reft trains on the unedited model, so that it would count for nothing; "
            "leave it out, and give it to evaluate.py beside reft.path, which scores both together"
        )
    check_model(config)
    check_devices(config, "reft")
    check_folders(config, "reft")


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
