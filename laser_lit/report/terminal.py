"""Tables on the terminal: one look for all, and nothing in them is markup."""

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


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
