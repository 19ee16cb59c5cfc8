"""Tables on the terminal: one look for all, and nothing in them is markup."""

import re
import sys
from typing import IO, TextIO, cast

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 120
"""Columns of what is printed where the output is no terminal."""


def result_console() -> Console:
    """Returns what prints results on standard output; into a file or pipe no line ends in blanks."""
    if sys.stdout.isatty():
        return Console()
    return Console(width=PIPE_WIDTH, file=cast(IO[str], _Stripped(sys.stdout)))


class _Stripped:
    """A text file in which no line ends in blanks; Rich writes whole lines."""

    def __init__(self, file: TextIO):
        self.file = file
        self.encoding = file.encoding

    def write(self, text: str) -> int:
        return self.file.write(re.sub(" +$", "", text, flags=re.MULTILINE))

    def flush(self) -> None:
        self.file.flush()


def plain_table(title: str) -> Table:
    """Returns an empty table.

    Args:
        title: above it.
    """
    return Table(
        title=Text(title),
        title_justify="left",
        title_style="bold cyan",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        header_style="dim",
        padding=(0, 1),
    )


def add_row(table: Table, *cells: str | Text, style: str = "") -> None:
    """Adds a row in which square brackets are no markup.

    Args:
        table: to add to.
        cells: from the left.
        style: of the whole row.
    """
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), style=style)


def paragraph(text: str, style: str) -> Padding:
    """Returns indented text.

    Args:
        text: which folds.
        style: of all of it.
    """
    return Padding(Text(text, style=style), (0, 2, 0, 2))
