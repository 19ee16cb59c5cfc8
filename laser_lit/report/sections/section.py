"""A section of report.html beside those that every report has: words, figures and tables; W&B gets the same."""

from dataclasses import dataclass

from laser_lit.report.figure import Figure


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        name: short, for W&B.
        caption: what its rows are.
        columns: headings.
        rows: as many texts each as there are headings.
        numbers: the headings of columns that are set flush right.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        name: short, for an id.
        title: its heading.
        paragraphs: what was found, in plain words, with n and intervals.
        figures: below the words; no two of a page have the same name.
        tables: below the figures.
        note: how to read it all; "" for nothing to say.
    """

    name: str
    title: str
    paragraphs: tuple[str, ...]
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""
