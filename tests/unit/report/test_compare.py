"""Prompts side by side: record, terminal, page, W&B."""

import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from browsing import FIRST, browse
from rich.console import Console

from laser_lit.errors import InputError
from laser_lit.report.__main__ import main
from laser_lit.report.compare_page import render_compare_page
from laser_lit.report.compare_table import SHOWN, render_compare
from laser_lit.report.compare_wandb import log_compare
from laser_lit.report.compare_words import spelled
from laser_lit.results.record import AppliedEdit
from laser_lit.results.side_by_side import FILE, Asked, Reply, SideBySide, Token, read_side_by_side

EDIT = AppliedEdit(2, "fc_in", "h.2.mlp.fc_in.weight", 1, 1 / 64, "low_rank", 0.81, 64)
VARIANTS = ("base", "LASER", "ReFT", "LASER + ReFT")


def reply(text: str, common: int, changed: bool, kl: float | None = 0.0) -> Reply:
    top = (Token(f" {text.split()[0]}", 0.75, 0.5), Token(" <b>", 0.125, 0.25))
    return Reply(text, common, changed, True, kl, top)


def asked(number: int) -> Asked:
    base = reply(f" Paris and {number}", len(f" Paris and {number}"), False)
    other = reply(f" Paris or <i>{number}</i>\nnot", len(" Paris"), True, 0.25 * number)
    replies = {"base": base, "LASER": base if number == 2 else other, "ReFT": base, "LASER + ReFT": other}
    return Asked(f"The capital [of] {number} is", "Paris" if number == 1 else None, 5, replies)


@pytest.fixture
def record() -> SideBySide:
    return SideBySide(
        {"id": "<i>model</i>", "dtype": "float32", "revision": None},
        "causal",
        VARIANTS,
        tuple(asked(number) for number in range(1, 4)),
        (EDIT,),
        stack="given on the command line",
        reft={"kind": "ReFT", "path": "folder"},
        settings={"max_new_tokens": 5, "top": 2, "chat_template": False},
        warnings=("made for <another>",),
    )


def printed(record: SideBySide, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render_compare(record, Path("out")))
    return console.file.getvalue()


def test_the_record_comes_back(record: SideBySide, tmp_path: Path) -> None:
    record.save(tmp_path / FILE)
    assert read_side_by_side(tmp_path) == record
    content = json.loads((tmp_path / FILE).read_text())
    assert (content["schema"], content["task"]) == (1, "compare")
    assert content["changes"][0] == {"variant": "LASER", "changed": pytest.approx(2 / 3), "kl": pytest.approx(1 / 3)}
    assert [change.changed for change in record.changes] == pytest.approx([2 / 3, 0, 1])


def test_an_infinite_divergence_is_no_number(record: SideBySide, tmp_path: Path) -> None:
    replies = {**record.asked[0].replies, "LASER": reply(" x", 0, True, None)}
    changed = dataclasses.replace(record, asked=(dataclasses.replace(record.asked[0], replies=replies),))
    changed.save(tmp_path / FILE)
    assert read_side_by_side(tmp_path).changes[0].kl is None
    assert "KL ∞" in printed(changed)
    assert 'data-kl="Infinity"' in render_compare_page(changed)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no compare.json"),
        ("{", "is no record of task=compare"),
        ("[]", "is no record of task=compare"),
        ('{"schema": 7}', "has schema 7, this version reads 1"),
        ('{"schema": 1}', "lacks the entry 'model'"),
    ],
)
def test_what_is_no_record(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / FILE).write_text(content)
    with pytest.raises(InputError, match=re.escape(words)):
        read_side_by_side(tmp_path)


def test_the_terminal_marks_where_texts_depart(record: SideBySide) -> None:
    text = printed(record)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "The capital [of] 1 is   true: Paris" in text
    assert "Paris│ or <i>1</i>⏎not ∎" in text
    assert "KL 0.250   Paris\u00a075.0\u00a0%   <b>\u00a012.5\u00a0%" in text
    assert "LASER + ReFT changes 3 of 3 continuations" in text
    assert "! made for <another>" in text
    assert "compare.json  report.html  stack.yaml" in text
    many = dataclasses.replace(record, asked=record.asked * SHOWN)
    assert f"and {2 * SHOWN} more prompts: report.html" in printed(many)


def test_a_masked_model_has_masks_filled(record: SideBySide) -> None:
    masked = dataclasses.replace(record, kind="masked")
    assert "changes 3 of 3 fillings" in printed(masked)
    assert "tokens at the first mask" in " ".join(printed(masked).split())
    assert "The most probable token at each mask." in render_compare_page(masked)


def test_tokens_that_would_look_alike_show_their_spaces() -> None:
    tokens = [Token(text, 0.1, 0.1) for text in (" the", "the", " cat", " ", "\n")]
    assert spelled(tokens) == ["␣the", "the", "cat", "␣", "⏎"]


def test_the_page_escapes_what_models_say(record: SideBySide) -> None:
    page = render_compare_page(record)
    assert "<mark> or &lt;i&gt;1&lt;/i&gt;\nnot</mark>" in page
    assert "<i>model" not in page
    assert "<b>" not in page
    assert "src=" not in page
    limited = render_compare_page(record, limit=2)
    assert "2 of 3 prompts; compare.json has all" in limited


def test_a_page_is_drawn_again(record: SideBySide, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record.save(tmp_path / FILE)
    assert main([str(tmp_path), "--table"]) == 0
    assert (tmp_path / "report.html").read_text() == render_compare_page(record)
    assert "LASER + ReFT changes 3 of 3 continuations" in capsys.readouterr().out
    (tmp_path / FILE).write_text("{}")
    assert main([str(tmp_path)]) == 1
    assert "lacks the entry 'schema'" in capsys.readouterr().err


def test_pages_of_a_multirun_are_drawn_again_one_by_one(
    record: SideBySide, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0", "10", "2", ".trash"):
        record.save(tmp_path / name / FILE)
    assert main([str(tmp_path)]) == 0
    pages = [tmp_path / name / "report.html" for name in ("0", "2", "10")]
    assert capsys.readouterr().out.split() == [str(page) for page in pages]
    assert {page.read_text() for page in pages} == {render_compare_page(record)}
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / ".trash" / "report.html").exists()


def test_a_row_a_prompt_on_wandb(record: SideBySide) -> None:
    class Run:
        def __init__(self) -> None:
            self.logged: dict[str, Any] = {}
            self.summary: dict[str, Any] = {}

        def log(self, entries: dict[str, Any]) -> None:
            self.logged |= entries

    run = Run()
    log_compare(run, record)
    table = run.logged["compare/prompts"]
    assert table.columns[:7] == ["prompt", "answer", "base", "base: next", "LASER", "LASER: next", "LASER: KL"]
    assert table.data[0][1:4] == ["Paris", " Paris and 1", "Paris 75.0 %, <b> 12.5 %"]
    assert table.data[2][6] == 0.75
    assert run.summary["compare/LASER/changed"] == pytest.approx(2 / 3)
    assert run.summary["compare/count"] == 3


PROBE = """
<script>
(() => {
  const $ = (id) => document.getElementById(id);
  const seen = (row) => row.getClientRects().length > 0;
  const rows = () => [...$("said").tBodies[0].rows].filter(seen).map((row) => row.dataset.number);
  const note = (name) => steps.push([name, $("count").textContent, ...rows()]);
  const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("input")); };
  const press = (value) => [...$("outcomes").children].find((button) => button.value === value).click();
  note("start");
  set("order", "kl"); note("kl");
  set("order", "asked"); set("search", "CAPITAL of 2 "); note("search");
  set("search", "no such words"); note("none");
  set("search", ""); press("same"); note("same");
  press("all"); note("all");
  const mark = document.querySelector("#said mark"), cells = [...$("said").tBodies[0].rows[0].cells];
  steps.push(["side by side", new Set(cells.map((cell) => cell.getBoundingClientRect().top)).size, cells.length]);
  steps.push(["mark", mark.textContent, getComputedStyle(mark).backgroundColor !== "rgba(0, 0, 0, 0)"]);
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = JSON.stringify(steps);
  document.body.append(probe);
})();
</script>
"""


@pytest.mark.browser
def test_the_page_in_a_browser(record: SideBySide, tmp_path: Path) -> None:
    unchanged = record.asked[0]
    unchanged = dataclasses.replace(unchanged, replies=dict.fromkeys(VARIANTS, unchanged.replies["base"]))
    page = render_compare_page(dataclasses.replace(record, asked=(*record.asked, unchanged)))
    page = page.replace("<body>", f"<body>{FIRST}")
    seen = browse(page, tmp_path, PROBE)
    assert "error" not in seen
    assert "refused" not in seen
    assert seen["start"] == ["4 of 4 prompts", "1", "2", "3", "4"]
    assert seen["kl"][1:] == ["3", "2", "1", "4"]
    assert seen["search"] == ["1 of these 4 prompts", "2"]
    assert seen["none"] == ["No prompt matches."]
    assert seen["same"][1:] == ["4"]
    assert seen["all"] == seen["start"]
    assert seen["side by side"] == [1, 5]
    assert seen["mark"] == [" or <i>1</i>\nnot", True]
