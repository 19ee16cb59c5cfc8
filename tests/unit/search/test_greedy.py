"""The rule by which greedy goes on; what gradients say is faked, and candidates are scored in the order given."""

from collections.abc import Callable

import numpy as np
import pytest
from searches import ROWS, FakeScorer

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.search import greedy
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.slopes import Forecast
from laser_lit.search.space import Edits, Space

A, B, C = Edit(0, "fc_in", rank=1), Edit(1, "fc_out", rank=1), Edit(1, "q_proj", rank=1)
MakeLoop = Callable[..., Loop]


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Edits, int]]:
    """Returns what was forecast: (edits so far, candidates)."""
    asked: list[tuple[Edits, int]] = []

    def forecast(loop: Loop, space: Space, rows: int, prefix: Edits) -> dict[Edit, Forecast]:
        asked.append((prefix, len(space)))
        return dict.fromkeys(space.edits, Forecast(-1.0, 0.5))

    def verified(loop: Loop, found: dict[Edit, Forecast], surrogate: object, count: int, above: Cell) -> list[Cell]:
        return [loop.score((*above.edits, edit)) for edit in list(found)[:count]]

    monkeypatch.setattr(greedy, "forecast", forecast)
    monkeypatch.setattr(greedy, "verified", verified)
    return asked


def losses(mended: dict[Edit, slice]) -> Callable[[Edits], np.ndarray]:
    """Returns a model that is wrong everywhere but where an edit of the stack mends it."""

    def of(edits: Edits) -> np.ndarray:
        loss = np.full(ROWS, 1.5)
        for edit, rows in mended.items():
            if edit in edits:
                loss[rows] = 0.5
        return loss

    return of


def drive(make_loop: MakeLoop, of: Callable[[Edits], np.ndarray], **settings: int) -> tuple[Cell | None, Loop]:
    loop = make_loop(FakeScorer(of), Space((A, B, C)))
    return greedy.drive(loop, SearchConfig(name="greedy", **settings)), loop


def test_edits_are_stacked_while_they_gain_and_ranked_anew_each_time(make_loop: MakeLoop, fakes: list):
    best, loop = drive(make_loop, losses({A: slice(0, 12), B: slice(12, 24), C: slice(0, 4)}))
    assert best is not None
    assert best.edits == (A, B)
    assert fakes == [((), 3), ((A,), 2), ((A, B), 1)]
    assert [cell.edits for cell in loop.path] == [(A,), (A, B)]
    assert loop.scorer.held == [(), (A,), (A, B), ()]


def test_a_later_step_must_gain_beyond_chance(make_loop: MakeLoop):
    best, loop = drive(make_loop, losses({A: slice(0, 12), B: slice(12, 14)}))  # one group of two rows more
    assert best is not None
    assert best.edits == (A,)
    assert any(cell.edits == (A, B) for cell in loop.cells)  # it was tried


def test_no_more_steps_than_asked_for(make_loop: MakeLoop, fakes: list):
    best, _ = drive(make_loop, losses({A: slice(0, 12), B: slice(12, 24)}), steps=1)
    assert best is not None
    assert best.edits == (A,)
    assert len(fakes) == 1


def test_nothing_is_chosen_where_nothing_gains(make_loop: MakeLoop):
    best, loop = drive(make_loop, losses({}))
    assert best is None
    assert loop.path == []


def test_every_matrix_is_edited_at_most_once(make_loop: MakeLoop, fakes: list):
    other = Edit(0, "fc_in", rank=2)
    scorer = FakeScorer(losses({A: slice(0, 12), other: slice(0, 24)}))
    best = greedy.drive(make_loop(scorer, Space((A, other, B))), SearchConfig(name="greedy"))
    assert best is not None
    assert best.edits == (other,)
    assert fakes == [((), 3), ((other,), 1)]


def test_the_base_is_held_again_after_an_error(make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> list[Cell]:
        raise KeyboardInterrupt

    monkeypatch.setattr(greedy, "verified", broken)
    scorer = FakeScorer(losses({}))
    with pytest.raises(KeyboardInterrupt):
        greedy.drive(make_loop(scorer, Space((A, B))), SearchConfig(name="greedy"))
    assert scorer.held[-1] == ()
