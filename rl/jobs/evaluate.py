"""Scoring a policy under one stack, configured or searched for."""

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from laser_lit.edits.manifest import manifest_content
from laser_lit.errors import InputError
from laser_lit.jobs.checks import check_job
from laser_lit.jobs.evaluate import run_task
from laser_lit.jobs.laser import ConfiguredStack, configured_stack
from laser_lit.lit.trainer import make_trainer
from laser_lit.tasks.language import model_id
from rl.data import solved_levels
from rl.decision_transformer import load_policy
from rl.jobs.train import MODEL, check_policy_config, ensure_policy
from rl.task import NO_LOGITS, SokobanTask

TEXT = {"scoring": "strict", "split": "group", "padding": "right", "max_length": None, "normalize_choices": False}
"""Fields of the config that are about text alone, and their defaults."""


def evaluate(config: DictConfig) -> float:
    """Returns the share of validation levels solved under the stack, after writing the run's record.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    check_policy_config(config)
    _check_model(config)
    _refuse_language(config)
    _check_processes(config)
    check_job(config)
    laser = configured_stack(config) if config.search.name == "none" else None
    id = model_id(config.model)
    if config.model.path is None:
        solved_levels(config.data, "test")  # too few of them are an error before a training of minutes, not after it
        config.model.path = str(ensure_policy(config))
    policy = load_policy(config.model.path)
    if config.policy.target_return is not None and not policy.shape.conditioned:
        raise InputError(
            f"policy.target_return={config.policy.target_return}: this policy clones behaviour and is told no return; "
            "leave it out"
        )
    task = SokobanTask(config, policy, id)
    return run_task(task, None if laser is None else _with_its_policy(laser, task, config), config)


def _with_its_policy(laser: ConfiguredStack, task: SokobanTask, config: DictConfig) -> ConfiguredStack:
    """Returns the stack, with a note where it was saved by a run on another policy; all of them have one name."""
    folder = config.laser["from"]
    path = config.laser.path if folder is None else Path(folder) / "stack.yaml"
    made_for = None if path is None else manifest_content(Path(path))
    if made_for in (None, task.content()["model"]):
        return laser
    return replace(laser, notes=(*laser.notes, f"{path} was made for another policy than this one"))


def _check_model(config: DictConfig) -> None:
    if config.model.name != MODEL and config.model.path is None:
        raise InputError(
            f"model={config.model.name}: task=sokoban plays by a policy; leave model= out, or give the folder of one, "
            "model.path=DIR"
        )


def _refuse_language(config: DictConfig) -> None:
    """Raises an error for settings that are about text and would count for nothing."""
    given = {
        "reft.path": config.reft.path,
        "search.also": list(config.search.also),
        "search.guard.data": config.search.guard.data,
        "model.quantization": config.model.quantization,
        "model.device_map": config.model.device_map,
    } | {name: config[name] for name, default in TEXT.items() if config[name] != default}
    for name, value in given.items():
        if value:
            raise InputError(f"{name}={value}: task=sokoban has no text; leave it out")
    if config.model.name in (MODEL, "local") and config.model.dtype not in ("auto", "float32"):
        raise InputError(f"model.dtype={config.model.dtype}: policies are scored in float32; leave it out")
    if config.controls:
        raise InputError(f"controls=true: {NO_LOGITS}; leave it out")
    if config.export.format == "factored":
        raise InputError("export.format=factored: a policy is read back with whole matrices; use export.format=dense")
    for name in ("laser", "search"):
        if config[name].decomposition == "whitened":
            raise InputError(f"{name}.decomposition=whitened: needs a text, which task=sokoban has none of; use svd")


def _check_processes(config: DictConfig) -> None:
    if make_trainer(config.trainer).world_size > 1:
        raise InputError(
            f"trainer.devices={config.trainer.devices}: task=sokoban is evaluated in one process; use trainer.devices=1"
        )
