"""Racing over made-up scores, where the best candidate is known."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from laser_lit.edits.edit import Edit
from laser_lit.search.cell import Cell, failed
from laser_lit.search.objective import Objective
from laser_lit.search.racing import FEWEST, paired_gaps, race, rungs, survivors
from laser_lit.search.space import Edits, Space


class FakeLoop:
    """A loop over a matrix of losses (arms, N) that counts the rows it is asked for."""

    def __init__(self, losses: np.ndarray, correct: np.ndarray | None = None, rows_a_group: int = 1) -> None:
        arms, self.size = losses.shape
        self.space = Space(tuple(Edit(layer, "fc_in", rank=1) for layer in range(arms)))
        self.objective = Objective("log_loss" if correct is None else "accuracy", np.ones(self.size))
        self.groups = np.array([f"{row // rows_a_group:04d}" for row in range(self.size)])
        self.seed, self.scored, self.verdicts = 0, {}, {}
        self.base = Cell((), None if correct is None else correct[0], losses[0])
        self.losses, self.correct = losses, correct

    @property
    def field(self) -> list[Edits]:
        return [(edit,) for edit in self.space.edits]

    @property
    def cost(self) -> int:
        return sum(self.scored.values())

    def track(self, stacks: Iterable[Edits], label: str) -> Iterator[Edits]:
        yield from stacks

    def score(self, edits: Edits, n: int) -> Cell:
        arm = edits[0].layer
        self.scored[arm] = max(n, self.scored.get(arm, 0))
        if not np.isfinite(self.losses[arm, :n]).all():
            return failed(edits, "broke")
        correct = None if self.correct is None else self.correct[arm, :n]
        return Cell(edits, correct, self.losses[arm, :n])

    def passes(self, edits: Edits) -> bool:
        return True

    def best(self, cells: Iterable[Cell]) -> Cell | None:
        return max(cells, key=self.objective.merit, default=None)


def winner(loop: FakeLoop, cells: list[Cell]) -> int:
    return max(cells, key=loop.objective.merit).edits[0].layer


finite = st.floats(-5, 5, width=32)


@given(
    effects=st.lists(st.integers(0, 40), min_size=1, max_size=60, unique=True),
    size=st.integers(1, 50),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_the_best_is_never_dropped_where_noise_is_smaller_than_what_separates_the_candidates(
    effects: list[int], size: int, share: float, seed: int
):
    rng = np.random.default_rng(seed)
    rows = 20.0 * rng.random(size)  # what a row costs whatever the edit: pairs are compared, not means
    losses = np.array(effects)[:, None] + rows + rng.uniform(-0.4, 0.4, (len(effects), size))
    loop = FakeLoop(losses)
    budget = max(int(share * losses.size), FEWEST * size, 2 * len(effects) + size)  # every candidate takes part
    assert winner(loop, race(loop, loop.field, budget)) == int(np.argmin(effects))


@given(
    losses=arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 30)), elements=finite),
    share=st.floats(0.0, 1.5),
    rows_a_group=st.integers(1, 4),
    text=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_a_race_keeps_within_its_budget_and_ends_with_whole_cells(
    losses: np.ndarray, share: float, rows_a_group: int, text: bool
):
    loop = FakeLoop(losses, None if text else losses < 0.0, rows_a_group)
    budget = max(int(share * losses.size), FEWEST * loop.size)
    cells = race(loop, loop.field, budget)
    assert loop.cost <= budget
    assert cells
    assert all(cell.n == loop.size for cell in cells)
    if share >= 1.0:
        assert len(cells) == len(losses)


@given(arms=st.integers(1, 2000), size=st.integers(1, 3000), share=st.floats(0.01, 1.0))
def test_rungs_double_up_to_all_rows(arms: int, size: int, share: float):
    ends = rungs(arms, size, int(share * arms * size))
    assert ends[-1] == size
    assert all(fewer == (more + 1) // 2 for fewer, more in pairwise(ends))
    assert ends[0] == 1 or arms * ends[0] * len(ends) <= share * arms * size


def test_a_budget_for_everything_scores_everything_at_once():
    assert rungs(arms=30, size=20, budget=600) == [20]
    assert rungs(arms=385, size=48, budget=1704) == [1, 2, 3, 6, 12, 24, 48]


def test_a_field_too_wide_for_the_budget_is_cut_from_its_end():
    loop = FakeLoop(np.zeros((1000, 10)))
    race(loop, loop.field[::-1], budget=100)
    assert sorted(loop.scored) == list(range(955, 1000))


def test_equal_candidates_share_the_end_by_their_places_in_the_field():
    loop = FakeLoop(np.ones((200, 40)))
    cells = race(loop, loop.field, budget=800)
    assert [cell.edits[0].layer for cell in cells] == list(range(len(cells)))
    assert len(cells) > 1


def test_those_that_the_gradient_puts_first_have_places_whatever_the_first_rows_say():
    losses = np.tile(np.arange(100.0)[::-1, None], (1, 64))  # the field's first has the worst loss ...
    losses += np.random.default_rng(0).normal(0, 200, losses.shape)  # … for all that a few rows can tell
    loop = FakeLoop(losses)
    cells = [loop.score(edits, 2) for edits in loop.field]
    by_score = sorted(range(100), key=lambda arm: losses[arm, :2].mean())
    assert set(survivors(loop, cells, places=20, protected=0.0)) == set(by_score[:20])
    assert {*range(10), *by_score[:10]} <= set(survivors(loop, cells, places=20, protected=0.5))


def test_accuracy_ties_go_by_log_loss():
    losses = np.random.default_rng(0).permutation(np.linspace(1, 2, 30))[:, None] + np.zeros((30, 16))
    loop = FakeLoop(losses, np.ones((30, 16), dtype=bool))
    assert winner(loop, race(loop, loop.field, budget=96)) == int(losses[:, 0].argmin())


def test_candidates_that_fail_drop_out_also_when_they_had_left_all_others_behind():
    losses = np.tile(np.arange(20.0)[:, None], (1, 16))
    losses[0, 3] = np.nan
    losses[1, 9] = np.nan
    losses[2, 0] = np.nan
    loop = FakeLoop(losses)
    cells = race(loop, loop.field, budget=160)
    assert winner(loop, cells) == 3
    assert not {0, 1, 2} & {cell.edits[0].layer for cell in cells}
    assert loop.cost <= 160


def test_a_race_in_which_all_fail_has_no_winner():
    loop = FakeLoop(np.full((5, 8), np.nan))
    assert race(loop, loop.field, budget=32) == []


def test_the_interval_is_the_paired_t_interval_of_rows_drawn_without_replacement():
    values = np.random.default_rng(0).normal(size=(2, 12))
    gaps, reach = paired_gaps(values, 0, np.ones(12), np.arange(12).astype(str), seen=0.25)
    d = values[0] - values[1]
    assert gaps == pytest.approx([0.0, d.mean()])
    t = 1.795885  # t(0.95; 11)
    assert reach == pytest.approx([0.0, t * np.sqrt(0.75 * d.var(ddof=1) / 12)], rel=1e-5)


def test_the_interval_takes_groups_for_units_whatever_the_order_of_rows():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=(4, 24)), rng.uniform(0.5, 2.0, 24)
    groups = np.array(list("abcdefgh" * 3))
    gaps, reach = paired_gaps(values, 2, weights, groups, seen=0.5)
    d = values[2] - values
    assert gaps == pytest.approx(np.average(d, axis=1, weights=weights))
    sums = [[((d[arm] - gaps[arm]) * weights)[groups == name].sum() for name in "abcdefgh"] for arm in range(4)]
    v = 0.5 * 8 / 7 * np.square(sums).sum(1) / weights.sum() ** 2
    assert reach == pytest.approx(2.641860 * np.sqrt(v), rel=1e-5)  # t(1 - .05 / 3; 7)


@pytest.mark.parametrize(("rows", "excludes"), [(5, False), (6, True)])
def test_few_rows_that_agree_to_the_last_exclude_nobody(rows: int, excludes: bool):
    right = np.array([np.ones(rows), np.zeros(rows), np.ones(rows)])  # 2^-6 < .05 / 2 < 2^-5
    gaps, reach = paired_gaps(right, 0, np.ones(rows), np.arange(rows).astype(str), seen=0.01)
    assert list(gaps > reach) == [False, excludes, False]


def test_one_group_excludes_nobody():
    _, reach = paired_gaps(np.eye(2, 50), 0, np.ones(50), np.full(50, "a"), seen=0.1)
    assert np.isinf(reach).all()


def test_the_interval_covers_the_difference_on_all_rows():
    rng = np.random.default_rng(0)
    misses = 0
    for _ in range(400):
        values = np.cumsum(rng.normal(size=(3, 40)), axis=0)
        gaps, reach = paired_gaps(values[:, :10], 0, np.ones(10), np.arange(10).astype(str), seen=0.25)
        misses += np.any(gaps - (values[0] - values).mean(1) > reach)
    assert misses <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_rungs_take_like_shares_of_the_budget_and_use_it():
    loop = FakeLoop(np.ones((200, 64)))
    race(loop, loop.field, budget=2000)
    ends = rungs(200, 64, 2000)
    fields = [sum(n >= end for n in loop.scored.values()) for end in ends]
    costs = [field * (end - before) for field, before, end in zip(fields, [0, *ends], ends, strict=False)]
    assert fields[0] == fields[1] == 200  # everyone on the first two rows: half as much as is left for each later rung
    assert all(300 <= cost <= 320 for cost in costs[2:])
    assert 1950 <= loop.cost <= 2000


def test_the_places_of_those_that_the_gradient_puts_first_are_halved_every_rung():
    loop = FakeLoop(np.tile(np.arange(100.0)[::-1, None], (1, 64)))
    race(loop, loop.field, budget=1600, protected=0.5)
    reached = {end: sum(arm < 40 and n >= end for arm, n in loop.scored.items()) for end in rungs(100, 64, 1600)}
    assert reached == {2: 40, 4: 40, 8: 18, 16: 4, 32: 0, 64: 0}  # 1/4 of 72 places, 1/8 of 36; then intervals tell


def test_where_all_ahead_fail_the_best_of_those_left_behind_takes_their_place():
    losses = np.tile(np.arange(20.0)[:, None], (1, 16))
    losses[:6, 12] = np.nan
    loop = FakeLoop(losses)
    cells = race(loop, loop.field, budget=186)
    assert [arm for arm, n in loop.scored.items() if n == 16] == list(range(7))
    assert [cell.edits[0].layer for cell in cells] == [6]
    assert loop.cost <= 186
