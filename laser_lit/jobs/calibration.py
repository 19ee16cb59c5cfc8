"""What whitened edits are calibrated on: text of `laser.calibration`, of which the test split is never read."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from laser_lit.config_data import DataConfig, config_folder
from laser_lit.data.example import TextSet
from laser_lit.data.registry import load_data, named_config
from laser_lit.edits.row import AppliedEdit
from laser_lit.errors import InputError
from laser_lit.jobs.laser import ConfiguredStack
from laser_lit.scoring.covariance import Calibration, drawn
from laser_lit.search.space import Space
from laser_lit.tasks.base import Task
from laser_lit.tasks.language import LanguageTask
from laser_lit.tasks.several import SeveralTasks

NAMED = 12
"""Most matrices that a note names; stack.yaml has the ridge of each."""


def calibrated(laser: ConfiguredStack, task: Task, config: DictConfig) -> ConfiguredStack:
    """Returns the stack with its whitened edits settled: the text is read once, before anything is scored.

    Args:
        laser: the stack.
        task: with the model.
        config: the whole evaluation config.

    Raises:
        InputError: no text, or a matrix whose inputs cannot be seen.
    """
    if laser.stack is None or not laser.stack.uncalibrated:
        return laser
    stack = laser.stack.provided(calibration=calibration_of(task, config))
    rows = stack.resolve(task.matrices)
    return replace(laser, stack=stack.settled(rows), notes=(*laser.notes, *_ridged(rows)))


def _ridged(rows: Sequence[AppliedEdit]) -> tuple[str, ...]:
    """Returns a note of the matrices whose inputs on the text do not fill their space; none where there are none."""
    names = [f"layer {row.layer} {row.matrix}" for row in rows if row.basis is not None and row.basis.ridge > 0]
    if not names:
        return ()
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return (f"the calibration text leaves directions of the inputs out, where a ridge stands in for it: {listed}",)


def calibration_of_search(task: Task, space: Space, config: DictConfig) -> Calibration | None:
    """Returns what the candidates of a search are calibrated on; None where none is whitened.

    Args:
        task: with the model.
        space: the candidates.
        config: the whole evaluation config.

    Raises:
        InputError: no text.
    """
    whitened = [edit for edit in space.edits if edit.decomposition == "whitened"]
    if not whitened:
        return None
    calibration = calibration_of(task, config)
    ids = [id for edit in whitened for id in task.matrices.select(edit.layer, edit.matrix, edit.part, edit.expert)]
    calibration.expect([task.matrices[id] for id in dict.fromkeys(ids)])
    return calibration


def calibrated_content(content: Mapping[str, Any], calibration: Calibration | None) -> dict[str, Any]:
    """Returns what decides the scores of a search's cells.

    Args:
        content: as of `Task.content`.
        calibration: what whitened candidates are calibrated on.
    """
    return {**content, **({} if calibration is None else {"calibration": calibration.key})}


def calibration_of(task: Task, config: DictConfig) -> Calibration:
    """Returns the inputs of the task's model on the text that `laser.calibration` names.

    Args:
        task: with the model.
        config: the whole evaluation config.

    Raises:
        InputError: no such text, or a task without text.
    """
    settings = config.laser.calibration
    tasks = _language_tasks(task)
    if settings.data is not None:
        tasks = [_on(tasks[0], config)]
    elif settings.path is not None:
        raise InputError(
            f"laser.calibration.path={settings.path}: say what it is too: laser.calibration.data=text for plain text"
        )
    first = tasks[0]
    if not hasattr(first.model, "hf_device_map"):
        first.model.to(first.trainer.strategy.root_device)
    sequences = drawn(list(_sequences(tasks)), settings.tokens, config.seed)
    return Calibration(first.model, sequences, settings.memory_gb)


def _language_tasks(task: Task) -> list[LanguageTask]:
    parts = list(task.tasks.values()) if isinstance(task, SeveralTasks) else [task]
    found = [part for part in parts if isinstance(part, LanguageTask)]
    if len(found) < len(parts):
        raise InputError(f"decomposition whitened: {task.id} reads no text that it could be calibrated on")
    return found


def _on(task: LanguageTask, config: DictConfig) -> LanguageTask:
    """Returns the task on the data that `laser.calibration` names, in the windows of the evaluated text if it is one.

    The groups of a running text are its windows', so that the same text in others would be split at other places.
    """
    settings = config.laser.calibration
    changed = {} if settings.path is None else {"path": settings.path}
    changed |= {"window": config.data.window} if isinstance(task.examples, TextSet) else {}
    try:
        data: DataConfig = named_config(settings.data, config_folder(), **changed)
        other = copy.deepcopy(config)
        other.data = OmegaConf.structured(data)
        return task.on(other, load_data(data))
    except InputError as error:
        raise InputError(f"laser.calibration.data={settings.data}: {error}") from error


def _sequences(tasks: list[LanguageTask]) -> Iterator[tuple[int, ...]]:
    for task in tasks:
        for request in task.parts["validation"].requests:
            yield request.tokens
