import dataclasses
import io
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from plotly.offline import get_plotlyjs
from rich.console import Console

from laser_lit.errors import InputError
from laser_lit.report.__main__ import main
from laser_lit.report.sweep import find_runs, render_sweep, summary, sweep_rows, unfinished
from laser_lit.report.sweep_page import write_sweep
from laser_lit.results.predictions import write_predictions
from laser_lit.results.record import Record, read_record


def with_p(record: Record, p: float, **more: object) -> Record:
    gain = dataclasses.replace(record.test.gain, p=p, accuracy=0.1, ci95=(0.0, 0.2))
    return dataclasses.replace(record, test=dataclasses.replace(record.test, gain=gain), **more)


def configured(run: Path, config: object) -> None:
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def folder(record: Record, in_vain: Record, tmp_path: Path) -> Path:
    """A multirun of five evaluations, of which one searched in vain and one did not finish."""
    ps = {"0": 0.01, "2": 0.04, "10": 0.03}
    for name, p in ps.items():
        (tmp_path / name).mkdir()
        with_p(record, p, test_opened=int(name) + 1).save(tmp_path / name / "result.json")
    for name in ("1", "3"):
        configured(tmp_path / name, {"task": {"name": "language"}, "search": {}})
    in_vain.save(tmp_path / "3" / "result.json")
    (tmp_path / "0" / "report.html").write_text("")
    (tmp_path / ".trash").mkdir()
    record.save(tmp_path / ".trash" / "result.json")
    return tmp_path


def printed(folder: Path, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(render_sweep(sweep_rows(folder, find_runs(folder)), unfinished(folder)))
    return console.file.getvalue()


def test_runs_come_in_the_order_of_their_numbers(folder: Path):
    rows = sweep_rows(folder, find_runs(folder))
    assert [row.name for row in rows] == ["0", "2", "3", "10"]
    assert [row.opened for row in rows] == ["1", "3", "3", "11"]
    assert [row.page for row in rows] == [True, False, False, False]
    assert unfinished(folder) == ["1"]
    with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
        find_runs(folder / "nowhere")


def test_only_what_leaves_a_record_can_have_left_none(folder: Path):
    for task in ("scan", "compare", "edit_checkpoint", "lm_eval"):
        configured(folder / task, {"task": {"name": task}, "search": {}})
    configured(folder / "training", {"task": {"name": "reft"}})
    configured(folder / ".kept" / "4", {"task": {"name": "language"}, "search": {}})
    configured(folder / "damaged", "no config")
    configured(folder / "another program", {"task": "language", "search": {}})
    (folder / "mine" / ".hydra").mkdir(parents=True)
    configured(folder / "12" / "0", {"task": {"name": "my_task"}, "search": {}})
    assert unfinished(folder) == ["1", "12/0"]


def test_p_is_adjusted_for_the_tests_that_were_made(folder: Path):
    rows = sweep_rows(folder, find_runs(folder))
    assert [row.p for row in rows] == ["0.010", "0.040", "", "0.030"]
    assert [row.adjusted for row in rows] == ["0.030", "0.060", "", "0.060"]
    assert [row.clear for row in rows] == [True, False, False, False]
    assert summary(rows) == (
        "4 finished runs, 3 confirmatory tests: 1 gains on test with a p of at most .05 after Holm's adjustment."
    )
    assert rows[2].applied == "nothing: no candidate beat the base"
    guarded = dataclasses.replace(read_record(folder / "3"), config={"search": {"guard": {"data": "wikitext"}}})
    guarded.save(folder / "3" / "result.json")
    assert (
        sweep_rows(folder, find_runs(folder))[2].applied == "nothing: no candidate that passes the guard beat the base"
    )
    assert (rows[0].validation, rows[0].test, rows[0].interval) == ("+25.3", "+10.0", "±0.0 to +20.0")


@pytest.mark.parametrize("width", [80, 160])
def test_the_terminal_has_a_line_a_run(folder: Path, width: int):
    text = printed(folder, width)
    assert max(map(len, text.splitlines())) <= width
    assert "Runs on facts on facts, gains in points" in text
    assert "1 job left no result.json (unfinished, failed, or one shard of a search): 1." in " ".join(text.split())
    for needed in ("+25.3", "±0.0 to +20.0", "0.060", "Holm"):
        assert needed in text


def overridden(folder: Path, **typed: list[str]) -> None:
    for name, overrides in typed.items():
        file = folder / name.lstrip("_") / ".hydra" / "overrides.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(overrides))


@pytest.mark.parametrize("width", [80, 160])
def test_runs_are_named_by_what_was_varied(folder: Path, width: int):
    common = ["model=facts", "+a=1"]
    overridden(
        folder,
        _0=[*common, "laser.layer=1", "paths.results=a"],
        _2=[*common, "laser.layer=2", "paths.results=b"],
        _3=[*common, "laser.layer=2", "search=grid"],
        _10=["~b", *common, "laser.rho=0.5=x"],
    )
    rows = sweep_rows(folder, find_runs(folder))
    assert [row.varied for row in rows] == [
        "laser.layer=1",
        "laser.layer=2",
        "laser.layer=2 search=grid",
        "~b laser.rho=0.5=x",
    ]
    lines = [line.split() for line in printed(folder, width).splitlines()]
    assert max(map(len, printed(folder, width).splitlines())) <= width
    assert ["0", "laser.layer=1"] in lines
    assert ["3", "laser.layer=2", "search=grid"] in lines
    page = write_sweep(folder, find_runs(folder), rows).read_text()
    assert ">laser.layer=2 search=grid<" in page
    overridden(folder, _0=["seed=<b>"])
    assert "seed=&lt;b&gt;" in write_sweep(folder, find_runs(folder), sweep_rows(folder, find_runs(folder))).read_text()


def test_runs_whose_overrides_are_unknown_or_alike_go_by_their_folders(folder: Path):
    assert [row.varied for row in sweep_rows(folder, find_runs(folder))] == [""] * 4
    overridden(folder, _0=["seed=1"], _2=["seed=2"])
    assert [row.varied for row in sweep_rows(folder, find_runs(folder))] == ["seed=1", "seed=2", "", ""]
    overridden(folder, _2=[])
    assert [row.varied for row in sweep_rows(folder, find_runs(folder))] == ["seed=1", "", "", ""]
    overridden(folder, _2=["seed=1"])
    (folder / "3" / ".hydra").mkdir(exist_ok=True)
    (folder / "3" / ".hydra" / "overrides.yaml").write_text("{: no yaml")
    (folder / "10" / ".hydra").mkdir(exist_ok=True)
    (folder / "10" / ".hydra" / "overrides.yaml").write_text("5")
    assert [row.varied for row in sweep_rows(folder, find_runs(folder))] == [""] * 4
    assert "varied" not in printed(folder)


def test_runs_of_several_kinds_name_model_data_and_unit(record: Record, searched: Record, tmp_path: Path):
    record.save(tmp_path / "a" / "result.json")
    search = dataclasses.replace(searched.search, objective="log_loss")
    other = dataclasses.replace(searched, search=search, model={**record.model, "id": "<b>gptj</b>"})
    other.save(tmp_path / "b" / "7" / "result.json")
    rows = sweep_rows(tmp_path, find_runs(tmp_path))
    assert [(row.unit, row.test, row.strip) for row in rows] == [("points", "+27.0", None), ("nats", "+0.200", None)]
    text = printed(tmp_path, 160)
    assert "<b>gptj</b> on facts: layer 2 fc_in" in text
    assert "+0.200 nats" in text
    page = write_sweep(tmp_path, find_runs(tmp_path), rows).read_text()
    assert "&lt;b&gt;gptj&lt;/b&gt; on facts" in page
    assert "model and data" in page


def test_the_page_links_the_runs_and_loads_nothing(folder: Path):
    rows = sweep_rows(folder, find_runs(folder))
    page = write_sweep(folder, find_runs(folder), rows, unfinished(folder)).read_text()
    own = page.replace(get_plotlyjs(), "")
    assert own.count("<a href") == 1
    assert 'href="0/report.html"' in own
    assert not re.search(r"<(link|img|iframe)|<script[^>]* src|https?://", own)
    assert page.count('class="point"') == 3
    assert page.count('class="clear"') == 1
    zero, point = rows[0].strip.zero, rows[0].strip.point
    assert 0 <= rows[0].strip.low <= point <= rows[0].strip.high <= 100
    assert zero < point


def test_the_command_takes_one_run_or_several(
    record: Record, predictions: pd.DataFrame, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(folder)]) == 0
    assert "confirmatory tests" in capsys.readouterr().out
    assert (folder / "report.html").is_file()
    write_predictions(predictions, folder / "2" / "predictions.parquet")
    assert main([str(folder / "2")]) == 0
    assert "confirmatory" not in capsys.readouterr().out
    assert (folder / "2" / "report.html").is_file()
    (folder / "2" / "result.json").write_text("{")
    assert main([str(folder)]) == 1
    assert "is not JSON" in capsys.readouterr().err


def test_a_folder_without_runs_and_runs_without_edits(in_vain: Record, tmp_path: Path):
    with pytest.raises(InputError, match=r"no result\.json or compare\.json at or below"):
        find_runs(tmp_path)
    in_vain.save(tmp_path / "a" / "result.json")
    rows = sweep_rows(tmp_path, find_runs(tmp_path))
    assert summary(rows) == "1 finished run; none of them edited the model, so nothing was tested."
    assert "nothing was tested" in " ".join(printed(tmp_path).split())
