import dataclasses
import json
import re
import shlex
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.report.__main__ import main
from laser_lit.report.findings import headline
from laser_lit.report.html import redraw, render_html, write_report
from laser_lit.results.predictions import write_predictions
from laser_lit.results.record import Record, SplitResult


class Page(HTMLParser):
    """Collects what a browser would see."""

    VOID = frozenset({"meta", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        name = self.open[-1] if self.open else ""
        self.text[name] = self.text.get(name, "") + data


@pytest.fixture(scope="module")
def page(record: Record, predictions: pd.DataFrame) -> Page:
    return Page(render_html(record, predictions))


def embedded(text: str) -> dict[str, object]:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1))


def test_markup_is_balanced_and_loads_nothing(page: Page):
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "base"}
        assert "src" not in attributes
        assert not (attributes.get("href") or "#").startswith("http")
    assert "url(" not in page.text["style"]
    assert "@import" not in page.text["style"]
    assert any(attributes.get("http-equiv") == "Content-Security-Policy" for _, attributes in page.tags)


def test_every_control_has_a_label_and_every_section_a_heading(page: Page):
    labelled = {attributes.get("aria-labelledby") for tag, attributes in page.tags if tag == "section"}
    assert labelled <= {attributes.get("id") for _, attributes in page.tags}
    open_labels = 0
    for tag, _ in page.tags:
        open_labels += tag == "label"
        assert tag not in {"input", "select"} or open_labels
    assert ("html", {"lang": "en"}) in page.tags


def test_summary_tables_and_provenance_are_there(record: Record, predictions: pd.DataFrame):
    text = render_html(record, predictions)
    for needed in (
        "600 examples in 200 groups",
        "+23.0 to +31.0",
        "example-level exact McNemar",
        "transformer.h.2.mlp.fc_in.weight",
        "python evaluate.py model=facts laser=file laser.path=stack.yaml",
        "single-token bias",
        "has been scored 3 times, by the count of this results folder",
        record.config_hash,
        "0123456789abcdef-dirty",
        "1,234,567",
    ):
        assert needed in text, needed


def test_examples_come_through_html_and_json_unchanged(record: Record, predictions: pd.DataFrame):
    hostile = predictions.assign(
        prompt="</script><script>alert(1)</script><!-- \u2028 ' \" & 𝛼 \x00",
        base_prediction="<img src=x onerror=alert(2)>",
    )
    text = render_html(record, hostile)
    assert embedded(text)["columns"]["prompt"] == hostile["prompt"].tolist()
    assert embedded(text)["columns"]["base_prediction"] == hostile["base_prediction"].tolist()
    assert Page(text).open == []
    assert text.count("<script") == 6
    assert "<img" not in text


def test_names_in_the_record_are_escaped(record: Record, predictions: pd.DataFrame):
    control = dataclasses.replace(record.controls[0], name="<i>", fitted="<script>x</script>")
    hostile = dataclasses.replace(
        record,
        model={**record.model, "id": "<b>&"},
        controls=(control,),
        warnings=("<u>w</u>",),
        config={"a": "</code><script>"},
    )
    text = render_html(hostile, predictions)
    assert Page(text).open == []
    assert text.count("<script") == 6
    assert "&lt;u&gt;w&lt;/u&gt;" in text


def test_a_page_that_leaves_examples_out_says_so(record: Record, predictions: pd.DataFrame):
    text = render_html(record, predictions, limit=200)
    assert "200 of 750 examples are on this page" in text
    assert embedded(text)["columns"]["outcome"].count("fixed") == 200
    assert "are on this page" not in render_html(record, predictions)


def test_a_base_alone_and_text_have_a_page(record: Record, predictions: pd.DataFrame):
    alone = dataclasses.replace(
        record, edits=(), stack=None, test=SplitResult(record.test.base), validation=None, controls=()
    )
    base_only = predictions[[name for name in predictions if not name.startswith("laser_")]]
    assert "What was changed" not in render_html(alone, base_only)
    assert "McNemar" not in render_html(alone, base_only)
    loss = {"log_loss": 1.4, "perplexity": 4.06, "n": 600, "accuracy": None}
    parts = {"accuracy": None, "ci95": None, "p": None, "fixed": None, "broken": None, "mcnemar_p": None}
    text = SplitResult(loss, loss, dataclasses.replace(record.test.gain, **parts))
    windows = predictions.assign(prompt=None, base_correct=None, laser_correct=None)
    drawn = render_html(dataclasses.replace(record, test=text, validation=None, controls=()), windows)
    assert "+0.200 nats" in drawn
    assert "McNemar" not in drawn
    assert set(embedded(drawn)["columns"]["outcome"]) == {"lower"}


def test_the_command_asks_the_same_again(record: Record, predictions: pd.DataFrame):
    config = {
        "model": {"name": "local", "path": 'my "model"'},
        "data": {"name": "jsonl", "path": ["a.jsonl", "b.jsonl"], "prompt": "{q} A:", "answer": "a", "limit": 60},
        "paths": {"output": "/runs/7"},
        **{"scoring": "paper", "split": "group", "seed": 1234},
    }
    text = unescape(render_html(dataclasses.replace(record, config=config, seed=1234), predictions))
    (command,) = re.findall(r"<code>(python evaluate.py .*)</code>", text)
    assert shlex.split(command)[2:] == [
        *("model=local", 'model.path=my "model"', "data=jsonl", "data.path=['a.jsonl', 'b.jsonl']"),
        *("data.prompt={q} A:", "data.answer=a", "data.limit=60", "scoring=paper", "seed=1234"),
        *("laser=file", "laser.path=/runs/7/stack.yaml"),
    ]
    assert 'load_model("my \\"model\\"")' in text
    assert "<dd>1234</dd>" in text


def test_redrawing_gives_the_same_page(record: Record, predictions: pd.DataFrame, tmp_path: Path, capsys):
    record.save(tmp_path / "result.json")
    write_predictions(predictions, tmp_path / "predictions.parquet")
    first = write_report(tmp_path, record, predictions).read_text()
    (tmp_path / "report.html").unlink()
    assert redraw(tmp_path).read_text() == first
    assert main([str(tmp_path), "--table"]) == 0
    assert "layer 2 fc_in" in capsys.readouterr().out


def test_a_folder_without_a_run_is_refused_with_the_way_out(record: Record, tmp_path: Path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "give the folder of a finished run" in capsys.readouterr().err
    record.save(tmp_path / "result.json")
    with pytest.raises(InputError, match=r"no predictions\.parquet"):
        redraw(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_command_names_the_settings_of_the_built_in_model(record: Record, predictions: pd.DataFrame):
    model = {"name": "facts", "facts": {"steps": 20, "layers": 3}}
    data = {"name": "facts", "world": {"noise": 0.45, "subjects": 200}}
    page = render_html(dataclasses.replace(record, config={"model": model, "data": data}), predictions)
    assert "model=facts data=facts model.facts.steps=20 data.world.noise=0.45 laser=file" in page


def test_the_headline_tells_a_log_loss_that_moved_while_the_accuracy_did_not(record: Record):
    gain = dataclasses.replace(record.test.gain, accuracy=0.0, p=1.0, log_loss=-0.34, log_loss_p=1e-5)
    still = dataclasses.replace(record, test=dataclasses.replace(record.test, gain=gain))
    assert headline(still).endswith("within chance. The log loss is not: worse by 0.340 nats (p = 1e-5).")
    by_chance = dataclasses.replace(gain, log_loss_p=0.3)
    still = dataclasses.replace(record, test=dataclasses.replace(record.test, gain=by_chance))
    assert headline(still).endswith("within chance.")


@pytest.mark.slow
def test_the_module_runs_from_the_command_line(tmp_path: Path):
    done = subprocess.run([sys.executable, "-m", "laser_lit.report", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no result.json")
