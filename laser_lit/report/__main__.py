"""`python -m laser_lit.report DIR …` draws report.html from the files of a run, or of all runs below a folder."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from laser_lit.errors import InputError
from laser_lit.report.compare_page import redraw_compare
from laser_lit.report.compare_table import render_compare
from laser_lit.report.html import redraw
from laser_lit.report.parameters import parameters_section
from laser_lit.report.sweep import find_runs, holders, render_sweep, sweep_rows, unfinished
from laser_lit.report.sweep_page import write_sweep
from laser_lit.report.tables import render_result
from laser_lit.results.cells import read_cells
from laser_lit.results.predictions import read_predictions
from laser_lit.results.record import FILE, read_record
from laser_lit.results.side_by_side import FILE as COMPARE
from laser_lit.results.side_by_side import read_side_by_side


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
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="a run's folder (result.json or compare.json), or one of runs",
    )
    parser.add_argument("--table", action="store_true", help="print a run's result too")
    parser.add_argument("--wandb", action="store_true", help="make a report on W&B instead; needs a login")
    parser.add_argument("--entity", help="with --wandb: the user or team that has the runs")
    parser.add_argument("--project", help="with --wandb: the project that has the runs")
    options = parser.parse_args(arguments)
    if (options.entity or options.project) and not options.wandb:
        parser.error("--entity and --project say where a report goes that --wandb makes")
    console = Console()
    for folder in options.folders:
        try:
            drawn = [_on_wandb(folder, options)] if options.wandb else _pages(folder, console, options.table)
        except InputError as error:
            Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
            return 1
        for place in drawn:
            console.print(place, markup=False, highlight=False, soft_wrap=True)
    return 0


def _on_wandb(folder: Path, options: argparse.Namespace) -> str:
    """Returns the address of a report on W&B."""
    from laser_lit.report.wandb_report import publish_report  # W&B takes a second to load

    return publish_report(folder, options.entity, options.project)


def _pages(folder: Path, console: Console, with_table: bool) -> list[str]:
    """Returns where the pages of whatever a folder holds are, drawn again: of prompts side by side one a run."""
    if (folder / FILE).is_file():
        return [str(_one(folder, console, with_table))]
    prompts = [folder] if (folder / COMPARE).is_file() else holders(folder, COMPARE)
    if folder in prompts or (prompts and not holders(folder, FILE)):
        return [str(_prompts(run, console, with_table)) for run in prompts]
    return [str(_several(folder, console))]


def _one(folder: Path, console: Console, with_table: bool) -> Path:
    """Returns the page of a run, drawn again."""
    path = redraw(folder)
    if with_table:
        record = read_record(folder)
        cells = read_cells(folder) if record.search else None
        console.print(render_result(record, folder, cells, read_predictions(folder)))
    return path


def _prompts(folder: Path, console: Console, with_table: bool) -> Path:
    """Returns the page of prompts side by side, drawn again."""
    path = redraw_compare(folder)
    if with_table:
        console.print(render_compare(read_side_by_side(folder), folder))
    return path


def _several(folder: Path, console: Console) -> Path:
    """Returns the page of the runs below a folder; their table is printed."""
    runs = find_runs(folder)
    rows, left = sweep_rows(folder, runs), unfinished(folder)
    path = write_sweep(folder, runs, rows, left, parameters_section(folder, runs))
    console.print(render_sweep(rows, left))
    return path


if __name__ == "__main__":
    sys.exit(main())
