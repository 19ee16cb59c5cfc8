"""What the table of cells says of each stack's gain."""

from collections.abc import Callable

import numpy as np
import pytest
from searches import ROWS, FakeScorer

from laser_lit.edits.edit import Edit
from laser_lit.results.multiple import max_t
from laser_lit.results.stats import bootstrap_cis
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.table import cell_table

A, B = Edit(0, "fc_in", rank=1), Edit(1, "fc_out", rank=2)
MakeLoop = Callable[..., Loop]


def losses(edits: tuple[Edit, ...]) -> np.ndarray:
    """A mends some rows and spoils a few, B changes nothing."""
    loss = np.where(np.arange(ROWS) % 3, 1.3, 0.7)
    return loss + np.where(np.arange(ROWS) < 20, -0.6, 0.6) if A in edits else loss


@pytest.mark.parametrize("objective", ["accuracy", "log_loss"])
def test_each_gain_has_an_interval_and_the_other_metric_an_adjusted_p(make_loop: MakeLoop, objective: str):
    loop = make_loop(FakeScorer(losses), objective=objective)
    cells = [loop.score((A,)), loop.score((B,))]
    table = cell_table(loop, "grid", 0.3)
    for metric in ("accuracy", "log_loss"):
        gains = Objective(metric, loop.objective.weights).gains(cells, loop.base)
        ci95, ci90 = bootstrap_cis(gains[0], loop.groups, (0.95, 0.9))
        found = table.iloc[0][[f"gain_{metric}_{end}" for end in ("low", "high", "bound")]]
        assert found.to_numpy(dtype=float) == pytest.approx((*ci95, ci90[0]), abs=0.03)
        adjusted = table["p_adjusted" if metric == objective else "p_adjusted_other"]
        assert adjusted.to_numpy() == pytest.approx(max_t(gains, loop.groups)[1])
    assert list(table["not_worse"]) == [True, True]


def test_what_is_not_complete_has_neither(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses))
    loop.score((A,), 6)
    (row,) = cell_table(loop, "racing").to_dict("records")
    assert row["not_worse"] is None
    assert np.isnan([row["gain_accuracy_bound"], row["gain_log_loss_low"], row["p_adjusted_other"]]).all()


def test_text_has_the_log_loss_alone(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses, text=True), objective="log_loss")
    loop.score((A,))
    row = cell_table(loop, "grid").iloc[0]
    assert np.isnan([row["gain_accuracy_low"], row["p_adjusted_other"]]).all()
    assert row["gain_log_loss_low"] < row["gain_log_loss"] < row["gain_log_loss_high"]
