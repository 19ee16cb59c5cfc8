"""Searches through the real configs and the real command, on small models and data."""

import json
import re

import pandas as pd
import pytest
import yaml

from laser_lit.errors import InputError
from laser_lit.results.cells import read_cells

GRID = ("search=grid", "search.rank=[2,8]", "search.matrices=[fc_in,out_proj]")


@pytest.fixture
def model(local):
    return local[:-4]  # without the edit


def test_a_search_reports_its_choice_on_the_test_split_once(evaluate, model, tmp_path):
    run = evaluate(*model, *GRID)
    record, cells = run.record, read_cells(run.folder)
    search = record["search"]
    assert (search["driver"], search["candidates"], search["scored"], search["cost"]) == ("grid", 12, 12, 12.0)
    assert len(cells) == 12
    assert cells["complete"].all()
    best = cells.sort_values(["accuracy", "log_loss"], ascending=[False, True], kind="stable").iloc[0]
    edit = record["edits"][0]
    assert (edit["layer"], edit["matrix"], edit["rank"]) == (best["layer"], best["matrix"], best["rank"])
    assert record["validation"]["laser"]["accuracy"] == pytest.approx(search["chosen"]) == pytest.approx(run.objective)
    assert record["validation"]["base"]["accuracy"] == pytest.approx(search["base"])
    assert record["stack"]["verified"] is True
    assert record["test_opened"] == 1
    assert (run.folder / "stack.yaml").read_text() == (tmp_path / "results" / "stack.yaml").read_text()
    assert search["curves"][0]["cost"] == list(range(1, 13))


def test_a_second_search_scores_nothing_and_says_the_same(evaluate, model, monkeypatch):
    first = evaluate(*model, *GRID)
    monkeypatch.setattr("laser_lit.tasks.searching.LanguageScorer.score", lambda *_: pytest.fail("scored again"))
    second = evaluate(*model, *GRID)
    pd.testing.assert_frame_equal(read_cells(first.folder), read_cells(second.folder))
    assert second.record["edits"] == first.record["edits"]
    assert second.record["test_opened"] == 2


def test_what_a_search_found_is_applied_again_from_its_folder(evaluate, model, tmp_path):
    found = evaluate(*model, *GRID)
    again = evaluate(*model, "laser=stack_top3", f"laser.from={tmp_path / 'results'}")
    assert again.record["edits"] == found.record["edits"]
    assert again.record["laser"] == found.record["laser"]


def test_a_search_in_which_nothing_gains_says_so_and_scores_the_base(evaluate, model):
    run = evaluate(*model, "search=grid", "search.kinds=[zero]", "search.matrices=out_proj", "search.layers=0")
    record = run.record
    assert record["search"]["chosen"] is None
    assert record["laser"] is None
    assert record["edits"] == []
    assert any("none beat the base" in warning for warning in record["warnings"])
    assert not (run.folder / "stack.yaml").exists()


def test_controls_are_refused_before_a_search_and_do_not_end_one_that_chose_nothing(evaluate, model, gptj, files):
    vain = ("search=grid", "search.kinds=[zero]", "search.matrices=out_proj", "search.layers=0", "controls=true")
    assert evaluate(*model, *vain).record["controls"] == []
    with pytest.raises(InputError, match="controls=true"):
        evaluate("model=local", f"model.path={gptj}", *files["text"], *vain)
    assert len(evaluate(*model, *GRID, "controls=true", "search.layers=-1").record["controls"]) > 1


def test_a_guard_that_lets_nothing_pass_is_named(evaluate, model, tmp_path):
    (tmp_path / "guard.txt").write_text("w1 w2 w3 w4 w5 w6 w7 w8 " * 200)
    guard = ("search.guard.data=text", f"search.guard.path={tmp_path / 'guard.txt'}", "search.guard.limit=0")
    run = evaluate(*model, *GRID, *guard, "search.guard.window=16", "search.guard.tokens=256")
    assert run.record["search"]["chosen"] is None
    assert any("none that passes the guard beat the base" in warning for warning in run.record["warnings"])
    said = (run.folder / "report.html").read_text()
    assert "No candidate that passes the guard beat the base on validation, so nothing was edited." in said
    assert "No candidate beat the base" not in said


def test_a_run_on_wandb_is_named_after_its_search(evaluate, model, monkeypatch):
    names = []
    monkeypatch.setattr("laser_lit.jobs.log.make_loggers", lambda config, folder, name, _: names.append(name) or [])
    evaluate(*model, *GRID, "search.layers=-1")
    evaluate(*model, "laser=none")
    assert names[0].endswith(" search grid")
    assert names[1].endswith(" none")


def test_shards_and_collect_choose_what_one_job_chooses(evaluate, model, tmp_path):
    whole = evaluate(*model, *GRID, f"paths.results={tmp_path / 'whole'}")
    for shard in range(3):
        part = evaluate(*model, *GRID, "search.shards=3", f"search.shard={shard}")
        assert not (part.folder / "result.json").exists()
    collected = evaluate(*model, *GRID, "search=collect")
    assert collected.record["edits"] == whole.record["edits"]
    assert [curve["driver"] for curve in collected.record["search"]["curves"]] == ["collect"]  # of shards none
    columns = ["edits", "n", "accuracy", "log_loss", "p", "p_adjusted"]
    pd.testing.assert_frame_equal(read_cells(collected.folder)[columns], read_cells(whole.folder)[columns])


def test_text_is_searched_by_log_loss(evaluate, gptj, files):
    run = evaluate("model=local", f"model.path={gptj}", *files["text"], *GRID, "controls=false")
    assert run.record["search"]["objective"] == "log_loss"
    cells = read_cells(run.folder)
    assert cells["accuracy"].isna().all()
    assert -run.record["search"]["base"] == pytest.approx(run.record["validation"]["base"]["log_loss"], rel=1e-6)


@pytest.mark.parametrize("driver", ["gradient", "greedy", "racing", "auto", "optuna"])
def test_every_driver_runs_from_end_to_end(evaluate, model, driver):
    run = evaluate(*model, f"search={driver}", "search.rank=[1,4,16]", "search.verify=4", "search.trials=8")
    search, cells = run.record["search"], read_cells(run.folder)
    assert search["driver"] == ("racing" if driver == "auto" else driver)
    assert search["scored"] == cells["complete"].sum() >= 1
    assert search["candidates"] == 54
    if driver in ("gradient", "greedy", "racing"):
        assert cells.loc[cells["step"] == 0, "predicted"].notna().all()
    if search["chosen"] is None:
        assert run.record["laser"] is None
    else:
        assert run.record["validation"]["laser"]["accuracy"] == pytest.approx(search["chosen"])
        assert search["chosen"] >= search["base"]


@pytest.mark.parametrize("kind", ["choice", "generate"])
def test_every_way_of_answering_can_be_searched(evaluate, gptj, files, kind):
    run = evaluate("model=local", f"model.path={gptj}", *files[kind], *GRID, "search.layers=-1", "controls=false")
    assert run.record["search"]["scored"] == 4
    if run.record["search"]["chosen"] is not None:
        assert run.record["validation"]["laser"]["accuracy"] == pytest.approx(run.record["search"]["chosen"])


def test_the_paths_of_a_search_are_in_the_folder_of_results(evaluate, model, tmp_path):
    evaluate(*model, *GRID)
    entries = [json.loads(line) for path in (tmp_path / "results").glob("cells-*.jsonl") for line in path.open()]
    assert len(entries) == 13  # the base among them
    assert yaml.safe_load((tmp_path / "results" / "stack.yaml").read_text())["edits"]


def test_several_data_sets_are_searched_for_one_stack(evaluate, model, files):
    name, *settings = [text.removeprefix("data=").removeprefix("data.") for text in files["choice"]]
    fields = ", ".join(f"{key}: {value}" for key, value in (setting.split("=", 1) for setting in settings))
    run = evaluate(*model, *GRID, "search.layers=-1", f"search.also=[{{name: {name}, {fields}}}]")
    parts = run.record["base"]["data_sets"]
    assert len(parts) == 2
    assert run.record["base"]["accuracy"] == pytest.approx(sum(part["accuracy"] for part in parts.values()) / 2)
    assert run.record["base"]["n"] == sum(part["n"] for part in parts.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search=gird"], "nearest: grid"),
        (["search=grid", "search.ranks=[1]"], "search.rank"),
        (["search=grid", "search.rank=[0]"], "at least 1"),
        (["search=grid", "search.rho=[2]"], r"must lie in \[0, 1\]"),
        (["search=grid", "search.rho=figure2", "search.rank=[1]"], "leave one of them out"),
        (["search=grid", "search.layers=9"], "layers 0 to 2"),
        (["search=grid", "search.layers=lat"], "nearest: late"),
        (["search=grid", "search.rank=[999]"], r"search.rank=\[999\] leaves no candidates.* highest useful one is 31"),
        (["search=grid", "search.shard=0"], "without search.shards"),
        (["search=grid", "search.shard=1"], "without search.shards"),
        (["search=3"], "a choice of search= or of another group is a name, not a number"),
        (["search=grid", "search.guard.limit=0.1"], "would count for nothing"),
        (["search=grid", "search.matrices=fc_on"], "fc_in"),
        (["search=grid", "search.objective=f1"], "accuracy, log_loss"),
        (["search=grid", "search.shard=2", "search.shards=2"], "shard must lie in"),
        (["search=greedy", "search.shards=2"], "can be split"),
        (["search=grid", "laser=paper"], "chooses the edits"),
        (["search=grid", "laser.rho=0.5"], "laser.rho=0.5 would count for nothing"),
        (["search=grid", "search.cache_gb=-1"], "at least 0"),
        (["search=racing", "search.budget=0"], "search.budget 0"),
        (["search=collect"], "cells are not in"),
        (["search=grid", "search.cache_gb=nan"], "at least 0 and finite"),
        (["search=grid", "search.guard.limit=0.01"], "search.guard.limit=0.01 would count for nothing"),
        (["search=grid", "search.kinds=[]"], "search.kinds is empty"),
        (["search=grid", "search.rank=[]"], "search.rank is empty"),
        (["search=grid", "search.rho=[]"], "search.rho is empty"),
        (["search=grid", "search.rank=[100000]"], "each is the full rank"),
        (["laser=none", "search.also=[fever]"], "search.also without a search"),
        (["search=grid", "trainer=ddp"], "one process a job"),
    ],
)
def test_what_cannot_be_meant_is_said_without_a_traceback(command, model, arguments, words):
    said = command(*model, *arguments, "logger=none")
    assert said.code == 1
    assert said.err.count("error: ") == 1
    assert "Traceback" not in said.err
    assert re.search(words, said.err), said.err
