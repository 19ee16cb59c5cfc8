"""Interventions beside base and LASER: on the terminal, on the page, among the metrics, among several runs."""

import dataclasses
import io
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from laser_lit.report.findings import headline, notices, opened
from laser_lit.report.html import render_html
from laser_lit.report.reft import comparisons, reft_rows
from laser_lit.report.sweep import sweep_rows
from laser_lit.report.tables import render_result
from laser_lit.report.wandb import flat_metrics
from laser_lit.results.record import Record, SplitResult, record_from_dict
from laser_lit.results.reft_result import ReftResult, ReftSplit


def reft_of(record: Record, kind: str = "ReFT", edited: bool = True, **metrics: object) -> ReftResult:
    """Returns an entry that gains what LASER gains, alone and together."""

    def split(result: SplitResult) -> ReftSplit:
        found, gain = {**result.laser, **metrics}, result.gain
        return ReftSplit(found, gain, found, gain, gain, gain) if edited else ReftSplit(found, gain)

    type = {"ReFT": "loreft", "LoRA": "lora"}[kind]
    return ReftResult(kind, "a/<b>", "0f", (type,), 4096, 1.0, split(record.test), split(record.validation))


def alone(record: Record, **values: object) -> Record:
    """Returns the record of a run without edits."""
    splits = {name: SplitResult(getattr(record, name).base) for name in ("test", "validation")}
    return dataclasses.replace(record, edits=(), stack=None, controls=(), **splits, **values)


@pytest.fixture(params=["ReFT", "LoRA"])
def both(record: Record, request: pytest.FixtureRequest) -> Record:
    return dataclasses.replace(record, reft=reft_of(record, request.param))


def printed(record: Record, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(render_result(record))
    return console.file.getvalue()


def test_one_table_at_80_columns_and_a_sentence_a_comparison(both: Record):
    text, kind = printed(both), both.reft.kind
    assert max(map(len, text.splitlines())) <= 80
    assert f"Base, LASER, {kind}, LASER + {kind}: gain over the base on test" in text
    assert [row.name for row in reft_rows(both)] == ["base", "LASER", kind, f"LASER + {kind}"]
    told = comparisons(both)
    begin = ("LASER over the base:", f"{kind} over the base:", f"LASER + {kind} over LASER alone:")
    assert [sentence.startswith(start) for sentence, start in zip(told, begin, strict=False)] == [True] * 3
    assert told[3].startswith(f"LASER + {kind} over {kind} alone: test accuracy 90.5 % → 90.5 %, +27.0 points")
    assert headline(both).startswith("Layer 2 fc_in cut to rank 1 of 64 + ")
    assert all(sentence in " ".join(text.split()) for sentence in told)


def test_the_record_reads_back_and_older_ones_have_none(both: Record, record: Record):
    assert record_from_dict(both.to_dict()) == record_from_dict(record_from_dict(both.to_dict()).to_dict())
    assert record_from_dict(both.to_dict()).to_dict() == both.to_dict()
    assert printed(record_from_dict(both.to_dict())) == printed(both)
    older = record.to_dict()
    assert older.pop("reft") is None
    assert record_from_dict(older) == record_from_dict(record.to_dict())
    assert reft_rows(record) == comparisons(record) == []


def test_without_edits_the_adapter_is_the_headline(record: Record):
    only = alone(record, reft=reft_of(record, edited=False))
    assert headline(only).startswith("ReFT (loreft, 4,096 parameters): test accuracy 63.5 % → 90.5 %, +27.0 points")
    assert comparisons(only) == []
    assert [row.name for row in reft_rows(only)] == ["base", "ReFT"]
    assert "the best of several looks is too good" in opened(only)
    half = dataclasses.replace(only, reft=dataclasses.replace(only.reft, strength=0.5))
    assert headline(half).startswith("ReFT (loreft, 4,096 parameters, strength 0.5)")


def test_text_gains_in_nats(record: Record):
    losses = {"accuracy": None, "log_loss": 1.4, "perplexity": 4.06, "n": 600}
    parts = {"accuracy": None, "ci95": None, "p": None, "fixed": None, "broken": None, "mcnemar_p": None}
    text = SplitResult(losses, {**losses, "log_loss": 1.2}, dataclasses.replace(record.test.gain, **parts))
    made = dataclasses.replace(record, test=text, validation=text, controls=())
    made = dataclasses.replace(made, reft=reft_of(made))
    shown = printed(made)
    assert max(map(len, shown.splitlines())) <= 80
    assert "nats" in shown
    assert reft_rows(made)[2].gain == "+0.200"
    assert reft_rows(made)[2].accuracy == reft_rows(made)[2].flips == ""


def test_a_collapse_is_named_of_whom_it_is(record: Record):
    made = dataclasses.replace(record, reft=reft_of(record, collapsed=True, commonest_share=0.98))
    text = " ".join(notices(made))
    assert "ReFT has collapsed" in text
    assert "LASER + ReFT has collapsed" in text
    assert "LASER has collapsed" not in text


class Balanced(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_has_the_table_and_escapes_the_folder(both: Record, predictions: pd.DataFrame):
    text, kind = render_html(both, predictions), both.reft.kind
    assert Balanced(text).open == []
    assert f"Base, LASER, {kind}, LASER + {kind}</h2>" in text
    assert all(sentence in text for sentence in comparisons(both))
    assert "a/&lt;b&gt;" in text
    assert "a/<b>" not in text
    assert f"test, LASER + {kind}" in text
    assert "reft.path=" in text
    only = alone(both, reft=reft_of(both, edited=False))
    assert "Base, ReFT</h2>" in render_html(only, predictions.filter(regex="^(?!laser_)"))


def test_metrics_are_flat(both: Record, record: Record):
    flat = flat_metrics(both)
    gain = record.test.gain
    assert flat["test/reft_gain/accuracy"] == flat["test/laser_reft_over_reft/accuracy"] == gain.accuracy
    assert flat["test/laser_reft_gain/ci95_low"] == gain.ci95[0]
    assert flat["validation/laser_reft/accuracy"] == record.validation.laser["accuracy"]
    assert (flat["reft/parameters"], flat["reft/strength"]) == (4096, 1.0)
    assert flat_metrics(record).items() <= flat.items()
    assert not [name for name in flat_metrics(record) if "reft" in name]


def test_several_runs_tell_them_apart(record: Record, both: Record, tmp_path: Path):
    runs = [tmp_path / name for name in "abc"]
    only = alone(record, reft=reft_of(record, edited=False))
    for run, made in zip(runs, (record, both, only), strict=True):
        made.save(run / "result.json")
    first, second, third = sweep_rows(tmp_path, runs)
    assert second.applied.startswith(f"{first.applied} + {both.reft.kind} (")
    assert third.applied == "ReFT (loreft, 4,096 parameters)"
    assert first.test == second.test == third.test == "+27.0"
