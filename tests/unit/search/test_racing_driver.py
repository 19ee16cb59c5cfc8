"""The driver racing on the real loop: orders, kills, resumes."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from searches import ROWS, FakeScorer

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.search import racing
from laser_lit.search.loop import Loop
from laser_lit.search.racing import FEWEST, drive, rungs
from laser_lit.search.space import Edits, Space

CONFIG = SearchConfig(name="racing", examples=0)
MakeLoop = Callable[..., Loop]


def table(loop: Loop) -> dict[Edits, int]:
    return {cell.edits: cell.n for cell in loop.cells}


def made_losses(edits: Edits) -> np.ndarray:
    """The base loses 1 nat a row; every edit has an effect of its own and a little noise."""
    rng = np.random.default_rng(crc32(repr(edits).encode()))
    effect = rng.normal(0.02, 0.05) if edits else 0.0
    return 1.0 + effect + 0.01 * rng.normal(size=ROWS)


def test_the_driver_finds_the_best_of_the_grid_for_its_share_of_the_cost(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(made_losses, text=True), objective="log_loss")
    best = min(loop.space.edits, key=lambda edit: made_losses((edit,)).mean())
    chosen = drive(loop, replace(CONFIG, budget=0.3))
    assert chosen is not None
    assert chosen.edits == (best,)
    assert loop.cost <= 0.3 * len(loop.space)


def test_candidates_are_scored_a_matrix_at_a_time(make_loop: MakeLoop):
    scorer = FakeScorer(made_losses)
    loop = make_loop(scorer)
    drive(loop, CONFIG)
    at = [loop.space.edits.index(edits[0]) for edits, _ in scorer.asked if edits]
    turns = np.flatnonzero(np.diff(at) < 0)
    assert at[: turns[0] + 1] == list(range(len(loop.space)))
    assert len(turns) == len(rungs(len(loop.space), ROWS, FEWEST * ROWS)) - 1


def test_nothing_is_chosen_where_nothing_beats_the_base(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(lambda edits: np.full(ROWS, 1.0)))
    assert drive(loop, CONFIG) is None


def test_one_candidate_is_scored_on_all_rows(make_loop: MakeLoop):
    scorer = FakeScorer(lambda edits: np.full(ROWS, 0.5 if edits else 1.5))
    only = Edit(0, "fc_in", rank=1)
    loop = make_loop(scorer, space=Space((only,)))
    chosen = drive(loop, CONFIG)
    assert chosen is not None
    assert (chosen.edits, chosen.n) == ((only,), ROWS)


@pytest.mark.parametrize("calls", [1, 5, 40, 50])
def test_a_race_that_was_killed_goes_on_as_it_would_have(make_loop: MakeLoop, tmp_path: Path, calls: int):
    whole = make_loop(FakeScorer(made_losses))
    expected, scored = drive(whole, CONFIG), table(whole)
    shutil.rmtree(tmp_path / "results")
    killed = FakeScorer(made_losses)
    loop = make_loop(killed)
    score = killed.score

    def dies(*args: object) -> object:
        if len(killed.asked) > calls:
            raise KeyboardInterrupt
        return score(*args)

    killed.score = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        drive(loop, CONFIG)
    again = FakeScorer(made_losses)
    resumed = make_loop(again)
    chosen = drive(resumed, CONFIG)
    assert expected is not None
    assert chosen is not None
    assert chosen.edits == expected.edits
    assert table(resumed) == scored
    pairs = [(edits, row) for edits, rows in killed.asked + again.asked for row in rows]
    assert len(pairs) == len(set(pairs))


def test_cells_of_a_grid_are_not_scored_again(make_loop: MakeLoop):
    first = make_loop(FakeScorer(made_losses))
    expected = drive(first, CONFIG)
    for edit in first.space.edits:
        first.score((edit,))
    scorer = FakeScorer(made_losses)
    second = make_loop(scorer)
    chosen = drive(second, CONFIG)
    assert scorer.asked == []
    assert (chosen and chosen.edits) == (expected and expected.edits)
    assert table(second) == {edits: n for edits, n in table(second).items() if n}
    assert second.cost <= max(CONFIG.budget * len(second.space), FEWEST)


def test_the_gradient_orders_the_field_and_counts(make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch):
    loop = make_loop(FakeScorer(lambda edits: np.full(ROWS, 1.5 if not edits else 1.0)), objective="log_loss")
    asked = []

    def predict(loop: Loop, space: Space, rows: int) -> dict[Edit, float]:
        asked.append(rows)
        return {edit: -float(number) for number, edit in enumerate(space.edits)}

    monkeypatch.setattr(racing, "predict", predict)
    chosen = drive(loop, replace(CONFIG, examples=100, budget=0.2))
    assert chosen is not None
    assert chosen.edits == (loop.space.edits[-1],)
    budget = 0.2 * len(loop.space) * ROWS
    assert asked == [min(ROWS, int(int(0.1 * budget) / 3))]
    assert loop.cost * ROWS <= budget - 3 * asked[0]


class Guard:
    """Turns away the best of the grid, as many as it is told, and counts what it is asked."""

    def __init__(self, loop: Loop, refused: int) -> None:
        ranked = sorted(loop.space.edits, key=lambda edit: made_losses((edit,)).mean())
        self.refused = {(edit,) for edit in ranked[:refused]}
        self.best = ranked[refused] if refused < len(ranked) else None
        self.asked: list[Edits] = []

    def passes(self, edits: Edits) -> bool:
        self.asked.append(edits)
        return edits not in self.refused


@pytest.mark.parametrize("refused", [0, 1, 6])
def test_a_race_is_led_by_those_that_the_guard_lets_pass(make_loop: MakeLoop, refused: int):
    """The best of the others is found, though it would have been left behind by those that cannot be chosen."""
    loop = make_loop(FakeScorer(made_losses, text=True), objective="log_loss")
    loop.guard = guard = Guard(loop, refused)
    chosen = drive(loop, replace(CONFIG, budget=0.3))
    assert chosen is not None
    assert chosen.edits == (guard.best,)
    assert len(guard.asked) == len(set(guard.asked))
    assert all(cell.n < ROWS for cell in loop.cells if cell.edits in guard.refused)
    assert loop.cost <= 0.3 * len(loop.space)


def test_a_guard_is_not_asked_about_what_it_could_not_gain_by(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(lambda edits: made_losses(edits) + len(edits), text=True), objective="log_loss")
    loop.guard = guard = Guard(loop, len(loop.space))
    assert drive(loop, CONFIG) is None
    assert guard.asked == []


@pytest.mark.parametrize("asked", [0, 3])
def test_a_guard_is_asked_so_often_before_the_last_rung(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, asked: int
):
    monkeypatch.setattr(racing, "ASKED", asked)
    loop = make_loop(FakeScorer(made_losses, text=True), objective="log_loss")
    loop.guard = guard = Guard(loop, len(loop.space))
    assert drive(loop, replace(CONFIG, budget=0.3)) is None
    last = [cell for cell in loop.cells if cell.n == ROWS]
    gain = [cell for cell in last if loop.objective.merit(cell) > loop.objective.merit(loop.base)]
    assert len(gain) > 1
    assert len(guard.asked) == asked + len(gain)
    assert not {cell.edits for cell in last} & set(guard.asked[:asked])


def test_a_guard_that_lets_nothing_pass_ends_a_race_before_its_dear_rounds(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(made_losses, text=True), objective="log_loss")
    loop.guard = guard = Guard(loop, len(loop.space))
    assert drive(loop, CONFIG) is None
    assert len(guard.asked) == len(set(guard.asked))
    assert not any(cell.n == ROWS for cell in loop.cells)


def test_a_race_goes_without_a_gradient_that_cannot_be_had(
    make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def predict(loop: Loop, space: Space, rows: int) -> dict[Edit, float]:
        raise InputError("the gradients of the loss are not finite numbers")

    monkeypatch.setattr(racing, "predict", predict)
    with caplog.at_level(logging.WARNING):
        chosen = drive(make_loop(FakeScorer(made_losses)), replace(CONFIG, examples=100))
    assert "not finite numbers" in caplog.text
    assert chosen is not None
    without = drive(make_loop(FakeScorer(made_losses)), CONFIG)
    assert without is not None
    assert chosen.edits == without.edits
