import dataclasses

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from laser_lit.report.cells import prepared
from laser_lit.report.removable import Removable, removable, removable_figure, removable_line
from laser_lit.results.record import Record


def found(record: Record, cells: pd.DataFrame) -> Removable:
    result = removable(prepared(cells, record.search), record.search)
    assert result is not None
    return result


def test_the_lowest_rank_that_is_not_worse_counts(searched: Record, cells: pd.DataFrame):
    places = found(searched, cells).places.set_index(["row", "column"])
    assert len(places) == 18
    for (row, column), place in places.iterrows():
        tried = cells[(cells["matrix"] == row) & (cells["layer"] == int(column)) & (cells["not_worse"] == True)]  # noqa: E712
        expected = 1 - tried["rho"].min() if len(tried) else np.nan
        assert place["gone"] == pytest.approx(expected, nan_ok=True)
    assert places["gone"].isna().any()
    assert places["gone"].gt(0.9).any()


def test_no_share_goes_that_the_guard_turned_away_and_all_of_it_where_zero_does_no_harm(
    searched: Record, cells: pd.DataFrame
):
    place = (cells["layer"] == 2) & (cells["matrix"] == "fc_in")
    guarded = cells.assign(guard=np.where(place & (cells["rank"] < 12), "refused", None))
    gone = found(searched, guarded).places.set_index(["row", "column"])["gone"]
    assert gone["fc_in", "2"] == pytest.approx(1 - 12 / 64)
    zero = cells[place & (cells["rank"] == 1)].assign(kind="zero", rank=np.nan, rho=np.nan)
    gone = found(searched, pd.concat([cells, zero], ignore_index=True)).places.set_index(["row", "column"])["gone"]
    assert gone["fc_in", "2"] == 1.0


def test_the_figure_counts_what_it_shows_and_says_how_it_was_judged(searched: Record, cells: pd.DataFrame):
    figure = removable_figure(prepared(cells, searched.search), searched)
    assert figure is not None
    go.Figure(figure.themed())
    (heat,) = figure.data
    z = np.array(heat["z"], dtype=float)
    most = int((z > 0.9).sum())
    assert f"In {most} of 18 matrices more than 90 % of the components can go." in figure.caption
    assert "in accuracy is shown to be above −5 points" in figure.caption
    assert "150 examples in 50 groups" in figure.caption
    assert "50 groups are too few to show it of a cut that changes nothing, which takes 59" in figure.caption
    assert heat["text"][4][2] == "98.4 %"
    assert {heat["text"][i][j] for i, j in zip(*np.nonzero(np.isnan(z)), strict=True)} == {""}
    line = removable_line(prepared(cells, searched.search), searched.search)
    assert line.startswith(f"more than 90 % of the components in {most} of 18 matrices, each cut alone")


def test_ranks_that_no_guard_was_asked_about_are_counted(searched: Record, cells: pd.DataFrame):
    guarded = dataclasses.replace(searched, config={"search": {"guard": {"data": "text"}}})
    place = (cells["layer"] == 2) & (cells["matrix"] == "fc_in")
    asked = cells.assign(guard=np.where(place & (cells["rank"] == 1), "passed", None))
    shown = int(found(searched, cells).places["gone"].notna().sum())
    for table, unasked in ((cells, shown), (asked, shown - 1)):
        figure = removable_figure(prepared(table, searched.search), guarded)
        assert figure is not None
        assert f"The guard was not asked about {unasked} of these ranks." in figure.caption
    without = removable_figure(prepared(cells, searched.search), searched)
    assert without is not None
    assert "guard" not in without.caption


def test_enough_groups_are_not_spoken_of(searched: Record, cells: pd.DataFrame):
    many = dataclasses.replace(searched, data={**searched.data, "groups_validation": 59})
    figure = removable_figure(prepared(cells, searched.search), many)
    assert figure is not None
    assert "too few" not in figure.caption


def test_one_rank_a_matrix_or_no_margin_shows_nothing(searched: Record, cells: pd.DataFrame):
    one = prepared(cells[cells["rank"] == 1], searched.search)
    assert removable_figure(one, searched) is None
    assert removable_line(one, searched.search) == ""
    old = dataclasses.replace(searched, search=dataclasses.replace(searched.search, delta=None))
    assert removable_figure(prepared(cells, searched.search), old) is None
