"""Score against trained parameters: what is drawn of several runs with an adapter, and when nothing is."""

import dataclasses
import json
import re
from pathlib import Path

import plotly.graph_objects as go
import pytest

from laser_lit.report.__main__ import main
from laser_lit.report.parameters import compared, lines, parameters_figure, parameters_section
from laser_lit.results.compare import Gain
from laser_lit.results.record import Record, SplitResult
from laser_lit.results.reft_result import ReftResult, ReftSplit

BASE = {"accuracy": 0.5, "log_loss": 2.0}


def gain_of(accuracy: float | None, ci95: tuple[float, float] | None) -> Gain:
    return Gain(
        **{"n": 600, "n_groups": 200, "accuracy": accuracy, "ci95": None if accuracy is None else ci95, "p": 0.01},
        **{"fixed": 3, "broken": 1, "mcnemar_p": 0.1, "log_loss": 0.5, "log_loss_ci95": (0.4, 0.7), "log_loss_p": 0.01},
    )


def run_of(record: Record, type: str, parameters: int, accuracy: float | None = 0.7, **more: object) -> Record:
    """Returns a run without edits and with an adapter; without an accuracy it is one of text."""
    scores = {"accuracy": accuracy, "log_loss": 1.5}
    ci95 = more.pop("ci95", (0.15, 0.3))
    own = ReftSplit(scores, gain_of(None if accuracy is None else accuracy - 0.5, ci95))
    if more.pop("edited", False):
        own = dataclasses.replace(own, laser_reft={**scores, "accuracy": 0.8}, laser_reft_gain=gain_of(0.3, (0.2, 0.4)))
    base = SplitResult({**BASE, "accuracy": None} if accuracy is None else BASE)
    kind = "LoRA" if type == "lora" else "ReFT"
    reft = ReftResult(kind, "a", f"{type}{parameters}", (type,), parameters, 1.0, own, own)
    plain = dataclasses.replace(record, edits=(), stack=None, controls=(), test=base, validation=base, reft=reft)
    return dataclasses.replace(plain, **more)


@pytest.fixture
def found(record: Record) -> list[tuple[str, Record]]:
    """Three adapters and, in a run of its own, LASER."""
    laser = SplitResult(BASE, {"accuracy": 0.6, "log_loss": 1.8}, gain_of(0.1, (0.05, 0.15)))
    return [
        ("0", run_of(record, "loreft", 4000, 0.8)),
        ("1", run_of(record, "loreft", 400)),
        ("2", run_of(record, "lora", 768, 0.65, ci95=None)),
        ("3", dataclasses.replace(record, test=laser, validation=laser)),
    ]


def test_points_bars_and_lines_are_the_records_numbers(found: list[tuple[str, Record]]):
    (comparison,) = compared(found)
    figure = parameters_figure(comparison)
    lora, loreft = figure.data
    assert (lora["name"], lora["x"], lora["y"]) == ("lora", [768], [65.0])
    assert (loreft["name"], loreft["x"], loreft["y"]) == ("loreft", [400, 4000], [70.0, 80.0])
    assert loreft["error_y"]["array"] == pytest.approx([10.0, 0.0])
    assert loreft["error_y"]["arrayminus"] == pytest.approx([5.0, 15.0])
    assert lora["error_y"]["array"] == [None]
    assert figure.layout["xaxis"]["type"] == "log"
    assert [(shape["y0"], shape["label"]["text"]) for shape in figure.layout["shapes"]] == [
        (50.0, "base 50.0 %"),
        (60.0, "LASER 60.0 %"),
    ]
    assert len({(trace["marker"]["symbol"], trace["marker"]["color"]) for trace in figure.data}) == 2
    assert "LASER" in figure.caption
    go.Figure(figure.themed())
    assert '"--' not in json.dumps(figure.themed(), allow_nan=False)


def test_the_table_has_the_same_numbers(found: list[tuple[str, Record]]):
    assert lines(compared(found)[0]) == [
        ("", "base", "", "50.0 %", "", ""),
        ("3", "LASER: layer 2 fc_in rank 1 of 64", "", "60.0 %", "+10.0", "+5.0 to +15.0"),
        ("2", "LoRA (768 parameters)", "768", "65.0 %", "+15.0", "none: a single group"),
        ("1", "ReFT (loreft, 400 parameters)", "400", "70.0 %", "+20.0", "+15.0 to +30.0"),
        ("0", "ReFT (loreft, 4,000 parameters)", "4,000", "80.0 %", "+30.0", "+15.0 to +30.0"),
    ]


def test_text_is_compared_by_log_loss_whose_bars_are_upside_down(record: Record):
    (comparison,) = compared([("a", run_of(record, "lora", 10, None)), ("b", run_of(record, "lora", 20, None))])
    figure = parameters_figure(comparison)
    assert figure.data[0]["y"] == [1.5, 1.5]
    assert figure.data[0]["error_y"]["array"] == pytest.approx([0.1, 0.1])
    assert figure.data[0]["error_y"]["arrayminus"] == pytest.approx([0.2, 0.2])
    assert figure.layout["yaxis"]["title"]["text"] == "test log loss, nats"
    assert "Less is better" in figure.caption
    assert lines(comparison)[1][3:] == ("1.500", "+0.500", "+0.400 to +0.700")


def test_adapters_on_an_edited_model_are_series_of_their_own(record: Record):
    edited = run_of(record, "lora", 10, edited=True, edits=record.edits)
    runs = [("a", edited), ("b", run_of(record, "lora", 10))]
    runs.append(("c", dataclasses.replace(runs[1][1], reft=dataclasses.replace(runs[1][1].reft, strength=0.5))))
    alone, both = parameters_figure(compared(runs)[0]).data
    assert (alone["name"], alone["x"], alone["mode"]) == ("lora", [10, 10], "markers")
    assert (both["name"], both["y"], both["mode"]) == ("LASER + lora", [80.0], "lines+markers")
    assert both["marker"]["symbol"] == alone["marker"]["symbol"] + "-open"


def test_nothing_is_drawn_of_fewer_than_two_on_the_same_base(
    record: Record, found: list[tuple[str, Record]], tmp_path: Path
):
    assert compared([]) == compared([found[0], found[3]]) == []
    other = dataclasses.replace(found[1][1], data={**record.data, "name": "other"})
    assert compared([found[0], ("1", other)]) == []
    assert [part.subject for part in compared([*found, ("4", other), ("5", other)])] == [
        "facts on facts",
        "facts on other",
    ]
    found[0][1].save(tmp_path / "0" / "result.json")
    assert parameters_section(tmp_path, [tmp_path / "0"]) == []
    assert main([str(tmp_path / "0" / "..")]) == 0
    assert 'id="plot-' not in (tmp_path / "report.html").read_text()


def test_what_the_records_say_is_escaped_on_the_page_and_in_the_figure(record: Record, tmp_path: Path):
    bad = "</script><b>x</b>"
    for run, parameters in (("0", 10), ("<i>1", 20)):
        made = run_of(record, bad, parameters, model={**record.model, "id": bad})
        made.save(tmp_path / run / "result.json")
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert bad not in page
    assert "<i>1" not in page
    assert "&lt;/script&gt;&lt;b&gt;x&lt;/b&gt;" in page
    data = json.loads(re.search(r'id="figure-data">(.*?)</script>', page, re.S).group(1))
    (trace,) = data["parameters-0"]["data"]
    assert trace["x"] == [10, 20]
    assert "<b>" not in trace["name"] + "".join(trace["text"])
    assert "run &lt;i&gt;1" in trace["text"][1]
    assert "script-src 'unsafe-inline'" in page
