"""What can be said against a finetuning before anything is loaded."""

from omegaconf import DictConfig

from laser_lit.errors import InputError
from laser_lit.jobs.check_training import PRECISIONS, check_choices, check_devices, check_folders, check_numbers
from laser_lit.jobs.checks import check_model
from laser_lit.lit.finetune import SCHEDULES
from laser_lit.models.unfrozen import read_unfrozen

_LEAST = {"steps": 1, "batch_size": 1, "accumulate": 1, "save_every": 1, "window": 2, "warmup": 0}
_LEAST |= {"weight_decay": 0}


def check_finetune(config: DictConfig) -> tuple[str, ...] | None:
    """Returns the patterns of what trains (None: everything), having checked the config as far as that goes.

    Args:
        config: the whole training config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    settings = config.finetune
    positive, shares = ("learning_rate", "clip"), ("holdout",)
    check_numbers("finetune", settings, _LEAST, positive, shares, config.seed)
    check_choices("finetune", settings, {"schedule": tuple(SCHEDULES), "precision": PRECISIONS})
    if config.model.facts is not None or config.data.world is not None:
        raise InputError(
            f"task=finetune trains on text, and model={config.model.name} data={config.data.name} are questions and a "
            "model of the built-in world; give model=local model.path=DIR data=text data.path=FILE "
            "(python train.py alone trains the built-in model)"
        )
    check_model(config)
    check_devices(config, "finetune")
    check_folders(config, "finetune")
    return None if settings.unfrozen is None else read_unfrozen(settings.unfrozen)
