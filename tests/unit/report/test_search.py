import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from laser_lit.report.cells import axes, best_by_place, cells_payload, prepared
from laser_lit.report.findings import headline
from laser_lit.report.search import search_lines
from laser_lit.report.search_table import SHOWN_ROWS
from laser_lit.report.tables import render_result
from laser_lit.results.record import Record, record_from_dict
from laser_lit.results.search_record import SearchRecord

GUARD = {
    **{"text": "wikitext", "kind": "kl", "limit": 0.1, "windows": 64, "tokens": 8192, "mean": 0.0612},
    **{"bound": 0.083, "p99": 1.21, "choosing_bound": 0.09, "refused": 3},
}


def changed(record: Record, **search: object) -> Record:
    return dataclasses.replace(record, search=dataclasses.replace(record.search, **search))


def printed(record: Record, cells: pd.DataFrame | None = None, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(render_result(record, None, cells))
    return console.file.getvalue()


def test_the_validation_gain_stands_beside_the_test_gain(searched: Record):
    lines = search_lines(searched)
    assert lines["tried"] == "72 stacks, from 72 candidate edits; 69 scored in full, 2 in part, 1 failed"
    assert lines["cost"] == "69.3 whole cells, 96.2 % of the grid"
    assert search_lines(changed(searched, driver="racing"))["cost"].endswith("; the gradient's own passes not counted")
    assert search_lines(changed(searched, driver="snr", cost=15.0))["cost"] == "15 whole cells"
    assert lines["chosen"] == "layer 2 fc_in rank 1 of 64"
    assert lines["validation gain, points"].startswith("+25.3")
    assert lines["  p, max-T over those scored"] == "0.004; what was not scored in full is not in it"
    assert lines["test gain, points"] == "+27.0, 95 % interval +23.0 to +31.0"
    assert lines["  p of the one test made"] == "1e-5"
    assert lines["  validation minus test"] == "−1.7"
    assert lines["  least gain it could detect"].startswith("+3.1")
    assert not any(label.startswith("guard") for label in lines)


def test_of_stacks_of_several_edits_as_many_were_tried_as_were_asked_for(searched: Record):
    optuna = changed(searched, driver="optuna", candidates=270, tried=12, scored=3, failed=0)
    tried = search_lines(optuna)["tried"]
    assert tried == "12 stacks, from 270 candidate edits; 3 scored in full, 9 in part, 0 failed"
    one = changed(searched, tried=1, candidates=1, scored=1, failed=0)
    assert search_lines(one)["tried"] == "1 stack, from 1 candidate edit; 1 scored in full, 0 in part, 0 failed"


def test_a_search_for_log_loss_speaks_of_nats(searched: Record):
    lines = search_lines(changed(searched, objective="log_loss", base=-1.888, chosen=-1.688, detectable=None))
    assert lines["driver"] == "grid, least log loss on validation"
    assert lines["validation gain, nats"].startswith("+0.200")
    assert lines["test gain, nats"].startswith("+0.200, 95 % interval")
    assert lines["  least gain it could detect"] == "unknown"


def test_a_tie_is_said_to_be_one(searched: Record):
    lines = search_lines(changed(searched, base=0.5, chosen=0.5))
    assert "a tie, in which the log loss chose" in lines["validation gain, points"]


def test_the_headline_speaks_of_what_was_searched_for(searched: Record):
    by_loss = changed(searched, objective="log_loss", base=-1.888, chosen=-1.688)
    gain = by_loss.test.gain
    assert gain is not None
    assert "test log loss" in headline(by_loss)
    assert "points" not in headline(by_loss)
    assert "points" in headline(searched)


def test_the_guard_and_further_data_sets_are_named(searched: Record):
    config = {"search": {"also": ["bios"], "guard": {"data": "wikitext"}}}
    lines = search_lines(dataclasses.replace(changed(searched, guard=GUARD), config=config))
    assert "mean over 2 data sets" in lines["driver"]
    assert lines["guard, mean token KL"].startswith("0.0612 nats on wikitext, at most 0.083 with 95 % confidence")
    assert lines["  stacks turned away"] == "3"
    unmeasured = {**{key: GUARD[key] for key in ("text", "kind", "limit", "refused")}, "problem": "overflows"}
    assert "overflows" in search_lines(changed(searched, guard=unmeasured))["guard, mean token KL"]


def test_a_search_in_vain_says_so_plainly(in_vain: Record, cells: pd.DataFrame):
    worse = cells.assign(gain_accuracy=-cells["gain_accuracy"].abs() - 0.001)
    lines = search_lines(in_vain, worse)
    assert lines["chosen"].startswith("nothing: no candidate beat the base on validation")
    assert "points on validation" in lines["best of all"]
    assert "−" in lines["best of all"]
    assert headline(in_vain).startswith("No candidate beat the base on validation, so nothing was edited.")
    assert "test gain" not in printed(in_vain, worse)
    guarded = dataclasses.replace(in_vain, config={"search": {"guard": {"data": "wikitext"}}})
    assert "no candidate that passes the guard" in search_lines(guarded)["chosen"]
    assert headline(guarded).startswith("No candidate that passes the guard beat the base on validation, so nothing")


@pytest.mark.parametrize(("driver", "scored", "told"), [("grid", 72, False), ("grid", 71, True), ("optuna", 200, True)])
def test_what_the_adjusted_p_leaves_out_is_said(searched: Record, driver: str, scored: int, told: bool):
    """Of 200 stacks of several edits each, as many as were scored say nothing of what was left out."""
    line = search_lines(changed(searched, driver=driver, scored=scored))["  p, max-T over those scored"]
    assert ("not in it" in line) is told


def test_the_terminal_shows_lines_and_map_within_80_columns(searched: Record, cells: pd.DataFrame):
    text = printed(changed(searched, guard=GUARD), cells)
    assert max(map(len, text.splitlines())) <= 80
    heads, _, *rows = text[text.index("Best gain over ranks, points") :].splitlines()[1:6]
    assert heads.split() == ["layer", "q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"]
    best = cells[(cells["layer"] == 2) & (cells["matrix"] == "fc_in")]["gain_accuracy"].max()
    assert rows[2].split()[0] == "2"
    assert rows[2].split()[5] == f"+{100 * best:.1f}*"
    assert "*" not in rows[2].split()[1]
    assert "Best gain" not in printed(searched)
    assert "Best gain" not in printed(changed(searched, driver="rmt"), cells.assign(driver="rmt"))
    assert printed(record_from_dict(searched.to_dict()), cells) == printed(searched, cells)


def test_the_title_of_a_map_of_few_matrices_is_a_line(searched: Record, cells: pd.DataFrame):
    text = printed(searched, cells[cells["matrix"] == "fc_in"])
    assert "Best gain over ranks, points (* adjusted p ≤ .05)" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_map_of_a_deep_model_keeps_the_best_layers(searched: Record, cells: pd.DataFrame):
    deep = pd.concat([cells.assign(layer=cells["layer"] + 3 * copy) for copy in range(20)], ignore_index=True)
    deep.loc[deep["layer"] == 41, ["gain_accuracy", "error"]] = [0.9, None]
    text = printed(searched, deep)
    assert f"… {60 - SHOWN_ROWS} more" in text
    assert "  41 " in text


def test_prepared_cells_leave_failures_out_and_tell_clear_ones(cells: pd.DataFrame, searched: Record):
    table = prepared(cells, searched.search)
    assert len(table) == 71
    assert (table["clear"] == (cells["p_adjusted"].drop(5) <= 0.05).to_numpy()).all()
    given_up = table[~table["complete"]]
    assert given_up["said"].str.contains("given up after 20 examples").all()
    assert not given_up["clear"].any()
    assert table["gain"].max() == pytest.approx(100 * cells["gain_accuracy"].max())
    hostile = cells.assign(edits="<img src=x>")
    assert "&lt;img" in prepared(hostile, searched.search)["said"][0]


def test_more_examples_go_before_a_higher_gain(cells: pd.DataFrame, searched: Record):
    few = cells.assign(n=np.where(cells["rank"] == 6, 150, 20), complete=cells["rank"] == 6, error=None)
    few = few.assign(gain_accuracy=cells["gain_accuracy"].fillna(0.0))
    best = best_by_place(prepared(few, searched.search))
    assert set(best["rank"]) == {6.0}
    assert len(best) == 18


def test_matrices_come_in_the_order_of_a_block_and_parts_apart(cells: pd.DataFrame, searched: Record):
    both = pd.concat([cells.assign(part=part) for part in ("decoder", "cross", "encoder")], ignore_index=True)
    rows, columns = axes(prepared(both, searched.search))
    block = ["q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"]
    assert rows == [f"{part} {matrix}" for part in ("encoder", "decoder", "cross") for matrix in block]
    assert columns == ["0", "1", "2"]


def test_levels_are_ranks_or_shares_where_matrices_differ_in_size(cells: pd.DataFrame, searched: Record):
    assert set(prepared(cells, searched.search)["level"]) == {"rank 1", "rank 6", "rank 12", "rank 51"}
    narrow = cells.assign(rho=np.where(cells["matrix"] == "k_proj", cells["rank"] / 100, cells["rank"] / 101))
    assert "1 % of the ranks" in set(prepared(narrow, searched.search)["level"])
    kinds = cells.assign(kind="zero", rank=np.nan, rho=np.nan)
    assert set(prepared(kinds, searched.search)["level"]) == {"zero"}


def test_the_table_of_cells_has_the_best_first_and_failures_last(cells: pd.DataFrame, searched: Record):
    payload = cells_payload(cells, searched.search)
    gains = payload["columns"]["gain_accuracy"]
    assert (payload["total"], payload["shown"], payload["full"]) == (72, 72, 150)
    assert gains[:69] == sorted(gains[:69], reverse=True)
    assert gains[-1] is None
    assert payload["columns"]["error"][-1] == "LinAlgError: <b>did not converge</b>"
    assert payload["columns"]["n"][69:] == [20, 20, 0]
    few = cells_payload(cells, searched.search, limit=10)
    assert (few["shown"], few["columns"]["gain_accuracy"]) == (10, gains[:10])
    text = cells.assign(accuracy=np.nan, gain_accuracy=np.nan)
    losses = SearchRecord("grid", "log_loss", 72, 72, 69, 69.3, 1, -2.0)
    assert "gain_accuracy" not in cells_payload(text, losses)["columns"]
