import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from offline_runs import records

from laser_lit.report.gain_figure import gain_figure
from laser_lit.report.html import render_html
from laser_lit.report.wandb import _log_sections, flat_metrics, log_result
from laser_lit.report.wording import signed
from laser_lit.results.analyses import Analyses, Mechanism
from laser_lit.results.record import Record


def test_metrics_are_flat_finite_and_complete(record: Record):
    flat = flat_metrics(record)
    assert flat["test/base/accuracy"] == record.test.base["accuracy"]
    assert flat["validation/gain/accuracy"] == record.validation.gain.accuracy
    assert (flat["test/gain/ci95_low"], flat["test/gain/ci95_high"]) == record.test.gain.ci95
    assert flat["controls/single-token bias/test/accuracy"] == 0.897
    assert flat["test_opened"] == 3
    assert "test/base/f1" not in flat
    assert "controls/zeroed MLP/test/log_loss" not in flat
    assert json.loads(json.dumps(flat, allow_nan=False)) == flat


def test_the_numbers_of_a_search_are_flat_too(searched: Record):
    guarded = dataclasses.replace(searched.search, guard={"kind": "kl", "bound": 0.08})
    flat = flat_metrics(dataclasses.replace(searched, search=guarded))
    assert flat["search/candidates"] == 72
    assert flat["search/adjusted_p"] == 0.004
    assert flat["search/guard/bound"] == 0.08
    assert not {"search/path", "search/curves", "search/driver", "search/guard/kind"} & set(flat)
    assert json.loads(json.dumps(flat, allow_nan=False)) == flat


def test_other_loggers_are_passed_over(record: Record, predictions: pd.DataFrame, tmp_path: Path):
    log_result(CSVLogger(tmp_path), record, predictions)
    log_result([], record, predictions)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_offline_run_holds_config_metrics_examples_stack_and_search(
    searched: Record, predictions: pd.DataFrame, cells: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    record = searched
    wandb = pytest.importorskip("wandb")
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    stack = tmp_path / "stack.yaml"
    stack.write_text("edits: []\n")
    logger = WandbLogger(save_dir=str(tmp_path), offline=True, project="laser_lit")
    log_result([CSVLogger(tmp_path), logger], record, predictions, stack, cells)
    wandb.finish()
    wandb.teardown()  # finish() returns before its service has written the file
    (path,) = tmp_path.rglob("run-*.wandb")
    found = list(records(path, messages))
    config = {
        item.key: json.loads(item.value_json) for kind, entry in found if kind == "config" for item in entry.update
    }
    summary = {
        item.key: json.loads(item.value_json) for kind, entry in found if kind == "summary" for item in entry.update
    }
    assert config["config_hash"] == record.config_hash
    assert config["laser"] == {"layer": 2, "matrix": "fc_in"}
    assert summary["test/gain/accuracy"] == pytest.approx(record.test.gain.accuracy)
    artifacts = {entry.type: entry for kind, entry in found if kind == "artifact"}
    assert artifacts["stack"].manifest.contents[0].path == "stack.yaml"
    assert artifacts["stack"].manifest.contents[0].local_path == str(stack)
    assert set(artifacts) == {"stack", "run_table"}
    tables = {path.name.split("_")[0]: json.loads(path.read_text()) for path in tmp_path.rglob("*.table.json")}
    content = tables["examples"]
    assert len(content["data"]) == len(predictions)
    assert {"prompt", "answer", "base_prediction", "laser_prediction", "outcome"} <= set(content["columns"])
    assert len(tables["cells"]["data"]) == len(cells)
    figures = {path.name.split("_")[0]: json.loads(path.read_text()) for path in tmp_path.rglob("*.plotly.json")}
    assert set(figures) == {"gain", "map", "ranks", "removable", "predicted", "cost"}
    assert figures["map"]["data"][0]["type"] == "heatmap"
    assert summary["search/improving"] == 9


def test_the_further_sections_are_on_the_run_as_on_the_page(record: Record, predictions: pd.DataFrame):
    reworded = predictions.assign(answer=predictions.groupby("group")["answer"].transform("first"))
    sure = reworded.assign(base_confidence=0.5, laser_confidence=np.linspace(0.4, 1, len(reworded)))
    logged: dict[str, object] = {}
    _log_sections(SimpleNamespace(log=logged.update), record, sure)
    assert set(logged) == {"paraphrases/paraphrases_table", "calibration/calibration", "calibration/calibration_table"}
    table = logged["paraphrases/paraphrases_table"]
    assert table.columns[0] == "share of facts"
    assert [row[0] for row in table.data][:2] == ["every wording right", "some wording right"]
    logged.clear()
    _log_sections(SimpleNamespace(log=logged.update), record, predictions)
    assert logged == {}


def test_the_numbers_of_the_mechanism_test_are_flat(record: Record):
    gain = record.test.gain
    found = Mechanism(gain, gain, 0.5, (0.4, 0.6), 10, 5, 100, (("a", -1.0),), (("b", 1.0),))
    flat = flat_metrics(dataclasses.replace(record, analyses=Analyses(mechanism=found)))
    assert flat["mechanism/share"] == 0.5
    assert flat["mechanism/gain/accuracy"] == gain.accuracy
    assert "mechanism/share" not in flat_metrics(record)


def test_the_gain_of_a_search_by_log_loss_is_one_of_log_loss(searched, predictions, cells):
    search = dataclasses.replace(searched.search, objective="log_loss")
    record = dataclasses.replace(searched, search=search)
    figure = gain_figure(record)
    assert figure.data[0]["x"] == [round(record.test.gain.log_loss, 5)]
    assert [trace["name"] for trace in figure.data] == ["edited"]
    strips = render_html(record, predictions, cells=cells).partition('class="strips"')[2].partition("</figure>")[0]
    assert f"{signed(record.test.gain.log_loss, False)} nats" in strips
    assert "points" not in strips
