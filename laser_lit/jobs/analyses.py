"""What a run looks at beside its scores: the controls, and the analyses of `analysis=`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
from omegaconf import DictConfig

from laser_lit.analyses.mechanism import mechanism
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.controls import scored_controls
from laser_lit.jobs.scores import Scores
from laser_lit.jobs.stack_analyses import StackPlan, stack_analyses, stack_plan
from laser_lit.results.analyses import Analyses
from laser_lit.results.record import Control
from laser_lit.scoring.controls import AnswerLogits
from laser_lit.tasks.base import SPLITS, Task


@dataclass(frozen=True)
class Analysed:
    """What was found.

    Attributes:
        controls: simpler remedies beside the edit.
        analyses: for the record.
        tables: outcomes of further variants, by split and by the first part of their columns' names.
        warnings: what could not be had, a sentence each.
    """

    controls: tuple[Control, ...] = ()
    analyses: Analyses = field(default_factory=Analyses)
    tables: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What is to be scored beside base and edit.

    Attributes:
        controls: the controls.
        mechanism: the mechanism test.
        plan: what else is looked at.
    """

    controls: bool
    mechanism: bool
    plan: StackPlan


def wanted(task: Task, config: DictConfig, *, edited: bool | None, stack: Stack | None = None) -> Wanted:
    """Returns what is scored besides; null in the config leaves out what cannot be had.

    Args:
        task: what is scored.
        config: the whole evaluation config.
        edited: whether there is a stack; None while a search has not chosen yet.
        stack: the edits, where there are any yet.

    Raises:
        InputError: what was asked for cannot be had; says why.
    """
    problem = "there are no edits for them to stand beside" if edited is False else task.no_controls
    asked = {"controls": config.controls, "analysis.mechanism": config.analysis.mechanism}
    for name, entry in asked.items():
        if entry and problem:
            raise InputError(f"{name}=true: {problem}; leave {name} out")
    plan = stack_plan(task, config, stack, edited=edited)
    controls, mechanism = (entry is not False and problem is None for entry in asked.values())
    return Wanted(controls, mechanism, plan)


def analysed(
    task: Task, stack: Stack, edits: Sequence[AppliedEdit], scores: Scores, what: Wanted, config: DictConfig
) -> Analysed:
    """Returns controls and analyses of a stack that has been scored.

    Args:
        task: what was scored.
        stack: the edits.
        edits: the stack as resolved.
        scores: of base and stack.
        what: is to be scored.
        config: the whole evaluation config.
    """
    found = Analysed()
    logits = {split: task.answer_logits(split) for split in SPLITS} if what.controls or what.mechanism else {}
    if what.controls:
        with scores.timed("controls"):
            found = replace(found, controls=scored_controls(task, stack, edits, logits))
    with scores.timed("analyses"):
        if what.mechanism:
            found = _mechanism(found, task, stack, scores, logits, config.seed)
        entries = stack_analyses(task, stack, edits, scores, what.plan, config)
    return replace(found, analyses=replace(found.analyses, **entries))


def _mechanism(
    found: Analysed, task: Task, stack: Stack, scores: Scores, logits: dict[str, AnswerLogits], seed: int
) -> Analysed:
    edited = task.answer_logits("validation", stack)
    tables = {split: (scores.base[split], scores.laser[split]) for split in SPLITS}
    shifted = mechanism(logits, edited, tables, task.answer_name, seed)
    variants = {split: {**found.tables.get(split, {}), "shift": table} for split, table in shifted.tables.items()}
    return replace(found, analyses=replace(found.analyses, mechanism=shifted.mechanism), tables=variants)
