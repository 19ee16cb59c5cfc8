"""Cells that fail, wholly or on later rows, and journals that are damaged."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from searches import ROWS, FakeScorer

from laser_lit.edits.edit import Edit
from laser_lit.search.loop import Loop
from laser_lit.search.table import cell_table

A = Edit(0, "fc_in", rank=1)
MakeLoop = Callable[..., Loop]


def losses(edits: tuple[Edit, ...]) -> np.ndarray:
    return np.where(np.arange(ROWS) % 2, 0.5, 1.5) - 0.25 * len(edits)


class Failing(FakeScorer):
    """Cannot score edited models on more than the first rows of the order."""

    def __init__(self, first: int) -> None:
        super().__init__(losses)
        self.first = first
        self.given = 0

    def score(self, stack, rows=None):
        if stack is not None:
            self.given += len(rows)
            if self.given > self.first:
                raise ValueError("overflows")
        return super().score(stack, rows)


def test_what_was_scored_before_a_failure_is_known_to_the_next_run(make_loop: MakeLoop):
    """A race that goes on must see on its first rows what it saw before."""
    loop = make_loop(Failing(6))
    assert loop.score((A,), 6).n == 6
    assert loop.score((A,), 12).error == "ValueError: overflows"
    scorer = FakeScorer(losses)
    again = make_loop(scorer)
    few = again.score((A,), 6)
    assert (few.n, few.error) == (6, None)
    assert again.score((A,), 12).error == "ValueError: overflows"
    assert again.score((A,), 12).n == 0
    assert scorer.asked == []
    assert again.knows((A,))


def test_a_failure_on_later_rows_is_mended_by_trying_again(make_loop: MakeLoop):
    loop = make_loop(Failing(6))
    loop.score((A,), 6)
    loop.score((A,), 12)
    mended = make_loop(FakeScorer(losses), retry=True)
    assert mended.score((A,), 6).n == 6
    assert mended.score((A,), 12).n == 12
    whole = make_loop(FakeScorer(losses)).score((A,))
    assert whole.error is None
    np.testing.assert_allclose(whole.log_loss, losses((A,))[loop.order])


def test_a_failed_cell_is_tried_again_once_a_run(make_loop: MakeLoop):
    make_loop(Failing(0)).score((A,))
    scorer = Failing(0)
    loop = make_loop(scorer, retry=True)
    assert loop.score((A,)).error == loop.score((A,)).error == "ValueError: overflows"
    assert scorer.given == ROWS


def test_a_base_that_failed_once_is_scored_again(make_loop: MakeLoop):
    """What was wrong may not be in the hash: a batch size, a full card."""
    broken = FakeScorer(losses)
    broken.score = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]
    with pytest.raises(ValueError, match="division"):
        make_loop(broken)
    loop = make_loop(FakeScorer(losses))
    assert (loop.base.n, loop.base.error) == (ROWS, None)


def test_a_damaged_cell_is_scored_again(make_loop: MakeLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    before = make_loop(FakeScorer(losses)).score((A,))
    (path,) = (tmp_path / "results").glob("cells-*.jsonl")
    base, cell = (json.loads(line) for line in path.read_text().splitlines())
    cell["piece"]["log_loss"] = cell["piece"]["log_loss"][:-8]
    path.write_text(f"{json.dumps(base)}\n{json.dumps(cell)}\n")
    scorer = FakeScorer(losses)
    found = make_loop(scorer).score((A,))
    assert [len(rows) for _, rows in scorer.asked] == [ROWS]
    np.testing.assert_array_equal(found.log_loss, before.log_loss)
    assert "cannot be read" in caplog.text
    assert make_loop(FakeScorer(losses)).score((A,)).n == ROWS


def test_rows_without_right_or_wrong_beside_rows_that_have_it(make_loop: MakeLoop):
    """Of text beside questions the first rows may be questions alone."""

    class Mixed(FakeScorer):
        def score(self, stack, rows=None):
            table = super().score(stack, rows)
            return table.assign(correct=table["correct"].where(table["id"] != "row 23"))

    loop = make_loop(Mixed(losses), objective="log_loss")
    last = int(np.flatnonzero(loop.order == 23)[0])
    assert last > 0
    assert loop.score((A,), last).correct is not None
    assert loop.score((A,)).correct is None
    assert cell_table(loop, "grid")["accuracy"].isna().all()


def test_a_search_without_candidates_has_an_empty_table(make_loop: MakeLoop):
    table = cell_table(make_loop(FakeScorer(losses)), "grid")
    assert len(table) == 0
    assert {"gain_accuracy", "p_adjusted", "error"} <= set(table.columns)
