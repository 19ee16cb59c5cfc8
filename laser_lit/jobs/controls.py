"""Simpler remedies beside the edit, fitted on the validation split that the edit was chosen on."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from laser_lit.edits.edit import Edit
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.results.record import Control
from laser_lit.scoring.controls import (
    AnswerLogits,
    ControlResult,
    batch_calibration,
    mlp_ablations,
    pruned_twin,
    token_bias,
)
from laser_lit.tasks.base import Task


def scored_controls(
    task: Task, stack: Stack, edits: Sequence[AppliedEdit], logits: Mapping[str, AnswerLogits]
) -> tuple[Control, ...]:
    """Returns every control, as rows of the record.

    Args:
        task: what is scored.
        stack: the edits that the controls stand beside.
        edits: the stack as resolved.
        logits: of the base, by split.
    """
    validation, test = logits["validation"], logits["test"]
    results = [batch_calibration(validation, test), token_bias(validation, test, task.answer_name)]
    results += mlp_ablations(task.model, task.matrices, partial(task.score, None))
    rows = [_row(result) for result in results]
    pruned = pruned_twin(stack, task.matrices)
    if pruned is not None:
        rows.append(_scored(task, "pruned to equal storage", pruned))
    return (*rows, _scored(task, "same matrices zeroed", _zeroed(stack, edits)))


def _row(result: ControlResult) -> Control:
    loss = float(result.log_loss.mean())
    return Control(
        result.name, result.fitted, result.accuracy, None if np.isnan(loss) else loss, result.validation_accuracy
    )


def _scored(task: Task, name: str, stack: Stack) -> Control:
    validation, test = (task.metrics(task.score(stack, split)) for split in ("validation", "test"))
    return Control(name, "", test["accuracy"], test["log_loss"], validation["accuracy"])


def _zeroed(stack: Stack, edits: Sequence[AppliedEdit]) -> Stack:
    places = dict.fromkeys((edit.layer, edit.matrix, edit.part, edit.expert) for edit in edits)
    return Stack([Edit(layer, matrix, kind="zero", part=part, expert=expert) for layer, matrix, part, expert in places])
