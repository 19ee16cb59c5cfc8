import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import laser_lit.report
from laser_lit.report.cells import IN_TURN
from laser_lit.report.figure import DOTTED, LIGHT, Figure, log_axis, window
from laser_lit.report.figures import cost_figure, search_figures
from laser_lit.results.cells import LATER
from laser_lit.results.record import Record
from laser_lit.search.drivers import BY_ONE_RULE, DRIVERS


@pytest.fixture
def figures(searched: Record, cells: pd.DataFrame) -> dict[str, Figure]:
    steps = ({"edits": "layer 2 fc_in rank 1", "validation": 0.86, "gain": 0.1933},)
    steps += ({"edits": "layer 1 fc_out rank 6", "validation": 0.9, "gain": 0.04},)
    greedy = dataclasses.replace(searched, search=dataclasses.replace(searched.search, path=steps))
    return {figure.name: figure for figure in search_figures(greedy, cells)}


def test_plotly_knows_every_entry_and_json_every_value(figures: dict[str, Figure]):
    assert list(figures) == ["map", "ranks", "removable", "predicted", "cost", "path"]
    for figure in figures.values():
        themed = figure.themed()
        go.Figure(themed)
        assert '"--' not in json.dumps(themed, allow_nan=False)
        assert '"--' in json.dumps([figure.data, figure.layout], allow_nan=False)


def test_the_light_theme_is_that_of_the_page():
    css = (Path(laser_lit.report.__path__[0]) / "templates" / "report.css").read_text()
    page = dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", css[: css.index("@media")]))
    assert {name: colour for name, colour in LIGHT.items() if name != "--sans"}.items() <= page.items()


def test_the_map_greys_what_is_not_clear_and_marks_what_was_chosen(figures: dict[str, Figure], cells: pd.DataFrame):
    clear, grey, ring, *_, marks = figures["map"].data
    assert (clear["x"], clear["y"][4:]) == (["0", "1", "2"], ["fc_in", "fc_out"])
    coloured, rest = (np.array(trace["z"], dtype=float) for trace in (clear, grey))
    assert (np.isnan(coloured) != np.isnan(rest)).all()
    best = cells[(cells["layer"] == 2) & (cells["matrix"] == "fc_in")]["gain_accuracy"].max()
    assert coloured[4, 2] == pytest.approx(100 * best, abs=1e-3)
    assert (marks["x"], marks["y"]) == (["2"], ["fc_in"])
    ringed = [place for *place, size in zip(ring["x"], ring["y"], ring["marker"]["size"], strict=True) if size]
    top = cells.loc[cells["gain_accuracy"].idxmax()]
    assert ringed == [[str(top["layer"]), top["matrix"]]]


def test_the_map_has_a_view_for_every_rank(figures: dict[str, Figure], cells: pd.DataFrame):
    buttons = figures["map"].layout["updatemenus"][0]["buttons"]
    assert [button["label"] for button in buttons] == ["best of all", "rank 1", "rank 6", "rank 12", "rank 51"]
    change, traces = buttons[2]["args"]
    assert traces == [0, 1, 2, 3, 4, 5]
    z = np.array(change["z"][:2], dtype=float)
    expected = cells[(cells["layer"] == 1) & (cells["matrix"] == "q_proj") & (cells["rank"] == 6)]["gain_accuracy"]
    assert np.nansum(z[:, 0, 1]) == pytest.approx(100 * expected.item(), abs=1e-3)
    assert change["z"][0][0][1] is None or change["z"][1][0][1] is None


def test_the_map_of_failed_cells_has_holes(searched: Record, cells: pd.DataFrame):
    broken = cells.assign(error=np.where(cells["layer"] == 1, "failed", cells["error"]))
    clear, grey, *_ = search_figures(searched, broken)[0].data
    assert clear["x"] == ["0", "2"]
    missing = cells.assign(error=np.where((cells["layer"] == 1) & (cells["matrix"] == "fc_in"), "failed", None))
    clear, grey, *_ = search_figures(searched, missing)[0].data
    assert clear["z"][4][1] is grey["z"][4][1] is None


def test_curves_of_one_matrix_are_seen_at_a_time_and_the_best_stands_out(
    figures: dict[str, Figure], cells: pd.DataFrame
):
    figure = figures["ranks"]
    seen = [trace for trace in figure.data if trace["visible"]]
    best = cells.loc[cells["gain_accuracy"].idxmax()]
    assert {trace["meta"] for trace in seen} == {best["matrix"]}
    accent = [(trace["yaxis"], trace["name"]) for trace in seen if trace["line"]["color"] == "--accent"]
    assert accent == [("y", f"layer {best['layer']}"), ("y2", f"layer {best['layer']}")]
    buttons = figure.layout["updatemenus"][0]["buttons"]
    assert [sum(button["args"][0]["visible"]) for button in buttons] == [6] * 6
    assert all(trace["x"] == sorted(trace["x"]) for trace in figure.data)


def test_the_map_shows_the_other_metric_too(figures: dict[str, Figure], cells: pd.DataFrame):
    figure = figures["map"]
    ranks, metrics = figure.layout["updatemenus"]
    assert (ranks["name"], metrics["name"]) == ("Rank", "Metric")
    assert [button["label"] for button in metrics["buttons"]] == ["accuracy", "log loss"]
    assert [button["args"][0]["visible"] for button in metrics["buttons"]] == [
        [True] * 3 + [False] * 3,
        [False] * 3 + [True] * 3,
    ]
    assert [trace["visible"] for trace in figure.data[:6]] == [True] * 3 + [False] * 3
    clear, grey = (np.array(trace["z"], dtype=float) for trace in figure.data[3:5])
    best = cells[(cells["layer"] == 2) & (cells["matrix"] == "fc_in")]["gain_log_loss"].max()
    assert np.nansum([clear[4, 2], grey[4, 2]]) == pytest.approx(best, abs=1e-3)
    assert (~np.isnan(clear)).sum() < (~np.isnan(np.array(figure.data[0]["z"], dtype=float))).sum()  # by its own p
    assert figure.data[3]["colorbar"]["title"]["text"].removesuffix("<br> ") == "nats"


def test_the_pointer_says_both_gains_with_their_intervals(figures: dict[str, Figure]):
    said = figures["map"].data[0]["text"][4][2]
    assert re.fullmatch(
        r"layer 2 fc_in rank 1<br>gain \+(.*) points, 95 % \+(.*) to \+(.*)<br>gain \+(.*) nats, 95 % \+.* to \+.*"
        r"<br>adjusted p = .*",
        said,
    )


def test_cells_of_older_versions_are_drawn_as_they_were(searched: Record, cells: pd.DataFrame):
    old = cells.assign(**dict.fromkeys(LATER, np.nan))
    found = {figure.name: figure for figure in search_figures(searched, old)}
    assert list(found) == ["map", "ranks", "predicted", "cost"]
    assert [menu["name"] for menu in found["map"].layout["updatemenus"]] == ["Rank"]
    assert "95 %" not in str(found["map"].data)


def test_curves_are_of_scores_with_the_base_dotted(figures: dict[str, Figure], cells: pd.DataFrame):
    figure = figures["ranks"]
    upper, lower = figure.layout["shapes"]
    assert (upper["yref"], upper["y0"], lower["yref"], lower["y0"]) == ("y", pytest.approx(50), "y2", pytest.approx(2))
    of = cells[(cells["layer"] == 1) & (cells["matrix"] == "k_proj")]
    drawn = {trace["yaxis"]: trace for trace in figure.data if (trace["meta"], trace["name"]) == ("k_proj", "layer 1")}
    assert drawn["y"]["x"] == pytest.approx(of["rho"].tolist())
    assert drawn["y"]["y"] == pytest.approx((100 * of["accuracy"]).tolist(), abs=1e-3)
    assert drawn["y2"]["y"] == pytest.approx(of["log_loss"].tolist(), abs=1e-3)
    domains = figure.layout["yaxis"]["domain"], figure.layout["yaxis2"]["domain"]
    assert domains[0][0] > domains[1][1]
    assert figure.layout["xaxis"]["anchor"] == "y2"
    assert "scored in part" in figure.caption


def test_text_has_one_panel_and_one_map(searched: Record, cells: pd.DataFrame):
    gone = [
        "accuracy",
        "gain_accuracy",
        "gain_accuracy_low",
        "gain_accuracy_high",
        "gain_accuracy_bound",
        "p_adjusted_other",
    ]
    text = cells.assign(**dict.fromkeys(gone, np.nan))
    record = dataclasses.replace(searched, search=dataclasses.replace(searched.search, objective="log_loss", curves=()))
    found = {figure.name: figure for figure in search_figures(record, text)}
    assert {trace["yaxis"] for trace in found["ranks"].data} == {"y"}
    assert "yaxis2" not in found["ranks"].layout
    assert len(found["map"].data) == 4


def test_predicted_gains_point_the_same_way_as_measured_ones(figures: dict[str, Figure], cells: pd.DataFrame):
    (points,) = figures["predicted"].data
    assert len(points["x"]) == 69
    assert np.corrcoef(points["x"], points["y"])[0, 1] > 0.8
    assert set(points["marker"]["color"]) == {"--accent", "--bad", "--quiet"}
    assert "rank correlation 0." in figures["predicted"].caption


def test_the_gap_falls_to_zero_from_below_the_base(figures: dict[str, Figure], searched: Record):
    grid, racing = figures["cost"].data
    assert grid["y"] == pytest.approx([26.0, 24.0, 12.0, 0.0])
    assert racing["y"][-1] == 0.0
    assert grid["line"] != racing["line"]
    (base,) = figures["cost"].layout["shapes"]
    assert base["y0"] == pytest.approx(100 * (0.87 - searched.search.base))


def test_every_driver_has_a_colour_and_a_dash_of_its_own_and_none_is_the_bases(searched: Record):
    curves = tuple({"driver": driver, "cost": [1.0, 700.0], "merit": [0.6, 0.8]} for driver in DRIVERS)
    figure = cost_figure(dataclasses.replace(searched.search, curves=curves))
    assert figure is not None
    lines = [trace["line"] for trace in figure.data]
    assert len({line["color"] for line in lines}) == len(DRIVERS)
    assert DOTTED["color"] not in {line["color"] for line in lines}
    assert DOTTED["dash"] not in {line["dash"] for line in lines}
    assert figure.layout["xaxis"]["tickformat"] == "~g"


def test_stacks_of_drivers_that_work_in_turn_make_no_map(searched: Record, cells: pd.DataFrame):
    assert set(IN_TURN) == set(BY_ONE_RULE)
    for driver in IN_TURN:
        names = {figure.name for figure in search_figures(searched, cells.assign(driver=driver))}
        assert names == {"predicted", "cost"}
    mixed = cells.assign(driver=np.where(cells["layer"] == 1, "rmt", "grid"))
    assert search_figures(searched, mixed)[0].data[0]["x"] == ["0", "2"]


def test_the_bar_of_the_map_reaches_every_gain_or_says_that_it_does_not(searched: Record, cells: pd.DataFrame):
    def bar(scale: float) -> tuple[float, list[str]]:
        harms = cells.assign(gain_accuracy=cells["gain_accuracy"].map(lambda gain: gain if gain > 0 else scale * gain))
        clear = search_figures(searched, harms)[0].data[0]
        assert clear["zmax"] == -clear["zmin"] == clear["colorbar"]["tickvals"][-1]
        return clear["zmax"], clear["colorbar"]["ticktext"]

    most, worst = 100 * cells["gain_accuracy"].max(), 100 * cells["gain_accuracy"].min()
    reached = 2 * -worst
    assert reached > most
    assert bar(2) == (pytest.approx(reached), [f"−{reached:.3g}", "0", f"+{reached:.3g}"])
    assert bar(50) == (pytest.approx(most), [f"≤ −{most:.3g}", "0", f"+{most:.3g}"])


def test_the_path_climbs_from_the_base(figures: dict[str, Figure], searched: Record):
    (trace,) = figures["path"].data
    assert trace["x"] == [0, 1, 2]
    assert trace["y"] == pytest.approx([0.0, 100 * (0.86 - searched.search.base), 100 * (0.9 - searched.search.base)])
    assert trace["text"][2] == "+ layer 1 fc_out rank 6"


def test_what_has_nothing_to_show_is_left_out(in_vain: Record, cells: pd.DataFrame):
    search = dataclasses.replace(in_vain.search, curves=())
    stacks = cells.assign(step=1, predicted=np.nan)
    assert search_figures(dataclasses.replace(in_vain, search=search), stacks) == []
    failed = cells.assign(error="failed")
    assert search_figures(dataclasses.replace(in_vain, search=search), failed) == []
    assert search_figures(dataclasses.replace(in_vain, search=None), cells) == []


def test_enormous_harm_does_not_hide_the_gains():
    assert window([0.2, -0.5]) is None
    assert window([0.2, -30.0]) == pytest.approx([-0.6, 0.23])
    assert window([-1.0, -30.0]) is None


@pytest.mark.parametrize(
    ("values", "marked"), [([1, 64], "D2"), ([0, 2, 5_999], "D2"), ([1, 3_000], 1), ([21, 41], None), ([0], None)]
)
def test_a_logarithmic_axis_is_marked_where_its_numbers_have_room(values: list[float], marked: object):
    assert log_axis(values)["dtick"] == marked
