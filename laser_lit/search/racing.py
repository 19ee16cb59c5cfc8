"""`search=racing`: candidates race on growing parts of validation, and those that cannot win are left behind.

A race goes in rungs. Every rung doubles the rows that a candidate is scored on and takes a like share of what is left
of the budget, so that about half of the field goes on (successive halving). Whom the paired interval excludes leaves
earlier, and what that saves goes to the later rungs. The few that reach the last rung have all rows, and the best of
them is chosen as any other driver chooses.
"""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import t as student

from laser_lit.config_search import SearchConfig
from laser_lit.errors import InputError
from laser_lit.search.cell import Cell
from laser_lit.search.gradient import predict
from laser_lit.search.loop import Loop
from laser_lit.search.space import Edits

log = logging.getLogger(__name__)

FEWEST = 4
"""Whole cells that a race may always spend, however small the budget's share of a small grid."""
BACKWARD = 3
"""Rows that a gradient's row costs: a backward pass takes twice a forward pass."""
GRADIENT_SHARE = 0.1
"""Most of the budget that the gradient may cost."""
PROTECTED = 0.5
"""Share of the places after the first rung for the candidates that the gradient puts first."""
ASKED = 64
"""Most stacks that the guard is asked about before the last rung: each may cost as much as scoring it."""
TELLING = 4
"""The guard is asked from 1/4 of the rows on: before that many are ahead by luck. This and ASKED were set on four texts
under guards that turn away up to 63 of the grid's best: of a gap of .03 nats to the best that passes, .003 is left."""
LEVEL = 0.05
"""Chance that a rung's intervals, all together, exclude a candidate that is as good as the leader."""


def drive(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns the best candidate that the race found; None where none beats the base.

    Args:
        loop: scores the candidates.
        settings: of the search: `budget` is the most that it may cost, gradient included, as a share of the grid
            (but four whole cells at least), `examples` the most rows of the gradient.
    """
    budget = max(int(settings.budget * len(loop.space) * loop.size), FEWEST * loop.size)
    rows = min(settings.examples, loop.size, int(GRADIENT_SHARE * budget) // BACKWARD)
    field = _predicted(loop, rows)
    if field:
        return loop.best(race(loop, field, budget - BACKWARD * rows))
    shuffled = np.random.default_rng(loop.seed).permutation(len(loop.space))
    return loop.best(race(loop, [(loop.space.edits[place],) for place in shuffled], budget, protected=0.0))


def race(loop: Loop, field: Sequence[Edits], budget: int, protected: float = PROTECTED) -> list[Cell]:
    """Returns the cells of those that got to the end, in the order of the field; those that failed are not among them.

    The cost is counted as if nothing had been scored before, so that an interrupted race goes on as it would have.

    Args:
        loop: scores the candidates, matrix by matrix.
        field: the candidates, the most promising first; of a field too wide for the budget only the first take part.
        budget: rows that may be scored, at least `loop.size`.
        protected: share of the places after the first rung, in [0, 1], that the first of the field have for certain
            unless their interval excludes them; half as large after every further rung.

    Source: Karnin, Koren and Somekh 2013, "Almost Optimal Exploration in Multi-Armed Bandits" (sequential halving, a
        like share of the budget a rung); Maron and Moore 1997, "The Racing Algorithm" (intervals).
    """
    widest = max((budget - loop.size) // 2, budget // loop.size)  # half for the first rung, or all rows for everyone
    field = list(field[:widest])
    ends = rungs(len(field), loop.size, budget)
    cells: list[Cell] = []
    behind: list[Cell] = []
    before, left = 0, budget
    for number, n in enumerate(ends):
        left -= len(field) * (n - before)
        cells = _scored(loop, field, n)
        cells = led(loop, cells) if loop.size <= TELLING * n < TELLING * loop.size else cells
        if n == loop.size or not cells:
            break
        later = ends[number + 1 :]
        places = 1 + (left - (loop.size - n)) // (len(later) * (later[0] - n))  # one can always be paid for to the end
        ahead = survivors(loop, cells, places, protected / 2**number)
        behind += [cell for arm, cell in enumerate(cells) if arm not in ahead]
        field = [cells[arm].edits for arm in ahead]
        before = n
    return cells or _instead(loop, behind, left)


def led(loop: Loop, cells: Sequence[Cell]) -> list[Cell]:
    """Returns the cells without those that the guard turns away of all that are better than the first it lets pass.

    A stack that cannot be chosen takes no place of others, and is not what they are compared with. Where none beats the
    base on these rows, none is asked about.

    Args:
        loop: of the race.
        cells: all on the same rows.
    """
    left, merit = list(cells), loop.objective.merit
    ranked = sorted(cells, key=merit, reverse=True)
    if merit(ranked[0]) <= merit(loop.base.head(ranked[0].n)):
        return left
    for cell in ranked:
        if not _refused(loop, cell):
            break
        left.remove(cell)
    return left


def _refused(loop: Loop, cell: Cell) -> bool:
    """Returns whether the guard turns a stack away, as far as it may still be asked."""
    may_ask = len(loop.verdicts) < ASKED or cell.edits in loop.verdicts
    return may_ask and not loop.passes(cell.edits)


def rungs(arms: int, size: int, budget: int) -> list[int]:
    """Returns the rows of each rung: the last has all, each other half of the next.

    The first is the largest at which the whole field costs no more than a rung's share, else a single row.

    Args:
        arms: candidates in the field.
        size: N, all rows.
        budget: rows that may be scored.
    """
    ends = [size]
    while ends[0] > 1 and arms * ends[0] * len(ends) > (budget if len(ends) == 1 else budget - size):
        ends.insert(0, (ends[0] + 1) // 2)
    return ends


def survivors(loop: Loop, cells: Sequence[Cell], places: int, protected: float) -> list[int]:
    """Returns which cells go on, ascending.

    Args:
        loop: of the race.
        cells: all on the same rows, in the order of the field.
        places: most that go on, at least 1; the best do.
        protected: share of the places for the first of the field that no interval excludes, however they did so far.
    """
    values = np.stack([loop.objective.values(cell) for cell in cells])  # (arms, n)
    merits = [loop.objective.merit(cell) for cell in cells]
    ranked = sorted(range(len(cells)), key=lambda arm: merits[arm], reverse=True)
    n = values.shape[1]
    gaps, reach = paired_gaps(values, ranked[0], loop.objective.weights[:n], loop.groups[:n], n / loop.size)
    able = [arm for arm in ranked if gaps[arm] <= reach[arm]]
    first = sorted(able)[: int(protected * places)]
    return sorted(list(dict.fromkeys([ranked[0], *first, *able]))[:places])


def paired_gaps(
    values: np.ndarray, leader: int, weights: np.ndarray, groups: np.ndarray, seen: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far each arm is behind the leader, and how far it may be before its interval excludes it.

    With d_i = leader's minus arm's value of row i, w_i its weight and W their sum, the gap is D = sum_i w_i d_i / W.
    Groups are the units: with e_g = sum over i in g of w_i (d_i - D) and G groups, its squared standard error is

        v = (1 - seen) G / (G - 1) sum_g e_g² / W²

    (a ratio of sums over clusters; 1 - seen, since the rows are drawn from those that decide, without replacement), and
    an arm is excluded where D exceeds t(1 - LEVEL / others; G - 1) sqrt(v). Few groups can agree by luck, in right and
    wrong even to the last, and v is then too small. But G groups that all prefer the leader have p = 2^-G in the sign
    test, which asks nothing of v: nobody is excluded while even that is above LEVEL / others.

    Args:
        values: (arms, n) per row, higher is better.
        leader: which arm the others are compared with.
        weights: (n,) positive.
        groups: (n,) names.
        seen: n / N.

    Source: Cochran 1977, "Sampling Techniques", equations 6.13 and 2.20 (ratio, finite population); Bonferroni's bound
        over the arms; Dixon and Mood 1946, "The Statistical Sign Test".
    """
    d = values[leader] - values  # (arms, n)
    gaps = d @ weights / weights.sum()  # (arms,)
    by_group = np.argsort(groups, kind="stable")
    _, starts = np.unique(groups[by_group], return_index=True)
    count, others = len(starts), len(values) - 1
    if others == 0 or 2.0**-count > LEVEL / others:
        return gaps, np.full(len(values), np.inf)
    e = (d - gaps[:, None]) * weights  # (arms, n)
    sums = np.add.reduceat(e[:, by_group], starts, axis=1)  # (arms, groups)
    v = (1.0 - seen) * count / (count - 1) * (sums**2).sum(1) / weights.sum() ** 2  # (arms,)
    return gaps, student.isf(LEVEL / others, count - 1) * np.sqrt(v)


def _predicted(loop: Loop, rows: int) -> list[Edits]:
    """Returns the candidates in the order that a gradient on some rows predicts; none where there is no gradient."""
    if not rows:
        return []
    try:
        found = predict(loop, loop.space, rows)
    except (InputError, torch.OutOfMemoryError) as error:
        log.warning("racing goes without the gradient's order: %s", error)
        return []
    return [(edit,) for edit in sorted(loop.space.edits, key=lambda edit: found[edit])]


def _scored(loop: Loop, field: Sequence[Edits], n: int) -> list[Cell]:
    """Returns the cells of a field on the first n rows, in its order, without those that failed."""
    chosen = set(field)
    in_turn = [(edit,) for edit in loop.space.edits if (edit,) in chosen]  # a matrix at a time: factors are at hand
    found = {edits: loop.score(edits, n) for edits in loop.track(in_turn, f"racing on {n} of {loop.size} rows")}
    return [found[edits] for edits in field if found[edits].error is None]


def _instead(loop: Loop, behind: Sequence[Cell], left: int) -> list[Cell]:
    """Returns the best of those left behind on all rows, if that can be paid for: all that were ahead have failed.

    Args:
        loop: of the race.
        behind: on as many rows as each has.
        left: rows that may be scored.
    """
    for cell in sorted(behind, key=lambda cell: (cell.n, loop.objective.merit(cell)), reverse=True):
        if _refused(loop, cell):
            continue
        left -= loop.size - cell.n
        if left < 0:
            break
        found = _scored(loop, [cell.edits], loop.size)
        if found:
            return found
    return []
