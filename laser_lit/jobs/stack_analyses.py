"""The analyses of a stack that any task can have: its spectra, its edits one by one, equal storage, general text."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from omegaconf import DictConfig

from laser_lit.analyses.components import ComponentPlan
from laser_lit.analyses.composition import composition
from laser_lit.analyses.further import Further
from laser_lit.analyses.spectra import spectra
from laser_lit.analyses.storage import StoragePlan, storage
from laser_lit.analyses.text import compared_text, general_text
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.fact_analyses import check_facts, component_answers
from laser_lit.jobs.scores import Scores, gain_over
from laser_lit.search.guard_text import GuardText
from laser_lit.tasks.base import Task

MOST_STEPS = 5
"""Most edits of a stack that is built up edit by edit without being asked for."""


@dataclass(frozen=True)
class StackPlan:
    """What is looked at.

    Attributes:
        spectra: the singular values of the edited matrices.
        path: the stack, edit by edit.
        storage: what is scored at equal storage; None for nothing.
        text: general text; None for none.
        components: which are left alone; None for none.
    """

    spectra: bool
    path: bool
    storage: StoragePlan | None
    text: GuardText | None
    components: ComponentPlan | None = None


def stack_plan(task: Task, config: DictConfig, stack: Stack | None, *, edited: bool | None) -> StackPlan:
    """Returns what is looked at; nothing is scored.

    Args:
        task: what is scored.
        config: the whole evaluation config.
        stack: the edits; None where there are none, or none yet.
        edited: whether there are any; None while a search has not chosen yet.

    Raises:
        InputError: what was asked for cannot be had; says why.
    """
    analysis = config.analysis
    asked = {"path": bool(analysis.path), "storage": len(analysis.storage) > 0, "text": analysis.text.data is not None}
    asked["components"] = len(analysis.components) > 0
    for name, wanted in asked.items():
        if wanted and edited is False:
            raise InputError(
                f"analysis.{name}: there are no edits to look at; leave it out, or say with laser= what is edited"
            )
    check_facts(task, config)
    text = general_text(task, config)
    if stack is None:
        return StackPlan(False, False, None, text)
    if analysis.path and len(stack) < 2 and config.search.name == "none":
        raise InputError(
            "analysis.path=true: the stack has 1 edit, and only several can add to each other; leave it out"
        )
    most = len(stack) if analysis.path else MOST_STEPS
    path = analysis.path is not False and 2 <= len(stack) <= most
    shares = StoragePlan.of(analysis.storage, stack, task.matrices) if asked["storage"] else None
    alone = None
    if asked["components"]:
        alone = ComponentPlan.of(list(analysis.components), stack, stack.resolve(task.matrices))
    return StackPlan(analysis.spectra, path, shares, text, alone)


def stack_analyses(
    task: Task, stack: Stack, rows: Sequence[AppliedEdit], scores: Scores, plan: StackPlan, config: DictConfig
) -> dict[str, Any]:
    """Returns the entries of `Analyses` that were planned, by name; None for what there is nothing of.

    Args:
        task: what was scored.
        stack: the edits.
        rows: the stack as resolved.
        scores: of base and stack.
        plan: from `stack_plan`.
        config: the whole evaluation config.
    """
    further = Further(task, scores.base, partial(gain_over, seed=config.seed), config.search.cache_gb)
    return {
        "spectra": spectra(stack, rows, task.matrices) if plan.spectra else None,
        "composition": composition(stack, scores.laser, further) if plan.path else None,
        "storage": None if plan.storage is None else storage(plan.storage, rows, further),
        "components": None
        if plan.components is None
        else component_answers(task, scores, plan.components, further, config.seed),
        "text": None if plan.text is None else compared_text(task, stack, plan.text, config),
    }
