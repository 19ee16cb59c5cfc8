"""Scoring a policy under one stack, configured or searched for."""

from omegaconf import DictConfig

from laser_lit.errors import InputError
from laser_lit.jobs.checks import check_job
from laser_lit.jobs.evaluate import run_task
from laser_lit.jobs.laser import configured_stack
from laser_lit.tasks.language import model_id
from rl.decision_transformer import load_policy
from rl.jobs.train import check_policy_config, ensure_policy
from rl.task import SokobanTask


def evaluate(config: DictConfig) -> float:
    """Returns the share of validation levels solved under the stack, after writing the run's record.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    check_policy_config(config)
    _refuse_language(config)
    check_job(config)
    laser = configured_stack(config) if config.search.name == "none" else None
    id = model_id(config.model)
    if config.model.path is None:
        config.model.path = str(ensure_policy(config))
    return run_task(SokobanTask(config, load_policy(config.model.path), id), laser, config)


def _refuse_language(config: DictConfig) -> None:
    """Raises an error for settings that are about text and would count for nothing."""
    given = {
        "reft.path": config.reft.path,
        "search.also": list(config.search.also),
        "search.guard.data": config.search.guard.data,
        "model.quantization": config.model.quantization,
    }
    for name, value in given.items():
        if value:
            raise InputError(f"{name}={value}: task=sokoban has no text; leave it out")
