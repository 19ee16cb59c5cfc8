"""Simpler remedies beside the edit, fitted on the validation split that the edit was chosen on."""

from functools import partial

from laser_lit.edits.edit import Edit
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.results.record import Control
from laser_lit.scoring.controls import (
    ControlResult,
    batch_calibration,
    mlp_ablations,
    pruned_twin,
    token_bias,
)
from laser_lit.tasks.base import Task


def wants_controls(task: Task, stack: Stack | None, wanted: bool | None) -> bool:
    """Returns whether to score the controls.

    Args:
        task: what is scored.
        stack: the edits that the controls stand beside; without any there is nothing to compare.
        wanted: `controls` of the config; null leaves them out where they cannot be had.

    Raises:
        InputError: controls=true where they cannot be had.
    """
    problem = "there are no edits for them to stand beside" if stack is None else task.no_controls
    _refuse(problem, wanted)
    return wanted is not False and problem is None


def check_controls(task: Task, wanted: bool | None) -> None:
    """Raises an error for controls that the task cannot have, before a search is run in front of them.

    Args:
        task: what is scored.
        wanted: `controls` of the config.

    Raises:
        InputError: says why they cannot be had.
    """
    _refuse(task.no_controls, wanted)


def _refuse(problem: str | None, wanted: bool | None) -> None:
    if wanted and problem:
        raise InputError(f"controls=true: {problem}; leave controls out")


def scored_controls(task: Task, stack: Stack, edits: list[AppliedEdit]) -> tuple[Control, ...]:
    """Returns every control, as rows of the record.

    Args:
        task: what is scored.
        stack: the edits that the controls stand beside.
        edits: the stack as resolved.
    """
    validation, test = task.answer_logits("validation"), task.answer_logits("test")
    results = [batch_calibration(validation, test), token_bias(validation, test, task.answer_name)]
    results += mlp_ablations(task.model, task.matrices, partial(task.score, None))
    rows = [_row(result) for result in results]
    pruned = pruned_twin(stack, task.matrices)
    if pruned is not None:
        rows.append(_scored(task, "pruned to equal storage", pruned))
    return (*rows, _scored(task, "same matrices zeroed", _zeroed(stack, edits)))


def _row(result: ControlResult) -> Control:
    return Control(
        result.name, result.fitted, result.accuracy, float(result.log_loss.mean()), result.validation_accuracy
    )


def _scored(task: Task, name: str, stack: Stack) -> Control:
    validation, test = (task.metrics(task.score(stack, split)) for split in ("validation", "test"))
    return Control(name, "", test["accuracy"], test["log_loss"], validation["accuracy"])


def _zeroed(stack: Stack, edits: list[AppliedEdit]) -> Stack:
    places = dict.fromkeys((edit.layer, edit.matrix, edit.part, edit.expert) for edit in edits)
    return Stack([Edit(layer, matrix, kind="zero", part=part, expert=expert) for layer, matrix, part, expert in places])
