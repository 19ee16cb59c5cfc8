"""What is kept of a cell, in which order rows come and what they count, and which cells are another's."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searches import ROWS, FakeScorer

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.models.matrices import MatrixMap
from laser_lit.results.multiple import max_t
from laser_lit.results.store import ResultsStore
from laser_lit.search import grid
from laser_lit.search.cell import Cell, Piece
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.rows import Rows
from laser_lit.search.space import Space
from laser_lit.search.table import cell_table, path_rows

A = Edit(0, "fc_in", rank=1)
MakeLoop = Callable[..., Loop]


def losses(edits: tuple[Edit, ...]) -> np.ndarray:
    return np.where(np.arange(ROWS) % 3, 0.5, 1.5) - 0.75 * len(edits) * (np.arange(ROWS) < ROWS // 2)


@given(
    rows=st.lists(st.tuples(st.booleans(), st.floats(0, 100, width=32)), max_size=40),
    start=st.integers(0, 9),
    text=st.booleans(),
)
def test_a_piece_comes_back_bit_for_bit(rows: list[tuple[bool, float]], start: int, text: bool):
    correct = None if text else np.array([right for right, _ in rows], dtype=bool)
    loss = np.array([value for _, value in rows], dtype=np.float32)
    found = Piece.from_json(Piece(start, correct, loss, 1.5).to_json())
    assert (found.start, found.stop, found.seconds, found.error) == (start, start + len(rows), 1.5, None)
    np.testing.assert_array_equal(found.log_loss, loss)
    assert (found.correct is None) is text
    if correct is not None and found.correct is not None:
        np.testing.assert_array_equal(found.correct, correct)


def test_rows_keep_their_weights_and_depend_on_the_seed():
    table = pd.DataFrame({"group": list("abcdefgh") * 2})
    weights = np.arange(1.0, 17.0)
    rows = Rows.of(table, weights, seed=3)
    np.testing.assert_allclose(rows.weights, weights[rows.order] / weights.mean())
    np.testing.assert_array_equal(rows.groups, table["group"].to_numpy()[rows.order])
    np.testing.assert_array_equal(rows.order, Rows.of(table, weights, seed=3).order)
    assert any((rows.order != Rows.of(table, weights, seed=seed).order).any() for seed in range(3))


@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_the_merit_is_a_weighted_mean(name: str):
    cell = Cell((A,), np.array([True, False]), np.array([0.5, 2.0]))
    merit = Objective(name, np.array([3.0, 1.0, 9.0])).merit(cell)
    assert merit == pytest.approx((0.75, -0.875) if name == "accuracy" else (-0.875, 0.0))


def test_cells_are_not_shared_where_anything_else_decides_the_scores(make_loop: MakeLoop, tmp_path: Path):
    loop = make_loop(FakeScorer(losses))
    loop.score((A,))
    parts = (loop.space, loop.objective, loop.rows, loop.matrices, ResultsStore(tmp_path / "results"))
    for content, asked in (({"model": "fake", "seed": 0}, 0), ({"model": "fake", "seed": 1}, 2), ({"model": "x"}, 2)):
        scorer = FakeScorer(losses)
        Loop(scorer, *parts, content).score((A,))
        assert len(scorer.asked) == asked


def test_gains_and_p_are_weighted_as_the_objective_is(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses))
    cell = loop.score((A,))
    alike = cell_table(loop, "grid").iloc[0]
    mended = losses((A,))[loop.order] < losses(())[loop.order]
    loop.objective = Objective("accuracy", np.where(mended, 0.2, 1.8))
    row = cell_table(loop, "grid").iloc[0]
    assert row["accuracy"] == pytest.approx(loop.objective.merit(cell)[0])
    assert row["gain_accuracy"] == pytest.approx(loop.objective.merit(cell)[0] - loop.objective.merit(loop.base)[0])
    assert 0 < row["gain_accuracy"] < alike["gain_accuracy"]
    assert row["gain_log_loss"] == pytest.approx(0.75 * 0.2 / 2)


def test_a_steps_gain_is_over_the_step_before(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(lambda edits: losses(()) - 0.25 * len(edits)), objective="log_loss")
    other = Edit(1, "fc_in", rank=2)
    one, two = path_rows(loop, [loop.score((A,)), loop.score((A, other))])
    assert [row["edits"] for row in (one, two)] == ["layer 0 fc_in rank 1", "layer 1 fc_in rank 2"]
    assert one["gain"] == pytest.approx(0.25) == pytest.approx(two["gain"])
    assert two["validation"] == pytest.approx(one["validation"] + 0.25)


def test_of_equals_the_grid_takes_the_lowest_rank_of_the_last_layer(make_loop: MakeLoop, matrices: MatrixMap):
    space = Space.of(matrices, matrix="fc_in", ranks=(1, 2, 4))
    loop = make_loop(FakeScorer(lambda edits: losses(()) - 0.25 * len(edits)), space)
    best = grid.drive(loop, SearchConfig(name="grid"))
    assert best is not None
    assert best.edits == (Edit(1, "fc_in", rank=1),)
    assert [cell.edits[0].layer for cell in loop.cells] == [1, 1, 1, 0, 0, 0]


def test_a_prediction_is_of_a_single_edit_not_of_a_stack_that_ends_in_it(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses))
    loop.predicted[A] = -0.5
    loop.score((A,))
    loop.score((Edit(1, "fc_in", rank=1), A))
    alone, stacked = cell_table(loop, "greedy")["predicted"]
    assert alone == -0.5
    assert np.isnan(stacked)


def test_p_is_weighted_as_the_objective_is(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(lambda edits: losses(()) - 0.1 * len(edits) * np.sin(np.arange(ROWS))))
    loop.score((A,))
    loop.objective = Objective("log_loss", np.linspace(0.1, 1.9, ROWS))
    row = cell_table(loop, "grid").iloc[0]
    values = loop.objective.values
    gains = (values(loop.score((A,))) - values(loop.base))[None]
    (weighted,), _ = max_t(gains, loop.groups, weights=loop.objective.weights)
    (alike,), _ = max_t(gains, loop.groups)
    assert row["p"] == weighted != alike
