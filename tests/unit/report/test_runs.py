import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from laser_lit.report import sweep_page
from laser_lit.report.run_examples import run_examples
from laser_lit.report.runs_figure import NAMED, runs_figures
from laser_lit.report.sweep import find_runs, sweep_rows
from laser_lit.report.sweep_page import write_sweep
from laser_lit.results.predictions import write_predictions
from laser_lit.results.record import Record, read_record


def runs(folder: Path, record: Record, gains: list[float]) -> list[Path]:
    for place, gain in enumerate(gains):
        changed = dataclasses.replace(record.test.gain, accuracy=gain, ci95=(gain - 0.01, gain + 0.02))
        run = dataclasses.replace(record, test=dataclasses.replace(record.test, gain=changed))
        run.save(folder / str(place) / "result.json")
    return find_runs(folder)


def test_gains_are_drawn_best_first_with_their_intervals(record: Record, tmp_path: Path):
    found = runs(tmp_path, record, [0.01, -0.02, 0.05])
    (figure,) = runs_figures(sweep_rows(tmp_path, found), [read_record(run) for run in found])
    validation, unclear, clear = figure.data
    assert figure.layout["yaxis"]["ticktext"] == ["2", "0", "1"]
    assert (clear["x"], clear["y"]) == ([5.0, 1.0], [0, 1])
    assert (unclear["x"], unclear["y"]) == ([-2.0], [2])
    assert clear["error_x"]["array"] == [2.0, 2.0]
    assert clear["error_x"]["arrayminus"] == [1.0, 1.0]
    assert validation["x"] == [round(100 * record.validation.gain.accuracy, 5)] * 3


def test_one_gain_is_no_figure_and_many_have_no_names(record: Record, tmp_path: Path):
    found = runs(tmp_path, record, [0.01] * (NAMED + 1))
    rows, records = sweep_rows(tmp_path, found), [read_record(run) for run in found]
    assert runs_figures(rows[:1], records[:1]) == []
    (figure,) = runs_figures(rows, records)
    assert figure.layout["yaxis"]["showticklabels"] is False


def test_runs_of_the_same_examples_are_beside_each_other(record: Record, predictions: pd.DataFrame, tmp_path: Path):
    found = runs(tmp_path, record, [0.01, 0.02, 0.03, 0.04])
    write_predictions(predictions, found[0] / "predictions.parquet")
    write_predictions(predictions.assign(laser_correct=False), found[1] / "predictions.parquet")
    write_predictions(predictions.assign(prompt="other"), found[2] / "predictions.parquet")
    payload = run_examples(found, sweep_rows(tmp_path, found))
    assert [variant["key"] for variant in payload["variants"]] == ["base", "run0", "run1"]
    assert (payload["runs"], payload["alike"], payload["of"], payload["total"]) == (2, 2, 4, 600)
    assert sum(payload["columns"]["run1_correct"]) == 0 < sum(payload["columns"]["run0_correct"])


def test_bases_that_differ_are_left_out(record: Record, predictions: pd.DataFrame, tmp_path: Path):
    found = runs(tmp_path, record, [0.01, 0.02])
    write_predictions(predictions, found[0] / "predictions.parquet")
    write_predictions(predictions.assign(base_correct=False), found[1] / "predictions.parquet")
    payload = run_examples(found, sweep_rows(tmp_path, found))
    assert [variant["key"] for variant in payload["variants"]] == ["run0", "run1"]


@pytest.mark.parametrize(("off", "keys"), [(0.2, ["run0", "run1"]), (1e-6, ["base", "run0", "run1"])])
def test_bases_of_a_text_are_told_apart_by_their_log_loss(
    record: Record, predictions: pd.DataFrame, tmp_path: Path, off: float, keys: list[str]
):
    found = runs(tmp_path, record, [0.01, 0.02])
    text = predictions[["id", "split", "base_log_loss", "laser_log_loss"]]
    write_predictions(text, found[0] / "predictions.parquet")
    write_predictions(text.assign(base_log_loss=text["base_log_loss"] + off), found[1] / "predictions.parquet")
    payload = run_examples(found, sweep_rows(tmp_path, found))
    assert [variant["key"] for variant in payload["variants"]] == keys


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, True),
        ({"revision": "of another book"}, False),
        ({"group": "block 0"}, False),
        ({"base_n_tokens": 2}, False),
    ],
)
def test_windows_are_the_same_where_the_text_is(
    record: Record, predictions: pd.DataFrame, tmp_path: Path, changed: dict[str, object], shown: bool
):
    found = runs(tmp_path, record, [0.01, 0.02])
    columns = dict(changed)
    for run, revision in zip(found, ("of a book", columns.pop("revision", "of a book")), strict=True):
        typed = {"data": {"path": str(run)}}
        dataclasses.replace(record, data={**record.data, "revision": revision}, config=typed).save(run / "result.json")
    text = predictions.assign(prompt=None, answer=None)
    write_predictions(text, found[0] / "predictions.parquet")
    write_predictions(text.assign(**columns), found[1] / "predictions.parquet")
    assert (run_examples(found, sweep_rows(tmp_path, found)) is not None) == shown


@pytest.mark.parametrize(("other", "shown"), [("of a book", True), ("of another", False)])
def test_windows_beside_questions_are_the_same_where_their_text_is(
    record: Record, predictions: pd.DataFrame, tmp_path: Path, other: str, shown: bool
):
    found = runs(tmp_path, record, [0.01, 0.02])
    table = predictions.assign(prompt=predictions["prompt"].where(predictions.index % 2 == 0))
    for run, revision in zip(found, ("of a book", other), strict=True):
        data_sets = [{"name": "facts", "revision": "1"}, {"name": "text", "revision": revision}]
        data = {**record.data, "revision": None, "data_sets": data_sets}
        dataclasses.replace(record, data=data, config={"data": {"path": str(run)}}).save(run / "result.json")
        write_predictions(table, run / "predictions.parquet")
    assert (run_examples(found, sweep_rows(tmp_path, found)) is not None) == shown


def test_nothing_is_compared_where_no_two_runs_have_the_same(record: Record, predictions: pd.DataFrame, tmp_path: Path):
    found = runs(tmp_path, record, [0.01, 0.02])
    write_predictions(predictions, found[0] / "predictions.parquet")
    assert run_examples(found, sweep_rows(tmp_path, found)) is None


def test_runs_that_are_left_out_for_room_are_not_said_to_have_other_examples(
    record: Record, predictions: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = runs(tmp_path, record, [0.01, 0.02, 0.03])
    for run in found:
        write_predictions(predictions, run / "predictions.parquet")
    rows = sweep_rows(tmp_path, found)
    kept = run_examples(found, rows, limit=2 * len(predictions))
    assert (kept["runs"], kept["alike"], kept["of"]) == (2, 3, 3)
    monkeypatch.setattr(sweep_page, "run_examples", lambda *_: kept)
    page = write_sweep(tmp_path, found, rows).read_text()
    assert "The first 2 of these 3 runs are on this page." in page
    assert "have the same ones" not in page
