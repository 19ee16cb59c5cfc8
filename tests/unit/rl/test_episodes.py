"""Episodes in the report: which levels, and what the page is given of them."""

import json
import sys

import pandas as pd
import pytest
from sokoban_episodes import EASY, PLAYS, episodes_predictions, episodes_record

from laser_lit.report.__main__ import main
from laser_lit.report.html import render_html
from laser_lit.report.task_report import task_report
from laser_lit.results.predictions import write_predictions
from rl.report.episodes import MOST, episodes_payload
from rl.report.sokoban import REPORT


def test_levels_come_by_outcome_those_that_laser_changed_first():
    payload = episodes_payload(episodes_predictions())
    assert payload["split"] == "test"
    assert [entry["name"] for entry in payload["outcomes"]] == ["fixed", "broken", "solved", "failed"]
    assert [entry["total"] for entry in payload["outcomes"]] == [1, 1, 1, 7]
    assert [level["outcome"] for level in payload["levels"]] == ["fixed", "broken", "solved", *["failed"] * 7]
    assert {level["name"].split("-")[0] for level in payload["levels"]} == {"test"}
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload


@pytest.mark.parametrize("outcome", PLAYS)
def test_a_level_has_board_letters_and_its_solution(outcome: str):
    levels = episodes_payload(episodes_predictions())["levels"]
    level = next(level for level in levels if level["outcome"] == outcome)
    base, laser = PLAYS[outcome]
    assert level["board"] == EASY
    assert level["plays"] == [
        {"title": "base", "actions": base, "solved": outcome in ("broken", "solved")},
        {"title": "LASER", "actions": laser, "solved": outcome in ("fixed", "solved")},
        {"title": "shortest solution", "actions": "RR", "solved": True},
    ]


def test_a_solution_is_called_shortest_only_where_that_is_known():
    predictions = episodes_predictions()
    levels = episodes_payload(predictions)["levels"]
    assert [len(level["plays"]) for level in levels] == [3] * 4 + [2] * 6
    for unknown in (predictions.assign(base_optimal_steps=pd.NA), predictions.drop(columns="base_optimal_steps")):
        assert episodes_payload(unknown)["levels"][0]["plays"][2]["title"] == "a solution"


def test_a_run_without_edits_shows_the_base():
    predictions = episodes_predictions()
    base = predictions[[name for name in predictions if not name.startswith("laser_")]]
    payload = episodes_payload(base)
    assert [(entry["name"], entry["total"]) for entry in payload["outcomes"]] == [("solved", 2), ("failed", 8)]
    assert [play["title"] for play in payload["levels"][0]["plays"]] == ["base", "shortest solution"]


def test_the_page_stays_small_and_says_how_many_there_are():
    payload = episodes_payload(episodes_predictions(random=0, repeats=2 * MOST))
    assert {entry["total"] for entry in payload["outcomes"]} == {2 * MOST}
    assert len(payload["levels"]) == 4 * MOST
    assert payload["levels"][0]["name"] == "test-0"


def test_tables_without_episodes_have_no_section():
    predictions = episodes_predictions()
    assert episodes_payload(predictions.drop(columns="base_prediction")) is None
    assert episodes_payload(predictions.head(0)) is None
    assert REPORT.section(episodes_record(), predictions.head(0)) is None
    assert "task-data" not in render_html(episodes_record(), predictions.drop(columns="prompt"))


def test_the_report_is_drawn_again_from_the_files_alone(tmp_path, monkeypatch):
    record, predictions = episodes_record(), episodes_predictions()
    assert task_report(record) is REPORT
    record.save(tmp_path / "result.json")
    write_predictions(predictions, tmp_path / "predictions.parquet")
    assert main([str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text()
    assert text == render_html(record, predictions)
    assert 'id="episodes"' in text
    monkeypatch.setitem(sys.modules, "rl.report.sokoban", None)
    assert main([str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text()
    assert 'id="episodes"' not in text
    assert "task.report=rl.report.sokoban.REPORT cannot be imported" in text


def test_every_run_of_the_task_names_the_section(composed):
    assert composed("task=sokoban").task.report == "rl.report.sokoban.REPORT"
    assert composed().task.report is None
