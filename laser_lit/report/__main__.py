"""`python -m laser_lit.report DIR …` draws report.html again from the files of finished runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from laser_lit.errors import InputError
from laser_lit.report.html import redraw
from laser_lit.report.tables import render_result
from laser_lit.results.record import read_record


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 when a folder could not be drawn.

    Args:
        arguments: of the command line; those of this process when None.
    """
    parser = argparse.ArgumentParser(
        prog="python -m laser_lit.report", description="Draw report.html of finished runs again."
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="run folder with result.json and predictions.parquet"
    )
    parser.add_argument("--table", action="store_true", help="print the result too")
    options = parser.parse_args(arguments)
    console = Console()
    for folder in options.folders:
        try:
            path = redraw(folder)
        except InputError as error:
            Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
            return 1
        if options.table:
            console.print(render_result(read_record(folder), folder))
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
