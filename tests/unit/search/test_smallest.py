"""The choice of the smallest stack, on losses that are a sum of what each cut does."""

from collections.abc import Callable

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from searches import ROWS, FakeScorer

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.models.matrices import MatrixMap
from laser_lit.results.stats import bootstrap_cis
from laser_lit.search import smallest
from laser_lit.search.cell import Cell
from laser_lit.search.harm import gain_intervals
from laser_lit.search.loop import Loop
from laser_lit.search.space import Space

MakeLoop = Callable[..., Loop]
BASE = np.linspace(0.5, 2.5, ROWS)


def harm(by_matrix: dict[tuple[int, str], float]) -> Callable[[tuple[Edit, ...]], np.ndarray]:
    """Returns a model whose log loss each cut raises on every row by its matrix's harm over its rank."""

    def of(edits: tuple[Edit, ...]) -> np.ndarray:
        per_row = sum(by_matrix.get((int(edit.layer), edit.matrix), 0.0) / edit.rank for edit in edits)
        return BASE + per_row * np.linspace(0.9, 1.1, ROWS)

    return of


def drive(
    make_loop: MakeLoop,
    matrices: MatrixMap,
    of: Callable[[tuple[Edit, ...]], np.ndarray],
    delta: float,
    **options: object,
) -> tuple[Cell | None, Loop]:
    space = Space.of(matrices, ranks=(1, 2, 4))
    loop = make_loop(FakeScorer(of), space, "log_loss", **options)
    return smallest.drive(loop, SearchConfig(name="smallest", delta=delta)), loop


def places(cell: Cell | None) -> dict[tuple[int, str], int | None]:
    assert cell is not None
    return {(int(edit.layer), edit.matrix): edit.rank for edit in cell.edits}


def test_every_matrix_goes_where_none_harms(make_loop: MakeLoop, matrices: MatrixMap):
    chosen, loop = drive(make_loop, matrices, harm({}), 0.01)
    assert chosen is not None
    assert len(chosen.edits) == len(loop.space.by_matrix())
    assert {edit.rank for edit in chosen.edits} == {1}
    assert len(loop.cells) == len(loop.space) + 1  # the grid and the stack of all


def test_a_matrix_keeps_what_it_needs(make_loop: MakeLoop, matrices: MatrixMap):
    chosen, _ = drive(make_loop, matrices, harm({(0, "fc_in"): 0.03, (1, "fc_out"): 1.0}), 0.02)
    found = places(chosen)
    assert found[(0, "fc_in")] == 2
    assert (1, "fc_out") not in found
    assert found[(1, "q_proj")] == 1


def test_ranks_that_save_no_storage_are_not_taken(make_loop: MakeLoop, matrices: MatrixMap):
    edits = Space.of(matrices, ranks=(1, 8, 15)).edits
    shapes = {edit: matrices[matrices.select(edit.layer, edit.matrix)[0]].shape for edit in edits}
    for edit in edits:
        out, inputs = shapes[edit]
        assert smallest.saved(edit, matrices) == max(0, out * inputs - edit.rank * (out + inputs))
    square = next(edit for edit in edits if edit.rank == 8 and len(set(shapes[edit])) == 1)
    loop = make_loop(FakeScorer(harm({})), Space((square,)))
    assert smallest.drive(loop, SearchConfig(name="smallest", delta=0.5)) is None


def test_cuts_that_harm_together_are_left_out_the_most_harmful_first(make_loop: MakeLoop, matrices: MatrixMap):
    by_matrix = {(0, "fc_in"): 0.008, (0, "fc_out"): 0.004, (1, "fc_in"): 0.002}
    chosen, loop = drive(make_loop, matrices, harm(by_matrix), 0.01)
    found = places(chosen)
    assert len(found) == len(loop.space.by_matrix()) - 1
    assert (0, "fc_in") not in found
    assert loop.scorer.held[-1] == ()


def test_no_cut_that_was_left_out_can_be_put_on_top(make_loop: MakeLoop, matrices: MatrixMap):
    rng = np.random.default_rng(1)
    by_matrix = {place[1:]: rng.uniform(0, 0.008) for place in Space.of(matrices, ranks=(1,)).by_matrix()}
    chosen, loop = drive(make_loop, matrices, harm(by_matrix), 0.01)
    assert chosen is not None
    left = [cell for cell in smallest.alone(loop, 0.01) if cell.edits[0] not in chosen.edits]
    assert left
    for cell in left:
        bound = gain_intervals(loop, [smallest.together(loop, [chosen, cell])]).bound[0]
        assert bound <= -0.01


def test_nothing_is_chosen_where_every_cut_harms(make_loop: MakeLoop, matrices: MatrixMap):
    every = {place[1:]: 1.0 for place in Space.of(matrices, ranks=(1,)).by_matrix()}
    chosen, _ = drive(make_loop, matrices, harm(every), 0.01)
    assert chosen is None


class NoFeedForward:
    """A guard that turns every stack with a cut of layer 0's fc_in below rank 4 away."""

    def passes(self, edits: tuple[Edit, ...]) -> bool:
        return all((edit.layer, edit.matrix) != (0, "fc_in") or edit.rank >= 4 for edit in edits)


def test_the_guard_has_its_say_of_every_cut_and_of_the_stack(make_loop: MakeLoop, matrices: MatrixMap):
    chosen, loop = drive(make_loop, matrices, harm({}), 0.01, guard=NoFeedForward())
    assert places(chosen)[(0, "fc_in")] == 4
    assert loop.verdicts[chosen.edits]


def test_accuracy_needs_groups_enough_to_show_no_harm(make_loop: MakeLoop, matrices: MatrixMap):
    loop = make_loop(FakeScorer(harm({})), Space.of(matrices, ranks=(1,)))  # 12 groups, nothing changes
    assert smallest.drive(loop, SearchConfig(name="smallest", delta=0.2)) is None
    assert smallest.drive(loop, SearchConfig(name="smallest", delta=0.25)) is not None


@given(st.lists(st.floats(-0.01, 0.02), min_size=12, max_size=12), st.integers(0, 1_000))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_chosen_stack_is_above_the_margin_by_recomputation(
    make_loop: MakeLoop, matrices: MatrixMap, harms: list[float], seed: int
):
    noise = np.random.default_rng(seed).normal(1.0, 0.5, ROWS)
    names = [place[1:] for place in Space.of(matrices, ranks=(1,)).by_matrix()]
    by_matrix = dict(zip(names, harms, strict=False))

    def of(edits: tuple[Edit, ...]) -> np.ndarray:
        return BASE + noise * sum(by_matrix.get((int(edit.layer), edit.matrix), 0.0) / edit.rank for edit in edits)

    loop = make_loop(FakeScorer(of), Space.of(matrices, ranks=(1, 2)), "log_loss", repr((harms, seed)), seed=seed)
    chosen = smallest.drive(loop, SearchConfig(name="smallest", delta=0.01))
    if chosen is None:
        return
    gains = loop.base.log_loss.astype(float) - chosen.log_loss.astype(float)
    (ci90,) = bootstrap_cis(gains, loop.groups, (0.9,), seed=seed + 1)
    assert ci90 is not None
    spread = gains.reshape(-1, 2).mean(axis=1).std() / np.sqrt(ROWS / 2)
    assert ci90[0] > -0.01 - 0.2 * spread  # another draw of the resampling
    assert gain_intervals(loop, [chosen]).bound[0] > -0.01
