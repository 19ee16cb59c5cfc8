"""`search=optuna`: Optuna's TPE proposes stacks; the unpromising are given up after part of the rows."""

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from laser_lit.config_search import SearchConfig
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.optuna_stack import Stacks
from laser_lit.search.optuna_study import DUPLICATE, ERROR, STACK, Study, quiet
from laser_lit.search.progress import say
from laser_lit.search.space import Edits, describe

BLOCKS = 64
"""Most reports of a whole cell, a power of two: means of blocks of consecutive rows."""
RUNGS = (8, 4, 2)
"""A trial may be given up after 1/8, 1/4 and 1/2 of the rows; five blocks are the fewest that can give p < .05."""
GIVE_UP = 50
"""Duplicates in a row after which there is nothing new to be expected."""
TIE = 1e-3
"""What a nat of log loss weighs against one row where accuracy decides and log loss breaks ties."""


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns the best of all trials of all processes; None where none beats the base.

    Pruning is by Wilcoxon's signed-rank test against the best trial, on the same rows of both: how hard an example is
    moves the mean of a few rows by far more than an edit does, and cancels in pairs. The pairs are means of blocks, not
    single rows: an edit that mends few examples and costs many a little is good in the mean, bad in the signed ranks.

    Source: Akiba et al., "Optuna" (KDD 2019); Bergstra et al. 2011 (TPE).

    Args:
        loop: scores the stacks.
        settings: of the search; only its shard's share of the trials is made.
    """
    stacks = Stacks(loop.space, settings.stack)
    with quiet():
        study = Study(loop, settings)
        loop.refresh()  # of what the study knows to be scored, nothing is scored again
        made = len(_known(loop, study, stacks))
        if made:
            say(f"{made:,} trials were made before, of {settings.trials:,}", loop.progress)
        for _ in loop.track([()] * study.left, "optuna"):
            if not _try_another(loop, study, stacks):
                break
        loop.refresh()
        return loop.best(_known(loop, study, stacks))


def _known(loop: Loop, study: Study, stacks: Stacks) -> list[Cell]:
    """Returns the cells of all trials that count, as far as they were scored."""
    edges = _edges(loop)
    rows = [edges[len(t.intermediate_values)] if t.state == TrialState.PRUNED else loop.size for t in study.scored]
    return [loop.score(stacks.of(trial), int(n)) for trial, n in zip(study.scored, rows, strict=True) if n]


def _try_another(loop: Loop, study: Study, stacks: Stacks) -> bool:
    """Returns whether one more stack was scored; False where the sampler has no new ones."""
    while study.duplicates < GIVE_UP:
        trial = study.ask()
        try:
            edits = stacks.of(trial)
            if describe(edits) in study.stacks:
                study.fail(trial, DUPLICATE)
                continue
            trial.set_user_attr(STACK, describe(edits))
            _score(loop, study, trial, edits)
        except UpdateFinishedTrialError:  # another process of this shard took it for one that was left behind
            continue
        return True
    return False


def _score(loop: Loop, study: Study, trial: optuna.Trial, edits: Edits) -> None:
    """Scores more and more rows of a stack, until it is scored or given up."""
    edges = _edges(loop)
    blocks = len(edges) - 1
    stops = sorted({max(1, blocks // share) for share in (*RUNGS, 1)})
    done = 0
    for stop in stops:
        cell = loop.score(edits, int(edges[stop]))
        if cell.error is not None:
            return study.fail(trial, ERROR, cell.error)
        values = loop.objective.values(cell) * loop.objective.weights[: cell.n]
        if not np.isfinite(values).all():
            return study.prune(trial)
        for block in range(done, stop):
            trial.report(float(values[edges[block] : edges[block + 1]].mean()), block)
        done = stop
        if stop < stops[-1] and trial.should_prune():
            return study.prune(trial)
    first, tie = loop.objective.merit(cell)
    return study.complete(trial, first + TIE / loop.size * max(tie, -(TIE**-1)))


def _edges(loop: Loop) -> np.ndarray:
    """Returns (blocks + 1,) the rows at which blocks begin and end."""
    blocks = min(BLOCKS, 1 << (loop.size.bit_length() - 1))
    return np.linspace(0, loop.size, blocks + 1).round().astype(int)
