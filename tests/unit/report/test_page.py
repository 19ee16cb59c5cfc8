import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from driving import browser, choose, complaints, drawn, picture, requested, show
from selenium import webdriver
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from laser_lit.report.__main__ import main
from laser_lit.report.html import render_html
from laser_lit.results.predictions import predictions_table, write_predictions
from laser_lit.results.record import Record

pytestmark = pytest.mark.browser
SIZES = [(width, theme) for width in (1280, 390) for theme in ("light", "dark")]
CELLS = """
const plot = document.getElementById("plot-map"), { xaxis, yaxis } = plot._fullLayout;
return plot.data.flatMap((trace) => trace.type !== "heatmap" || trace.visible === false ? [] :
  trace.z.flatMap((values, row) => values.flatMap((z, column) => z === null ? [] : [{
    place: [trace.y[row], trace.x[column]], z, colours: trace.colorscale, ends: [trace.zmin, trace.zmax],
    opacity: trace.opacity ?? 1,
    x: xaxis._offset + xaxis.d2p(trace.x[column]) - xaxis._length / trace.x.length / 3,
    y: yaxis._offset + yaxis.d2p(trace.y[row]) - yaxis._length / trace.y.length / 3,
  }])));
"""
FILTERED = """
const [words, answer] = arguments, search = document.getElementById("search");
const count = document.getElementById("examples-count"), began = performance.now();
search.value = words;
search.dispatchEvent(new Event("input"));
requestAnimationFrame(() => setTimeout(() => answer([performance.now() - began, count.textContent])));
"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Chrome]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(searched: Record, predictions: pd.DataFrame, cells: pd.DataFrame, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run") / "report.html"
    path.write_text(render_html(searched, predictions, cells=cells))
    return path


@pytest.fixture(scope="module")
def sweep(record: Record, predictions: pd.DataFrame, tmp_path_factory) -> Path:
    """The page of six runs of the same examples, of which the last answers a little differently."""
    folder = tmp_path_factory.mktemp("sweep")
    for run in range(6):
        gain = dataclasses.replace(record.test.gain, accuracy=0.02 * run - 0.03, ci95=(0.02 * run - 0.05, 0.02 * run))
        test = dataclasses.replace(record.test, gain=gain)
        dataclasses.replace(record, test=test).save(folder / str(run) / "result.json")
        table = predictions if run < 5 else predictions.assign(laser_correct=predictions["base_correct"])
        write_predictions(table, folder / str(run) / "predictions.parquet")
    assert main([str(folder)]) == 0
    return folder / "report.html"


def first_texts(chrome: webdriver.Chrome, table: str) -> list[str]:
    return [cell.text for cell in chrome.find_elements("css selector", f"#{table} tbody tr:first-child > *")]


def heading(chrome: webdriver.Chrome, table: str, label: str) -> Any:
    found = [cell for cell in chrome.find_elements("css selector", f"#{table} thead th") if cell.text.startswith(label)]
    return found[0]


def click(chrome: webdriver.Chrome, cell: Any) -> None:
    chrome.execute_script("arguments[0].scrollIntoView({ block: 'center' })", cell)
    cell.find_element("css selector", "button").click()


def background(chrome: webdriver.Chrome) -> str:
    return chrome.execute_script("return getComputedStyle(document.documentElement).backgroundColor")


@pytest.mark.parametrize("which", ["page", "sweep"])
def test_a_page_opens_from_disk_alone_and_nothing_is_wider_than_a_phone(chrome, which: str, request):
    path = request.getfixturevalue(which)
    for width in (1280, 390):
        show(chrome, path, width)
        assert requested(chrome) == {path.as_uri()}
        assert complaints(chrome) == []
        assert chrome.execute_script("return document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(("width", "theme"), SIZES)
def test_every_cell_of_the_map_has_the_colour_that_the_data_say(chrome, page, cells, width: int, theme: str):
    show(chrome, page, width, theme)
    seen = picture(chrome, "plot-map")
    found = chrome.execute_script(CELLS)
    paper = colour(background(chrome))
    best = cells.loc[cells["gain_accuracy"].idxmax()]
    assert max(found, key=lambda cell: cell["z"])["place"] == [best["matrix"], str(best["layer"])]
    assert len({cell["place"][0] for cell in found}) == 6
    for cell in found:
        expected = shade(cell, paper)
        pixel = seen.getpixel((round(cell["x"]), round(cell["y"])))
        assert max(abs(a - b) for a, b in zip(pixel, expected, strict=True)) <= 3, cell


def colour(text: str) -> tuple[float, ...]:
    if text.startswith("#"):
        return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))
    return tuple(float(part) for part in re.findall(r"[\d.]+", text)[:3])


def shade(cell: dict[str, Any], paper: tuple[float, ...]) -> tuple[float, ...]:
    """Returns the colour of a value on a scale of three colours, laid over the page."""
    low, high = cell["ends"]
    share = min(max((cell["z"] - low) / (high - low), 0), 1)
    (_, worst), (_, middle), (_, most) = cell["colours"]
    before, after, way = (worst, middle, 2 * share) if share < 0.5 else (middle, most, 2 * share - 1)
    mixed = [a + way * (b - a) for a, b in zip(colour(before), colour(after), strict=True)]
    return tuple(cell["opacity"] * a + (1 - cell["opacity"]) * b for a, b in zip(mixed, paper, strict=True))


def test_the_theme_is_switched_kept_and_repaints_the_figures(chrome, page):
    show(chrome, page)
    ink = "return document.getElementById('plot-map')._fullLayout.font.color"
    light = (background(chrome), chrome.execute_script(ink))
    choose(chrome, "#theme", 2)
    drawn(chrome)
    dark = (background(chrome), chrome.execute_script(ink))
    assert (light, dark) == (("rgb(253, 252, 250)", "#22252a"), ("rgb(22, 24, 27)", "#e4e2de"))
    chrome.refresh()
    drawn(chrome)
    assert (background(chrome), chrome.execute_script(ink)) == dark
    choose(chrome, "#theme", 0)
    assert background(chrome) == light[0]
    assert complaints(chrome) == []


def test_a_menu_keeps_its_choice_when_the_theme_changes(chrome, page):
    show(chrome, page)
    shown = "return JSON.stringify(document.getElementById('plot-map').data.map((trace) => trace.z || null))"
    start = chrome.execute_script(shown)
    choose(chrome, "#menu-map select", 2)
    chosen = chrome.execute_script(shown)
    choose(chrome, "#theme", 2)
    drawn(chrome)
    chrome.execute_async_script("setTimeout(arguments[0], 500)")
    assert chrome.execute_script(shown) == chosen != start


def test_everything_can_be_reached_and_used_with_the_keyboard(chrome, record, predictions, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_html(record, predictions[predictions["split"] == "test"].head(4)))
    show(chrome, path)
    reached = set()
    for _ in range(60):
        chrome.switch_to.active_element.send_keys(Keys.TAB)
        now = chrome.switch_to.active_element
        if now.tag_name == "body":
            break
        reached.add(now.id)
        assert now.value_of_css_property("outline-style") == "solid"
    controls = chrome.find_elements("css selector", "main :is(a, button, select, input, summary), #theme, #contents a")
    usable = [control for control in controls if control.is_displayed() and control.is_enabled()]
    assert len(usable) > 15
    assert {control.id for control in usable} <= reached
    chrome.find_element("css selector", "body").send_keys("/")
    assert chrome.switch_to.active_element.get_attribute("id") == "search"
    line = chrome.find_element("css selector", "#examples-rows summary")
    line.send_keys(Keys.ENTER)
    assert line.find_element("xpath", "..").get_attribute("open")


def test_examples_are_sorted_by_their_headings_and_by_the_order(chrome, page, predictions):
    show(chrome, page)
    chrome.find_element("css selector", "#outcomes button").click()
    test = predictions[predictions["split"] == "test"]
    click(chrome, heading(chrome, "examples-rows", "log loss, base"))
    assert heading(chrome, "examples-rows", "log loss, base").get_attribute("aria-sort") == "descending"
    assert first_texts(chrome, "examples-rows")[5] == f"{test['base_log_loss'].max():.3f}"
    order = Select(chrome.find_element("id", "order"))
    assert order.first_selected_option.get_attribute("value") == "heading"
    choose(chrome, "#order", 1)
    assert heading(chrome, "examples-rows", "LASER").get_attribute("aria-sort") is None
    falls = (test["laser_log_loss"] - test["base_log_loss"]).min()
    assert first_texts(chrome, "examples-rows")[6] == f"−{abs(falls):.3f}"
    assert chrome.find_element("css selector", "#examples-rows th[aria-sort]").text.startswith("LASER − base")


def test_an_adapter_can_be_set_beside_laser(chrome, record, predictions, tmp_path):
    table = predictions.assign(
        reft_correct=predictions["base_correct"],
        reft_prediction="soup",
        reft_log_loss=1.0,
        frequency=range(len(predictions)),
    )
    path = tmp_path / "report.html"
    path.write_text(render_html(record, table))
    show(chrome, path)
    choose(chrome, "#second", 2)
    names = [cell.text for cell in chrome.find_elements("css selector", "#examples-rows thead th")]
    assert names[2:] == ["gold answer", "base says", "ReFT says", "frequency", "log loss, base", "ReFT − base"]
    assert [button.text for button in chrome.find_elements("css selector", "#outcomes button")][1] == "fixed0"
    choose(chrome, "#first", 1)
    chrome.find_element("css selector", '#outcomes button[value="broken"]').click()
    assert chrome.find_element("id", "meaning").text == "broken: right under LASER, wrong under ReFT"
    fixed = record.test.gain.fixed
    assert chrome.find_element("css selector", '#outcomes button[value="broken"] small').text == str(fixed)


def test_ten_thousand_examples_are_filtered_within_a_second(chrome, record, outcomes, tmp_path):
    base, laser = (pd.concat([table] * 17, ignore_index=True).head(10_000) for table in outcomes["test"])
    ids = [f"e{row}" for row in range(len(base))]
    table = predictions_table({"test": (base.assign(id=ids), laser.assign(id=ids))})
    path = tmp_path / "report.html"
    path.write_text(render_html(record, table))
    show(chrome, path)
    chrome.find_element("css selector", "#outcomes button").click()
    elapsed, count = chrome.execute_async_script(FILTERED, "subject7 greek")
    assert 0 < int(re.search(r"of ([\d,]+)", count)[1].replace(",", "")) < 10_000
    assert elapsed < 1000


def test_runs_are_sorted_searched_drawn_and_compared(chrome, sweep, record):
    show(chrome, sweep)
    click(chrome, heading(chrome, "runs", "test gain"))
    assert heading(chrome, "runs", "test gain").get_attribute("aria-sort") == "descending"
    assert first_texts(chrome, "runs")[0] == "5"
    chrome.find_element("id", "runs-search").send_keys("+7.0")
    assert chrome.find_element("id", "runs-found").text == "1 of 6 rows"
    points = "return document.querySelectorAll('#plot-runs-points .point').length"
    assert chrome.execute_script(points) == 12
    choose(chrome, "#first", 1)
    choose(chrome, "#second", 6)
    assert chrome.find_element("css selector", '#outcomes button[value="broken"] small').text == str(
        record.test.gain.fixed
    )


def test_a_column_of_numbers_is_sorted_by_them_though_a_run_has_none(chrome, record, tmp_path):
    for run, low in enumerate((-0.02, None, -0.1, 0.03)):
        ends = None if low is None else (low, 0.2)
        test = dataclasses.replace(record.test, gain=dataclasses.replace(record.test.gain, ci95=ends))
        dataclasses.replace(record, test=test).save(tmp_path / str(run) / "result.json")
    assert main([str(tmp_path)]) == 0
    show(chrome, tmp_path / "report.html")
    for names in (["3", "0", "2", "1"], ["2", "0", "3", "1"]):
        click(chrome, heading(chrome, "runs", "95 % interval"))
        assert [cell.text for cell in chrome.find_elements("css selector", "#runs tbody th")] == names
