"""The section of report.html about a search: its numbers, its figures, its path and its cells."""

from typing import Any

import pandas as pd

from laser_lit.report.cells import cells_payload, plain_gain
from laser_lit.report.figures import search_figures
from laser_lit.report.search import in_vain_because, merit, search_lines
from laser_lit.results.record import Record
from laser_lit.results.search_record import SearchRecord

_CHOSEN = "What was applied was chosen on the validation split alone; the test split had no part in the choice."


def search_section(record: Record, cells: pd.DataFrame | None) -> dict[str, Any] | None:
    """Returns what the template shows of a search; None for a run without one.

    Entries: intro, lines (texts by label), figures, path (steps), cells (for the page's script; None without any).

    Args:
        record: of the run.
        cells: as from `read_cells`; None where the run kept none, which leaves figures and cells out.
    """
    search = record.search
    if search is None:
        return None
    figures = [] if cells is None else search_figures(record, cells)
    return {
        "intro": _CHOSEN if search.chosen is not None else _nothing(record),
        "lines": search_lines(record, cells),
        "figures": figures,
        "path": _path(search),
        "cells": None if cells is None else cells_payload(cells, search),
    }


def _nothing(record: Record) -> str:
    return (
        f"N{in_vain_because(record)[1:]} on the validation split, so nothing was applied: both splits show "
        "the base alone."
    )


def _path(search: SearchRecord) -> list[dict[str, str]]:
    scale = 100 if search.objective == "accuracy" else 1
    return [
        {
            "edits": step["edits"],
            "validation": merit(search, step["validation"]),
            "gain": plain_gain(scale * step["gain"], search),
        }
        for step in search.path
    ]
