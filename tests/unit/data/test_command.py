"""`python -m laser_lit.data`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laser_lit.data import hub as hub_module
from laser_lit.data.__main__ import hub_names, main


def test_check_offline_says_so_once_a_set_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert out.count("no: offline, HF_HUB_OFFLINE is set") == len(hub_names()) == 16
    assert "0 of 16 can be read" in out


def test_check_succeeds_where_every_file_is_reached(
    hub: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def local(config: Any, pattern: str) -> str:
        return str(hub_module.fetch(config, None) / pattern)

    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(hub_module, "location", local)
    assert main(["check", "--rows", "2"]) == 0
    out = capsys.readouterr().out
    assert "16 of 16 can be read" in out
    assert "yes: 6 example(s)" in out


def test_show_prints_two_examples_of_a_file(write: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"question": f"[red]{i}?", "answer": f"a{i}"} for i in range(3)]
    path = write("task.jsonl", rows)
    assert main(["show", "jsonl", path, "prompt={question} Answer:", "data.answer=answer"]) == 0
    out = capsys.readouterr().out
    assert "'[red]0? Answer:'" in out
    assert "'a1'" in out
    assert "'a2'" not in out


def test_show_prints_text(write: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "text", write("book.txt", "Once [upon] a time")]) == 0
    assert "'Once [upon] a time'" in capsys.readouterr().out


def test_show_prints_labels_and_what_is_taught(write: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"sentence1": "one", "sentence2": "two", "label": 1}]
    assert main(["show", "glue", write("train.json", rows), "task=mrpc"]) == 0
    out = capsys.readouterr().out
    for part in ("second text:   'two'", "'equivalent'", "not_equivalent, equivalent", "split:         train", "label"):
        assert part in out
    rows = [{"instruction": "Is it?", "output": "", "answer": "true"}]
    assert main(["show", "commonsense", write("test.json", rows)]) == 0
    assert "taught:        'the correct answer is true'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["show", "counterfct"], "unknown data 'counterfct'; nearest: counterfact"),
        (["show", "text", "missing.txt"], "no such file"),
        (["show", "text", "path=missing.txt", "nonsense"], "settings are written field=value"),
        (["show", "text", "windw=3"], "windw"),
        (["check", "hotpot"], "nearest: hotpotqa"),
    ],
)
def test_mistakes_are_one_message(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert problem in captured.err
