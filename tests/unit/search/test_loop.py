import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from searches import ROWS, FakeScorer

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.search import collect, grid
from laser_lit.search.cell import Piece
from laser_lit.search.loop import Loop
from laser_lit.search.space import Edits, Space
from laser_lit.search.table import cell_table

A, B = Edit(0, "fc_in", rank=1), Edit(1, "fc_out", rank=2)
MakeLoop = Callable[..., Loop]


def losses(edits: Edits) -> np.ndarray:
    """Base: every other row right; A mends four rows, B eight, both together all of theirs."""
    loss = np.where(np.arange(ROWS) % 2, 0.5, 1.5)
    for edit, mended in ((A, 4), (B, 8)):
        if edit in edits:
            loss[: 2 * mended] -= 0.75
    return loss


def test_the_base_is_half_right_and_every_cell_is_scored_on_all_rows(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses))
    assert loop.objective.merit(loop.base) == (0.5, -1.0)
    cell = loop.score((B,))
    assert cell.n == loop.size == ROWS
    assert loop.objective.merit(cell) == (20 / ROWS, -0.5)
    assert loop.cost == 1.0


def test_rows_come_group_by_group_in_a_seeded_order(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses))
    assert sorted(loop.order) == list(range(ROWS))
    assert (loop.groups[::2] == loop.groups[1::2]).all()
    assert len(set(loop.groups)) == ROWS // 2
    assert list(loop.order) != list(range(ROWS))


def test_a_cell_grows_by_the_rows_that_it_lacks(make_loop: MakeLoop):
    scorer = FakeScorer(losses)
    loop = make_loop(scorer)
    scorer.asked.clear()
    few, more, again = loop.score((A,), 6), loop.score((A,), 10), loop.score((A,), 4)
    assert [len(rows) for _, rows in scorer.asked] == [6, 4]
    assert [rows for _, rows in scorer.asked] == [tuple(loop.order[:6]), tuple(loop.order[6:10])]
    np.testing.assert_allclose(more.log_loss, losses((A,))[loop.order[:10]])
    np.testing.assert_array_equal(few.log_loss, more.log_loss[:6])
    assert again.n == 4
    assert loop.cost == pytest.approx(10 / ROWS)


def test_a_second_loop_on_the_folder_scores_nothing(make_loop: MakeLoop):
    first = make_loop(FakeScorer(losses))
    cells = [first.score(edits) for edits in ((A,), (B,), (A, B))]
    scorer = FakeScorer(losses)
    second = make_loop(scorer)
    for cell in cells:
        found = second.score(cell.edits)
        np.testing.assert_array_equal(found.log_loss, cell.log_loss)
        np.testing.assert_array_equal(found.correct, cell.correct)
    assert scorer.asked == []
    assert second.cost == first.cost == 3.0  # what the search asked for, whoever scored it
    assert (first.found, second.found) == (0, 2)  # candidates, which (A, B) is not
    assert first.fresh == {(A,), (B,), (A, B)}
    assert second.fresh == set()


def test_the_journal_keeps_every_cell_readable(make_loop: MakeLoop, tmp_path: Path):
    make_loop(FakeScorer(losses)).score((B,))
    (path,) = (tmp_path / "results").glob("cells-*.jsonl")
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["edits"] for entry in entries] == [
        [],
        [{"layer": 1, "matrix": "fc_out", "part": None, "kind": "low_rank", "rank": 2}],
    ]
    assert Piece.from_json(entries[1]["piece"]).stop == ROWS


def test_a_cell_that_cannot_be_scored_is_a_record_and_is_tried_again_on_demand(make_loop: MakeLoop):
    def broken(edits: Edits) -> np.ndarray:
        if A in edits:
            raise InputError("overflows")
        return losses(edits)

    scorer = FakeScorer(broken)
    loop = make_loop(scorer)
    cell = loop.score((A,))
    assert cell.error == "InputError: overflows"
    assert cell.n == 0
    assert make_loop(FakeScorer(losses)).score((A,)).error == cell.error
    assert make_loop(FakeScorer(losses), retry=True).score((A,)).n == ROWS
    assert make_loop(FakeScorer(losses)).score((A,)).error is None
    assert loop.best([cell]) is None


def test_a_cell_of_infinite_log_loss_has_failed(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(lambda edits: losses(()) + (np.inf if A in edits else 0)))
    assert loop.score((A,)).error == f"log loss infinite on {ROWS} rows"


def test_a_base_that_cannot_be_scored_stops_the_search(make_loop: MakeLoop):
    scorer = FakeScorer(losses)
    scorer.score = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]
    with pytest.raises(InputError, match=r"as it is.*division"):
        make_loop(scorer)


def test_the_best_beats_the_base_by_accuracy_then_log_loss(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(lambda edits: losses(()) - (0.01 if A in edits else 0.02 if B in edits else 0)))
    a, b = loop.score((A,)), loop.score((B,))
    assert loop.best([a, b]) is b  # equally right
    assert loop.best([a], above=b) is None
    assert loop.best([]) is None


def test_the_curve_has_the_best_so_far_which_is_the_base_at_first(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(lambda edits: losses(edits) + (2.0 if edits == (A,) else 0.0)))
    loop.score((A,))
    loop.score((B,), ROWS // 2)
    loop.score((B,))
    loop.score((A, Edit(0, "fc_out", rank=1)))
    base, best = loop.objective.merit(loop.base), loop.objective.merit(loop.score((B,)))
    assert best > base
    assert loop.curve == [(1.0, base), (2.0, best), (3.0, best)]
    assert cell_table(loop, "grid")["guard"].isna().all()


def test_a_cell_that_lacks_rows_is_never_the_best(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses))
    few = loop.score((B,), ROWS - 1)
    assert loop.objective.merit(few) > loop.objective.merit(loop.base)
    assert loop.best([few]) is None


def test_the_base_is_not_beaten_by_its_like(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(lambda _: losses(())))
    assert loop.best([loop.score((A,)), loop.score((B,))]) is None


def test_a_guard_turns_the_best_away(make_loop: MakeLoop):
    class Guard:
        asked: list[Edits] = []  # noqa: RUF012

        def passes(self, edits: Edits) -> bool:
            self.asked.append(edits)
            return B not in edits

    loop = make_loop(FakeScorer(losses), guard=Guard())
    best = loop.best([loop.score((A,)), loop.score((B,))])
    assert best is not None
    assert best.edits == (A,)
    assert Guard.asked == [(B,), (A,)]
    assert loop.verdicts == {(B,): False, (A,): True}
    loop.score((A, B))
    said = cell_table(loop, "grid")["guard"]
    assert (list(said[:2]), said.isna()[2]) == (["passed", "refused"], True)
    merit = loop.objective.merit
    assert loop.curve == [(1.0, merit(best)), (2.0, merit(best)), (3.0, merit(loop.score((A, B))))]


def test_text_is_judged_by_its_log_loss(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses, text=True), objective="log_loss")
    cell = loop.score((A,))
    assert cell.correct is None
    assert loop.objective.merit(cell) == (-0.75, 0.0)
    np.testing.assert_array_equal(loop.objective.values(cell), -cell.log_loss)


def test_the_grid_scores_every_candidate_once_and_collect_finds_the_same(make_loop: MakeLoop):
    loop = make_loop(FakeScorer(losses))
    best = grid.drive(loop, SearchConfig(name="grid"))
    assert best is not None
    assert best.edits == (B,)
    assert loop.cost == len(loop.space) == len(loop.cells)
    scorer = FakeScorer(losses)
    collected = collect.drive(make_loop(scorer), SearchConfig(name="collect"))
    assert collected is not None
    assert collected.edits == (B,)
    assert scorer.asked == []


def test_the_ranks_of_a_matrix_share_their_passes_where_that_is_faster(make_loop: MakeLoop, monkeypatch):
    scorer = FakeScorer(losses)
    scorer.together = True
    alone, groups = scorer.score, []

    def many(stacks, rows):
        groups.append([stack.edits for stack in stacks])
        return [alone(stack, rows) for stack in stacks]

    loop = make_loop(scorer)
    monkeypatch.setattr(scorer, "score_many", many)
    monkeypatch.setattr(scorer, "score", lambda *_: pytest.fail("scored alone"))
    best = grid.drive(loop, SearchConfig(name="grid"))
    assert best is not None
    assert best.edits == (B,)
    assert len(groups) == 12
    assert len(loop.fresh) == 36
    assert all(len({edits[0].matrix for edits in group}) == 1 and len(group) == 3 for group in groups)
    assert loop.cost == 36


def test_a_shared_pass_that_fails_leaves_each_stack_to_itself(make_loop: MakeLoop, monkeypatch):
    scorer = FakeScorer(losses)
    scorer.together = True
    monkeypatch.setattr(scorer, "score_many", lambda *_: 1 / 0)
    loop = make_loop(scorer)
    grid.drive(loop, SearchConfig(name="grid"))
    assert all(cell.error is None and cell.n == ROWS for cell in loop.cells)


def test_shards_of_the_grid_fill_one_folder_and_collect_says_what_is_missing(make_loop: MakeLoop):
    for shard in (0, 2):
        grid.drive(make_loop(FakeScorer(losses)), SearchConfig(name="grid", shard=shard, shards=3))
    with pytest.raises(InputError, match=r"12 of 36 cells .* layer 1 k_proj"):
        collect.drive(make_loop(FakeScorer(losses)), SearchConfig(name="collect"))
    grid.drive(make_loop(FakeScorer(losses)), SearchConfig(name="grid", shard=1, shards=3))
    best = collect.drive(make_loop(FakeScorer(losses)), SearchConfig(name="collect"))
    assert best is not None
    assert best.edits == (B,)


def test_the_table_has_gains_and_adjusted_p(make_loop: MakeLoop, matrices):
    loop = make_loop(FakeScorer(losses), Space.of(matrices, matrix=["fc_in", "fc_out"], ranks=(1, 2)))
    grid.drive(loop, SearchConfig(name="grid"))
    loop.predicted[B] = -0.25
    loop.score((A, B), 10)
    table = cell_table(loop, "grid")
    assert len(table) == 9
    row = table[table["edits"] == "layer 1 fc_out rank 2"].iloc[0]
    assert row["gain_accuracy"] == pytest.approx(8 / ROWS)
    assert row["gain_log_loss"] == pytest.approx(0.5)
    assert row["rho"] == 2 / 16
    assert row["predicted"] == -0.25
    assert 0 < row["p"] <= row["p_adjusted"] <= 0.05
    last = table.iloc[-1]
    assert (last["step"], last["n"], bool(last["complete"])) == (1, 10, False)
    assert np.isnan(last["p_adjusted"])
