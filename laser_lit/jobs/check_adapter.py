"""`reft.path=` of an evaluation: what can be said against it before anything is loaded."""

import math
from dataclasses import asdict

from omegaconf import DictConfig

from laser_lit.config_reft import ReftConfig
from laser_lit.errors import InputError

TASKS = ("language", "compare")
_USED = ("path", "strength", "name", "type")


def check_adapter(config: DictConfig) -> None:
    """Raises an error where `reft` cannot be meant, or does not go with the rest of an evaluation.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: says what was given, why it would not do what is asked, and what to do.
    """
    typed, path = _typed(config.reft), config.reft.path
    if path is None:
        typed += [] if config.reft.strength == ReftConfig.strength else [f"reft.strength={config.reft.strength}"]
        typed += [] if config.reft.name == ReftConfig.name else [f"reft={config.reft.name}"]
        if typed:
            raise InputError(
                f"{', '.join(typed)} without reft.path would count for nothing: name the folder of trained "
                "interventions, reft.path=DIR; train.py task=reft trains them"
            )
        return
    given = f"reft.path={path}"
    if typed:
        raise InputError(
            f"{given} takes everything from the folder, so {', '.join(typed)} would count for nothing; leave it out, "
            "or train with it: train.py task=reft"
        )
    if not math.isfinite(config.reft.strength):
        raise InputError(
            f"reft.strength {config.reft.strength}: must be a finite number; 1 is as trained, 0 is without"
        )
    _refuse_beside(config, given)


def _typed(reft: DictConfig) -> list[str]:
    """Returns the fields of a training that differ from what they are when nothing is typed."""
    defaults = asdict(ReftConfig())
    typed = [f"reft.{key}={reft[key]}" for key in defaults if key not in _USED and reft[key] != defaults[key]]
    return typed + ([] if reft.type == reft.name else [f"reft.type={reft.type}"])


def _refuse_beside(config: DictConfig, given: str) -> None:
    if config.task.name not in TASKS:
        known = " and ".join(f"task={name}" for name in TASKS)
        raise InputError(
            f"task={config.task.name} {given}: interventions and LoRAs are evaluated by {known}; leave it out"
        )
    if config.search.name != "none":
        raise InputError(
            f"search={config.search.name} {given}: a search keeps what the base's blocks compute and reuses it, which "
            "interventions would change. Search without reft.path, then evaluate what was found: laser=file "
            f"laser.path=…/stack.yaml {given}"
        )
    if config.export.path is not None:
        raise InputError(
            f"export.path={config.export.path} {given}: an export holds weights, and interventions are none. Export "
            f"the edits without reft.path, and give {given} where the export is evaluated"
        )
