"""The analyses of questions that ask for facts: how often they were told, and what higher-order components answer."""

import time
from dataclasses import replace

import numpy as np
from omegaconf import DictConfig

from laser_lit.analyses.components import (
    AnswerVectors,
    Asked,
    ComponentPlan,
    commonest_errors,
    components,
    valid_answers,
)
from laser_lit.analyses.further import Further
from laser_lit.data.example import ExampleSet
from laser_lit.errors import InputError
from laser_lit.jobs.frequency import told, with_frequency
from laser_lit.jobs.scores import Scores
from laser_lit.results.analyses import Analyses
from laser_lit.results.components import Components
from laser_lit.tasks.base import Task
from laser_lit.tasks.language import LanguageTask


def check_facts(task: Task, config: DictConfig) -> None:
    """Raises an error where components alone cannot be asked of a task, before anything is scored.

    Args:
        task: what is scored.
        config: the whole evaluation config.

    Raises:
        InputError: says why.
    """
    if config.analysis.components and not (isinstance(task, LanguageTask) and _rows(task).size):
        raise InputError(
            f"analysis.components with data={config.data.name}: only answers that are one token or one of a few "
            "choices are looked at, and its test split has none; leave it out"
        )


def component_answers(
    task: Task, scores: Scores, plan: ComponentPlan, further: Further, seed: int
) -> Components | None:
    """Returns what components alone answer; None where the edit fixes nothing.

    Args:
        task: what was scored, as `check_facts` had it.
        scores: of base and edit.
        plan: which components.
        further: scores.
        seed: of the resampling.
    """
    if not isinstance(task, LanguageTask):
        return None
    asked = Asked(
        _rows(task),
        commonest_errors(scores.base["validation"]),
        valid_answers(list(scores.base.values())),
        AnswerVectors(task.model.get_input_embeddings().weight, task.tokenizer),
        seed,
    )
    tables = further.tables(plan.stacks, "test")
    return components(plan, scores.base["test"], scores.laser["test"], tables, asked)


def with_told(task: Task, scores: Scores, analyses: Analyses, config: DictConfig) -> Analyses:
    """Returns the analyses with how often facts and words were told; the base's tables get the column `frequency`.

    Args:
        task: what was scored.
        scores: its tables.
        analyses: of the run so far.
        config: the whole evaluation config.

    Raises:
        InputError: a corpus that cannot be read.
    """
    found = analyses.components
    begin = time.perf_counter()
    counts = told(task, () if found is None else found.words, config)
    if counts is None:
        return analyses
    scores.seconds["frequency"] = time.perf_counter() - begin
    scores.base = with_frequency(scores.base, counts)
    counted = None if found is None else found.counted(counts.words)
    return replace(analyses, components=counted, frequency=counts.source)


def _rows(task: LanguageTask) -> np.ndarray:
    """Returns the rows of the test table whose answer is one token, or one of a few choices."""
    part = task.parts["test"]
    if not isinstance(part.examples, ExampleSet):
        return np.array([], dtype=np.int64)
    rows = [r.index for r in part.requests if r.role in ("token", "choices") or r.role.startswith("choice ")]
    return np.unique(np.array(rows, dtype=np.int64))
