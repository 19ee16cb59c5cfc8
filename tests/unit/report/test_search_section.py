import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.report.html import redraw, render_html, write_report
from laser_lit.results.cells import FILE, write_cells
from laser_lit.results.predictions import write_predictions
from laser_lit.results.record import Record

LIBRARY = "plotly.js v"


def embedded(text: str, name: str) -> dict[str, object]:
    return json.loads(re.search(rf'id="{name}-data">(.*?)</script>', text, re.S).group(1))


def without_library(text: str) -> str:
    return re.sub(r"<script>/\*\*\n\* plotly\.js.*?</script>", "<script></script>", text, flags=re.S)


def test_the_page_has_the_library_once_and_only_where_there_are_figures(
    record: Record, searched: Record, predictions: pd.DataFrame, cells: pd.DataFrame
):
    drawn = render_html(searched, predictions, cells=cells)
    assert drawn.count(LIBRARY) == 1
    assert len(without_library(drawn)) < 600_000
    assert "img-src data:" in drawn
    for plain in (render_html(record, predictions), render_html(searched, predictions)):
        assert LIBRARY not in plain
        assert "img-src" not in plain
    assert 'id="h-search"' not in render_html(record, predictions)
    assert 'id="h-search"' in render_html(searched, predictions)


def test_numbers_path_and_cells_are_on_the_page(searched: Record, predictions: pd.DataFrame, cells: pd.DataFrame):
    text = without_library(render_html(searched, predictions, cells=cells))
    for needed in ("p of the one test made", "candidate edits; 69 scored", "Accepted steps", "87.0 %", "+19.0 points"):
        assert needed in text, needed
    figures = embedded(text, "figure")
    assert list(figures) == ["map", "ranks", "removable", "predicted", "cost"]
    assert len(embedded(text, "cells")["columns"]["edits"]) == 72
    for name in figures:
        assert f'id="plot-{name}"' in text


def test_hostile_names_stay_text(searched: Record, predictions: pd.DataFrame, cells: pd.DataFrame):
    hostile = "</script><script>alert(1)</script>"
    marked = cells.assign(edits=hostile, error=np.where(cells["error"].isna(), None, hostile))
    text = without_library(render_html(searched, predictions, cells=marked))
    assert text.count("<script") == 11
    assert embedded(text, "cells")["columns"]["edits"][0] == hostile
    path = ({"edits": "<img src=x>", "validation": 0.9, "gain": 0.1},)
    greedy = dataclasses.replace(searched, search=dataclasses.replace(searched.search, path=path))
    assert "<img" not in without_library(render_html(greedy, predictions, cells=cells))


def test_a_search_in_vain_has_a_page(in_vain: Record, predictions: pd.DataFrame, cells: pd.DataFrame):
    alone = predictions[[name for name in predictions if not name.startswith("laser_")]]
    text = without_library(render_html(in_vain, alone, cells=cells))
    assert "so nothing was applied" in text
    assert "nothing: no candidate beat the base on validation" in text
    assert "The star marks" not in text
    guarded = dataclasses.replace(in_vain, config={"search": {"guard": {"data": "wikitext"}}})
    under = without_library(render_html(guarded, alone, cells=cells))
    assert "No candidate that passes the guard beat the base on the validation split, so nothing was applied" in under
    assert "o candidate beat the base" not in under


def test_redrawing_reads_the_cells(searched: Record, predictions: pd.DataFrame, cells: pd.DataFrame, tmp_path: Path):
    searched.save(tmp_path / "result.json")
    write_predictions(predictions, tmp_path / "predictions.parquet")
    with pytest.raises(InputError, match=r"no cells\.parquet"):
        redraw(tmp_path)
    write_cells(cells, tmp_path / FILE)
    first = write_report(tmp_path, searched, predictions).read_text()
    assert redraw(tmp_path).read_text() == first
    assert LIBRARY in first
