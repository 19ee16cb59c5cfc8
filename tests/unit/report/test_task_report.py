"""What a task adds to the report, named by the config of the run."""

import dataclasses
import logging
import sys
from types import ModuleType

import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.report.html import render_html
from laser_lit.report.task_report import TaskReport, TaskSection, task_report
from laser_lit.report.wandb import _log_media
from laser_lit.results.record import Record


def named(record: Record, report: str | None) -> Record:
    return dataclasses.replace(record, config={**record.config, "task": {"name": "own", "report": report}})


@pytest.fixture
def own(record: Record, monkeypatch: pytest.MonkeyPatch) -> Record:
    """The record of a run whose task shows how many examples there are."""
    section = TaskSection("Own <part>", "<div id='own'></div>", ".own{}", "void 0;", {"text": "</script>"})
    module = ModuleType("own_task")
    module.REPORT = TaskReport(lambda *_: section, lambda _, table: {"own/n": len(table)}, ("prompt",))
    module.function = print
    monkeypatch.setitem(sys.modules, "own_task", module)
    return named(record, "own_task.REPORT")


def test_a_section_is_put_into_the_page_and_its_data_escaped(own: Record, predictions: pd.DataFrame):
    text = render_html(own, predictions)
    for part in ("Own &lt;part&gt;", "<div id='own'></div>", ".own{}", "void 0;", '{"text": "\\u003c/script\\u003e"}'):
        assert part in text
    assert '"fixed_width": ["prompt"]' in text


@pytest.mark.parametrize("config", [{}, {"task": None}, {"task": {"name": "language"}}, {"task": {"report": None}}])
def test_records_without_the_name_have_no_section(record: Record, predictions: pd.DataFrame, config: dict):
    plain = dataclasses.replace(record, config=config)
    assert task_report(plain) is None
    text = render_html(plain, predictions)
    assert "task-data" not in text
    assert "is left out" not in text


@pytest.mark.parametrize("name", ["no_such_package.REPORT", "laser_lit.report.html.NOTHING", "REPORT", ".", "a..b"])
def test_a_package_that_is_missing_leaves_the_page_whole(
    record: Record, predictions: pd.DataFrame, name: str, caplog: pytest.LogCaptureFixture
):
    text = render_html(named(record, name), predictions)
    assert f"What this task shows besides is left out: task.report={name} cannot be imported" in text
    assert 'id="examples"' in text
    with caplog.at_level(logging.WARNING):
        _log_media(None, named(record, name), predictions)
    assert name in caplog.text


def test_nothing_else_that_a_record_names_is_called(own: Record):
    with pytest.raises(InputError, match="builtin_function_or_method, no TaskReport"):
        task_report(named(own, "own_task.function"))


def test_media_are_logged(own: Record, predictions: pd.DataFrame):
    logged = []
    run = ModuleType("run")
    run.log = logged.append
    _log_media(run, own, predictions)
    assert logged == [{"own/n": len(predictions)}]
