import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.results.store import Journal, ResultsStore


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def test_pieces_outlive_the_store_and_come_by_hash(tmp_path: Path):
    ResultsStore(tmp_path / "results").add_piece("a", {"seconds": float("nan")}, [{"layer": 1}])
    store = ResultsStore(tmp_path / "results")
    store.add_piece("b", {"start": 0}, [])
    store.add_piece("b", {"start": 8}, [])
    assert store.pieces() == {"a": [{"seconds": None}], "b": [{"start": 0}, {"start": 8}]}
    assert len(list((tmp_path / "results").glob("cells-*.jsonl"))) == 2


def test_an_empty_or_missing_folder_has_no_cells_and_is_not_made(tmp_path: Path):
    store = ResultsStore(tmp_path / "none")
    assert store.pieces() == {}
    assert store.test_opened("k") == 0
    assert not (tmp_path / "none").exists()


def test_a_file_cut_at_any_byte_loses_the_torn_entry_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    store = ResultsStore(tmp_path)
    for number in range(3):
        store.add_piece(f"h{number}", {"text": 'é "quoted" } \n', "n": number}, [])
    path = only(tmp_path, "cells-*")
    whole = path.read_bytes()
    ends = [len(line) for line in whole.splitlines(keepends=True)]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        complete = sum(cut >= sum(ends[: number + 1]) - 1 for number in range(3))
        assert list(ResultsStore(tmp_path).pieces()) == [f"h{number}" for number in range(complete)]
    assert not caplog.records


def test_writing_goes_on_after_a_torn_line_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    store = ResultsStore(tmp_path)
    store.add_piece("a", {"n": 1}, [])
    path = only(tmp_path, "cells-*")
    path.write_bytes(path.read_bytes() + b'{"hash": "b", "ce')
    store.add_piece("c", {"n": 3}, [])
    assert ResultsStore(tmp_path).pieces() == {"a": [{"n": 1}], "c": [{"n": 3}]}
    assert "line 2 is damaged" in caplog.text


def test_threads_and_stores_write_at_once_without_loss(tmp_path: Path):
    shared = ResultsStore(tmp_path)
    stores = [shared, shared, ResultsStore(tmp_path), ResultsStore(tmp_path)]

    def fill(worker: int) -> None:
        for number in range(20):
            stores[worker].add_piece(f"{worker}-{number}", {"n": number}, [])
            stores[worker].open_test("key")

    threads = [threading.Thread(target=fill, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shared.pieces()) == 80
    assert shared.test_opened("key") == 80


def test_a_forked_child_writes_to_its_own_file(tmp_path: Path):
    program = (
        "import os, sys; from pathlib import Path; from laser_lit.results.store import Journal\n"
        "journal = Journal(Path(sys.argv[1]), 'cells'); journal.append({'n': 0}); child = os.fork()\n"
        "journal.append({'n': 1})\n"
        "if child: os.waitpid(child, 0)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert len(list(tmp_path.glob("cells-*"))) == 2
    assert sorted(entry["n"] for entry in Journal(tmp_path, "cells").read()) == [0, 1, 1]


def test_openings_are_counted_by_key_across_processes(tmp_path: Path):
    assert [ResultsStore(tmp_path).open_test("a") for _ in range(3)] == [1, 2, 3]
    assert ResultsStore(tmp_path).open_test("b") == 1
    assert ResultsStore(tmp_path).test_opened("a") == 3


def test_base_table_is_computed_once(tmp_path: Path):
    table = pd.DataFrame({"id": ["a", "b"], "correct": [True, False], "log_loss": [0.1, 2.0]})
    calls = []

    def compute() -> pd.DataFrame:
        calls.append(os.getpid())
        return table

    for _ in range(3):
        pd.testing.assert_frame_equal(ResultsStore(tmp_path).base_table("h", compute), table)
    assert len(calls) == 1
    ResultsStore(tmp_path).base_table("other", compute)
    assert len(calls) == 2


def test_a_base_table_without_the_columns_of_today_is_scored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old, new = pd.DataFrame({"id": ["a"]}), pd.DataFrame({"id": ["a"], "confidence": [0.5]})
    monkeypatch.setattr("laser_lit.results.store.TABLE", 1)
    ResultsStore(tmp_path).base_table("h", lambda: old)
    monkeypatch.undo()
    pd.testing.assert_frame_equal(ResultsStore(tmp_path).base_table("h", lambda: new), new)


def test_first_and_later_reads_of_a_base_table_have_the_same_types(tmp_path: Path):
    table = pd.DataFrame({"id": ["a", "b"], "top5": [True, None], "choices": [("x", "y"), None], "f1": [None, None]})
    first = ResultsStore(tmp_path).base_table("h", lambda: table)
    pd.testing.assert_frame_equal(first, ResultsStore(tmp_path).base_table("h", pd.DataFrame))


def test_every_flipped_byte_and_every_cut_of_a_base_table_is_noticed(tmp_path: Path):
    table = pd.DataFrame({"id": ["a", "b"], "log_loss": [0.1, 2.0]})
    store = ResultsStore(tmp_path)
    store.base_table("h", lambda: table)
    path = tmp_path / "base-h-2.parquet"
    whole = path.read_bytes()
    for place in range(0, len(whole), 131):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            again = store.base_table("h", lambda: table.assign(again=True))
            assert again["again"].all()
            path.write_bytes(whole)
            path.with_suffix(".sha256").unlink()
            store.base_table("h", lambda: table)


def test_a_hash_that_is_no_file_name_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="config hash"):
        ResultsStore(tmp_path).add_piece("../x", {}, [])
    with pytest.raises(InputError, match="config hash"):
        ResultsStore(tmp_path).base_table("", pd.DataFrame)


def test_finished_searches_are_kept_by_model_and_data(tmp_path: Path):
    ResultsStore(tmp_path).add_search("k", {"driver": "grid"})
    store = ResultsStore(tmp_path)
    store.add_search("other", {"driver": "racing"})
    assert store.searches("k") == [{"driver": "grid"}]
    assert store.searches("none") == []
