"""The driver gradient: whose rows the gradient is taken on, what is scored, and on a real model: weights untouched."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from families import FAMILIES, inputs_of
from searches import ROWS, FakeScorer
from torch import Tensor, nn

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import find_matrices
from laser_lit.results.store import ResultsStore
from laser_lit.search import gradient, greedy
from laser_lit.search.gradient import forecast, predict, spread
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.rows import Rows
from laser_lit.search.slopes import Forecast
from laser_lit.search.space import Edits, Space

SPACE = Space(
    tuple(Edit(layer, name, rank=rank) for layer in (0, 1) for name in ("fc_in", "q_proj") for rank in (1, 2, 4))
)


class ModelScorer:
    """Scores a tiny model: a row a sequence, its loss the mean square of the logits of half the sequence."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.matrices = find_matrices(model)
        self.asked: list[list[int]] = []

    def row_losses(self, rows: Sequence[int]) -> Tensor:
        ids = inputs_of(self.model)["input_ids"]  # (2, 7)
        ids = torch.cat([ids.roll(shift, 1) for shift in range(4)])[list(rows)]
        return self.model(input_ids=ids).logits.square().mean((1, 2))

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        rows = range(8) if rows is None else rows
        with (stack or Stack([])).applied(self.matrices), torch.no_grad():
            loss = self.row_losses(rows).numpy()
        ids = [str(row) for row in rows]
        return pd.DataFrame({"id": ids, "group": ids, "correct": None, "log_loss": loss, "n_tokens": 1})

    def hold(self, stack: Stack | None) -> None:
        pass

    def losses(self, rows: Sequence[int]) -> Iterator[Tensor]:
        self.asked.append(list(rows))
        for start in range(0, len(rows), 3):
            yield self.row_losses(rows[start : start + 3]).sum() / len(rows)


@pytest.fixture
def live(tmp_path: Path) -> Loop:
    scorer = ModelScorer(FAMILIES["gptj"]())
    rows = Rows.of(scorer.score(None), np.ones(8), 0)
    space, store = Space.of(scorer.matrices, ranks=(1, 2, 4, 8, 12)), ResultsStore(tmp_path)
    return Loop(scorer, space, Objective("log_loss", rows.weights), rows, scorer.matrices, store, {"model": "tiny"})


def bits(model: nn.Module) -> dict[str, tuple[Any, ...]]:
    return {name: (p.detach().clone(), p.requires_grad, p.grad) for name, p in model.named_parameters()}


def same(before: dict[str, tuple[Any, ...]], after: dict[str, tuple[Any, ...]]) -> bool:
    return all(
        torch.equal(old, after[name][0]) and (flag, grad) == after[name][1:]
        for name, (old, flag, grad) in before.items()
    )


def test_rows_are_spread_over_the_groups() -> None:
    groups = np.array(list("aaabbcddd"))
    assert spread(groups, 4).tolist() == [0, 3, 5, 6]
    assert spread(groups, 6).tolist() == [0, 3, 5, 6, 1, 4]
    assert spread(groups, 100).tolist() == [0, 3, 5, 6, 1, 4, 7, 2, 8]
    assert spread(np.array(["x", "y", "x"]), 2).tolist() == [0, 1]


def test_predictions_are_those_of_the_loss_of_the_rows(live: Loop) -> None:
    found = predict(live, live.space, 4)
    assert live.scorer.asked == [live.order[:4].tolist()]
    assert live.predicted == found
    predict(live, live.space, [5, 1])
    assert live.scorer.asked[-1] == [5, 1]
    few = live.space.edits[:3]
    alone = predict(live, Space(few), 4)
    assert [alone[edit] for edit in few] == pytest.approx([found[edit] for edit in few], rel=1e-4)


def test_predictions_on_top_of_a_stack_are_taken_under_it(live: Loop) -> None:
    first = (Edit(0, "fc_in", rank=1),)
    rest = live.space.without(first)
    base = predict(live, live.space, 8)
    before = bits(live.scorer.model)
    above = forecast(live, rest, 8, first)
    assert live.predicted == base  # what the report shows is of single edits
    assert same(before, bits(live.scorer.model))
    Stack(first).apply(live.matrices)
    applied = predict(live, rest, 8)
    assert [above[edit].change for edit in rest.edits] == pytest.approx(list(applied.values()), rel=1e-4, abs=1e-9)
    assert any(abs(applied[edit] - base[edit]) > 1e-3 * abs(base[edit]) for edit in rest.edits)


def test_small_edits_change_the_loss_as_predicted(live: Loop) -> None:
    predicted = predict(live, live.space, 8)
    base = live.base.log_loss.mean()
    small = [edit for edit in live.space.edits if edit.rank == 12 and edit.layer == 1]
    for edit in small:
        change = live.score((edit,)).log_loss.mean() - base
        assert change == pytest.approx(predicted[edit], rel=0.5, abs=0.002)


@pytest.mark.parametrize("driver", [gradient.drive, greedy.drive])
def test_drivers_score_few_cells_and_leave_the_model_as_it_was(live: Loop, driver: Callable) -> None:
    before = bits(live.scorer.model)
    chosen = driver(live, SearchConfig(verify=6, steps=2, examples=8))
    assert same(before, bits(live.scorer.model))
    assert chosen is not None
    assert live.objective.merit(chosen) > live.objective.merit(live.base)
    assert live.cost <= 12
    best = min(live.score((edit,)).log_loss.mean() for edit in live.space.edits)
    assert chosen.log_loss.mean() <= best * 1.02


def fake_loop(make_loop: Callable[..., Loop], gains: dict[Edit, float], objective: str = "log_loss") -> Loop:
    def losses(edits: Edits) -> np.ndarray:
        return np.full(ROWS, 1.5 - sum(gains.get(edit, 0.0) for edit in edits), dtype=float)

    return make_loop(FakeScorer(losses, text=True), SPACE, objective)


def drive(
    monkeypatch: pytest.MonkeyPatch, loop: Loop, changes: dict[Edit, float], verify: int
) -> tuple[Any, list[Edit]]:
    found = {edit: Forecast(changes.get(edit, 0.0), 0.5) for edit in SPACE.edits}
    monkeypatch.setattr(gradient, "forecast", lambda *_: found)
    best = gradient.drive(loop, SearchConfig(name="gradient", verify=verify))
    return best, [cell.edits[0] for cell in loop.cells]


def test_the_last_cells_go_to_the_ranks_around_the_best(
    make_loop: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, hidden = Edit(1, "q_proj", rank=4), Edit(1, "q_proj", rank=2)
    loop = fake_loop(make_loop, {good: 0.5, hidden: 0.6})
    changes = {edit: -1.0 for edit in SPACE.edits if edit.matrix == "fc_in"} | {good: -0.9, hidden: 0.9}
    best, tried = drive(monkeypatch, loop, changes, 8)
    assert tried[6] == hidden
    assert best.edits == (hidden,)


def test_no_more_cells_than_there_are(make_loop: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch) -> None:
    loop = fake_loop(make_loop, {})
    best, tried = drive(monkeypatch, loop, {}, 100)
    assert best is None
    assert sorted(tried, key=str) == sorted(SPACE.edits, key=str)


def test_failed_cells_are_passed_over(make_loop: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = Edit(0, "fc_in", rank=1), Edit(1, "q_proj", rank=4)

    def losses(edits: Edits) -> np.ndarray:
        if bad in edits:
            raise ValueError("no")
        return np.full(ROWS, 0.5 if good in edits else 1.5)

    loop = make_loop(FakeScorer(losses, text=True), SPACE, "log_loss")
    best, tried = drive(monkeypatch, loop, {bad: -2.0, good: -1.0}, 6)
    assert tried[0] == bad
    assert best.edits == (good,)
