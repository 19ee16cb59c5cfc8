"""Pieces of scores, put together whoever wrote them, in whatever order and however they overlap."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.edits.edit import Edit
from laser_lit.results.store import ResultsStore
from laser_lit.search.cell import Piece
from laser_lit.search.known import Known

A = (Edit(0, "fc_in", rank=1),)
ROWS = np.arange(24, dtype=np.float32)


def piece(start: int, stop: int, text: bool = False) -> Piece:
    return Piece(start, None if text else ROWS[start:stop] % 2 == 0, ROWS[start:stop], 1.0)


def broken(start: int, words: str = "overflows") -> Piece:
    return Piece(start, None, np.zeros(0, dtype=np.float32), 0.5, words)


class Kept:
    """A results folder that is not on disk."""

    def __init__(self) -> None:
        self.folder = Path("nowhere")
        self.entries: dict[str, list[dict]] = {}

    def pieces(self) -> dict[str, list[dict]]:
        return {key: list(entries) for key, entries in self.entries.items()}

    def add_piece(self, key, entry, edits) -> None:
        self.entries.setdefault(key, []).append(entry)


def known(*pieces: Piece) -> Known:
    kept = Kept()
    writer = Known(kept, {})
    for each in pieces:
        writer.add(A, each)
    return Known(kept, {})


spans = st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda span: span[0] < span[1])


@given(st.lists(spans, max_size=6), st.integers(1, 24))
def test_rows_are_known_from_the_first_as_far_as_pieces_reach(found: list[tuple[int, int]], most: int) -> None:
    covered = {row for start, stop in found for row in range(start, stop)}
    reach = next(row for row in range(25) if row not in covered)
    cell = known(*(piece(*span) for span in found)).cell(A, most)
    assert cell.n == min(most, reach)
    assert cell.error is None
    np.testing.assert_array_equal(cell.log_loss, ROWS[: cell.n])
    if cell.n:
        np.testing.assert_array_equal(cell.correct, ROWS[: cell.n] % 2 == 0)
    assert cell.seconds == len(found)


def test_an_error_counts_where_rows_are_missing_for_it() -> None:
    found = known(piece(0, 6), broken(6, "first"), broken(6, "last"))
    assert (found.cell(A, 6).n, found.cell(A, 6).error) == (6, None)
    assert (found.cell(A, 7).n, found.cell(A, 7).error) == (0, "last")
    assert found.cell(A, 7).seconds == 2.0
    mended = known(piece(0, 6), broken(6), piece(6, 12))
    assert (mended.cell(A, 24).n, mended.cell(A, 24).error) == (12, None)


def test_a_piece_beyond_a_gap_is_neither_scores_nor_an_error() -> None:
    cell = known(piece(0, 6), piece(8, 12)).cell(A, 12)
    assert (cell.n, cell.error) == (6, None)


def test_right_and_wrong_are_known_where_all_pieces_have_it() -> None:
    found = known(piece(0, 6), piece(6, 12, text=True))
    assert found.cell(A, 12).correct is None
    assert found.cell(A, 0).n == 0
    assert known().cell(A, 12).correct is None


def test_what_others_write_is_seen_when_it_is_looked_for() -> None:
    kept = Kept()
    one, other = Known(kept, {}), Known(kept, {})
    one.add(A, piece(0, 6))
    assert (one.has(A), other.has(A)) == (True, False)
    other.refresh()
    assert other.has(A)
    assert not other.has((Edit(0, "fc_in", rank=2),))
    assert not Known(kept, {"seed": 1}).has(A)
    assert not known().has(A)


def test_a_damaged_piece_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = ResultsStore(tmp_path)
    Known(store, {}).add(A, piece(0, 6))
    (file,) = tmp_path.glob("cells-*.jsonl")
    file.write_text(file.read_text().replace('"n": 6', '"n": 7'))
    found = Known(store, {})
    assert found.cell(A, 6).n == found.cell(A, 6).n == 0
    assert caplog.text.count("cannot be read") == 1
