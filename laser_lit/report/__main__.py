"""`python -m laser_lit.report DIR …` draws report.html from the files of a run, or of all runs below a folder."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from laser_lit.errors import InputError
from laser_lit.report.html import redraw
from laser_lit.report.parameters import parameters_section
from laser_lit.report.sweep import find_runs, render_sweep, sweep_rows, unfinished, write_sweep
from laser_lit.report.tables import render_result
from laser_lit.results.cells import read_cells
from laser_lit.results.record import FILE, read_record


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 when a folder could not be drawn.

    Args:
        arguments: of the command line; those of this process when None.
    """
    parser = argparse.ArgumentParser(
        prog="python -m laser_lit.report",
        description="Draw report.html of a finished run again, or of all runs below a folder beside each other.",
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="a run's folder (with result.json), or a folder of runs"
    )
    parser.add_argument("--table", action="store_true", help="print a run's result too")
    options = parser.parse_args(arguments)
    console = Console()
    for folder in options.folders:
        try:
            path = _one(folder, console, options.table) if (folder / FILE).is_file() else _several(folder, console)
        except InputError as error:
            Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
            return 1
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    return 0


def _one(folder: Path, console: Console, with_table: bool) -> Path:
    """Returns the page of a run, drawn again."""
    path = redraw(folder)
    if with_table:
        record = read_record(folder)
        console.print(render_result(record, folder, read_cells(folder) if record.search else None))
    return path


def _several(folder: Path, console: Console) -> Path:
    """Returns the page of the runs below a folder; their table is printed."""
    runs = find_runs(folder)
    rows, left = sweep_rows(folder, runs), unfinished(folder)
    path = write_sweep(folder, rows, left, parameters_section(folder, runs))
    console.print(render_sweep(rows, left))
    return path


if __name__ == "__main__":
    sys.exit(main())
