"""Stacks that a guard turned away are marked wherever the best is shown, and give way to the best that passed."""

import dataclasses
import io

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from rich.console import Console

from laser_lit.report.cells import best_by_place, cells_payload, prepared
from laser_lit.report.figures import search_figures
from laser_lit.report.search import search_lines
from laser_lit.report.tables import render_result
from laser_lit.results.record import Record


@pytest.fixture
def guarded(cells: pd.DataFrame) -> pd.DataFrame:
    """The grid under a guard that turned away the best four cells, all but one in layer 2 fc_in, which it had whole."""
    best = cells["gain_accuracy"].where(cells["complete"].astype(bool)).nlargest(3).index
    last = cells[(cells["layer"] == 2) & (cells["matrix"] == "fc_in")].index
    table = cells.assign(guard=None)
    table.loc[best.union(last), "guard"] = "refused"
    rest = table["gain_accuracy"].where(table["complete"].astype(bool) & table["guard"].isna())
    table.loc[rest.idxmax(), "guard"] = "passed"
    return table


def figures(record: Record, cells: pd.DataFrame):
    return {figure.name: figure for figure in search_figures(record, cells)}


def test_the_best_of_a_place_is_one_that_was_not_turned_away(searched: Record, guarded: pd.DataFrame):
    best = best_by_place(prepared(guarded, searched.search))
    refused = best[best["refused"]]
    assert list(zip(refused["layer"], refused["matrix"], strict=True)) == [(2, "fc_in")]
    assert refused["said"].str.endswith("turned away by the guard").all()
    few = guarded.assign(n=np.where(guarded["guard"].eq("refused"), 150, 20))
    assert best_by_place(prepared(few, searched.search))["refused"].sum() > 1  # more examples go first


def test_the_map_marks_them(searched: Record, guarded: pd.DataFrame, cells: pd.DataFrame):
    figure = figures(searched, guarded)["map"]
    clear, grey, _, crosses = figure.data[:4]
    places = zip(crosses["x"], crosses["y"], crosses["marker"]["size"], strict=True)
    assert [(x, y) for x, y, size in places if size] == [("2", "fc_in")]
    assert "turned away" in str(clear["text"][4][2]) + str(grey["text"][4][2])
    assert "× was turned away by the guard" in figure.caption
    go.Figure(figure.themed())
    plain = figures(searched, cells)["map"]
    assert len(plain.data) == 7
    assert "×" not in plain.caption


def test_every_rank_of_the_map_marks_its_own(searched: Record, guarded: pd.DataFrame):
    buttons = figures(searched, guarded)["map"].layout["updatemenus"][0]["buttons"]
    marked = [np.count_nonzero(button["args"][0]["marker.size"][3]) for button in buttons]
    assert all(button["args"][1] == list(range(8)) for button in buttons)
    assert all(len(change) == 8 for button in buttons for change in button["args"][0].values())
    by_rank = guarded[guarded["guard"].eq("refused")].groupby("rank").size()
    assert marked == [1, *(by_rank.get(rank, 0) for rank in (1, 6, 12, 51))]


def test_curves_mark_them_and_another_stands_out(searched: Record, guarded: pd.DataFrame):
    figure = figures(searched, guarded)["ranks"]
    symbols = [symbol for trace in figure.data for symbol in trace["marker"]["symbol"]]
    assert symbols.count("x") == 2 * guarded["guard"].eq("refused").sum()
    outstanding = [trace for trace in figure.data if trace["line"]["color"] == "--accent"]
    assert ("fc_in", "layer 2") not in [(trace["meta"], trace["name"]) for trace in outstanding]
    assert "× was turned away by the guard" in figure.caption
    go.Figure(figure.themed())


def test_the_cost_says_that_they_do_not_count(searched: Record, guarded: pd.DataFrame, cells: pd.DataFrame):
    assert "turned away" in figures(searched, guarded)["cost"].caption
    assert "turned away" not in figures(searched, cells)["cost"].caption


def test_the_table_of_cells_says_what_the_guard_said(searched: Record, guarded: pd.DataFrame, cells: pd.DataFrame):
    columns = cells_payload(guarded, searched.search)["columns"]
    assert columns["guard"][0] == "passed"
    assert columns["guard"].count("refused") == guarded["guard"].eq("refused").sum()
    assert set(columns["guard"][1:60]) == {None}  # of whole cells, those that were turned away come last
    assert columns["error"][-1] is not None
    assert "guard" not in cells_payload(cells, searched.search)["columns"]


def test_the_terminal_marks_them(searched: Record, in_vain: Record, guarded: pd.DataFrame, cells: pd.DataFrame):
    def printed(table: pd.DataFrame) -> str:
        console = Console(width=80, file=io.StringIO())
        console.print(render_result(searched, None, table))
        return console.file.getvalue()

    text = printed(guarded)
    assert "(* adjusted p ≤ .05; × turned away; some partial)" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("×") == 2
    assert "×" not in printed(cells)
    config = {"search": {"guard": {"data": "wikitext"}}}
    vain = dataclasses.replace(in_vain, config=config)
    only = guarded.assign(guard=np.where(guarded["complete"].astype(bool), "refused", None))
    assert search_lines(vain, only)["best of all"].endswith("on validation, turned away by the guard")
    assert search_lines(vain, cells)["best of all"].endswith("on validation")
