"""laserRMT's searches and rank rules, through the real configs and the real command, on a small text."""

import re

import pytest

from laser_lit.results.cells import read_cells
from laser_lit.results.record import read_record

ORDER = ("fc_out", "fc_in", "q_proj", "k_proj", "v_proj", "out_proj")


@pytest.fixture
def model(gptj, files):
    return ["model=local", f"model.path={gptj}", *files["text"]]


def test_rmt_goes_from_the_last_layer_to_the_first(evaluate, model):
    run = evaluate(*model, "search=rmt", "search.rule=energy:0.8")
    search, cells = run.record["search"], read_cells(run.folder)
    assert (search["driver"], search["objective"], search["candidates"]) == ("rmt", "log_loss", 18)
    places = list(zip(cells["layer"], cells["matrix"], strict=True))
    assert places == [(layer, name) for layer in (2, 1, 0) for name in ORDER][: len(places)]
    assert 1 <= len(search["path"]) <= 5
    kept = [f"{'' if step == 0 else ' + '}{each['edits']}" for step, each in enumerate(search["path"])]
    assert cells["edits"].isin(["".join(kept)]).any()
    losses = [-search["base"], *(-step["validation"] for step in search["path"])]
    assert losses == sorted(losses, reverse=True)
    assert -search["chosen"] == losses[-1] == cells["log_loss"].min()
    assert len(run.record["edits"]) == len(search["path"])


def test_a_second_run_scores_nothing_and_says_the_same(evaluate, model, monkeypatch):
    line = (*model, "search=rmt", "search.rule=energy:0.8", "search.max_mod=2", "analysis=none")
    first = evaluate(*line)
    monkeypatch.setattr("laser_lit.tasks.searching.LanguageScorer.score", lambda *_: pytest.fail("scored again"))
    assert evaluate(*line).record["search"]["path"] == first.record["search"]["path"]


def test_snr_reports_the_change_on_held_out_text_with_its_interval(command, model, tmp_path):
    folder = tmp_path / "run"
    said = command(*model, "search=snr", "search.k=4", f"paths.output={folder}", "logger=none")
    assert said.code == 0, said.err
    record, cells = read_record(folder), read_cells(folder)
    assert record.search is not None
    assert record.search.candidates == len(cells) == 4
    assert record.test.gain is not None
    low, high = record.test.gain.log_loss_ci95
    assert low <= record.test.gain.log_loss <= high
    assert len(re.findall(r"rank \d+: signal-to-noise ratio \d", said.out + said.err)) == 4
    assert len(re.findall(r"[1-4] of 4, layer .*: log loss .* to .*: (kept|left out)", said.out + said.err)) == 4
    assert "not tried, since search.rule keeps all or nothing of it: layer 0 fc_in (32 of 32)" in str(record.warnings)


def test_rules_are_the_ranks_of_any_search(evaluate, model):
    line = ("search.rule=[energy:0.5,entropy]", "search.layers=-1", "search.matrices=[fc_in,q_proj]")
    grid, gradient = evaluate(*model, "search=grid", *line), evaluate(*model, "search=gradient", *line)
    cells = read_cells(grid.folder)
    assert len(cells) == 4
    assert cells.groupby("matrix")["rank"].nunique().eq(2).all()
    assert set(read_cells(gradient.folder)["edits"]) == set(cells["edits"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search=rmt", "search.rho=[0.5]"], r"search=rmt does not look at search.rho=\[0.5\]"),
        (["search=snr", "search.rank=[2]"], r"search=snr does not look at search.rank=\[2\]"),
        (["search=snr", "search.kinds=[zero]"], "does not look at search.kinds"),
        (["search=rmt", "search.k=3"], "search=rmt does not look at search.k=3"),
        (["search=snr", "search.max_mod=3"], "search=snr does not look at search.max_mod=3"),
        (["search=grid", "search.max_mod=3"], "search=grid does not look at search.max_mod=3"),
        (["search=rmt", "search.max_mod=0"], "search.max_mod 0: must be at least 1"),
        (["search=rmt", "search.rule=[entropy]"], "takes one rank rule"),
        (["search=rmt", "search.rule=null"], "takes one rank rule: energy, "),
        (["search=rmt", "search.rule=laser_rtm"], "nearest: laser_rmt"),
        (["search=rmt", "search.shards=2"], "can be split"),
        (["search=grid", "search.rule={energy: 0.9}"], "must be a rank rule or a list of them"),
        (["search=grid", "search.rule=[]"], "search.rule is empty"),
        (["search=grid", "search.rule=entropy", "search.rank=[2]"], "leave one of them out"),
        (["search=grid", "search.rule=entropy", "search.rank=[2]", "search.rho=table5"], "leave two of them out"),
        (["laser=none", "search.rule=entropy"], "search.rule without a search"),
    ],
)
def test_what_cannot_be_meant_is_said_without_a_traceback(command, model, arguments, words):
    said = command(*model, *arguments, "logger=none")
    assert said.code == 1
    assert said.err.count("error: ") == 1
    assert "Traceback" not in said.err
    assert re.search(words, said.err), said.err
