"""scan.html: one file that shows a scan and needs nothing else."""

from pathlib import Path

import pandas as pd

from laser_lit.files import write_text_atomic
from laser_lit.report.figure import drawing
from laser_lit.report.page import render_page
from laser_lit.report.scan_figures import scan_figures
from laser_lit.report.scan_summary import Kind, kinds, left_out, subject

FILE = "scan.html"


def write_scan_page(folder: Path, table: pd.DataFrame, name: str) -> Path:
    """Writes scan.html atomically, and returns its path.

    Args:
        folder: where it goes.
        table: as from `scan`.
        name: of the model, for the heading.
    """
    path = folder / FILE
    write_text_atomic(path, render_scan(table, name))
    return path


def render_scan(table: pd.DataFrame, name: str) -> str:
    """Returns the page.

    Args:
        table: as from `scan`.
        name: of the model.
    """
    figures = scan_figures(table)
    found: list[Kind] = kinds(table)
    return render_page(
        "scan.html.j2",
        name=name,
        subject=subject(table),
        kinds=found,
        figures=figures,
        left_out=left_out(table),
        drawing=drawing(figures),
    )
