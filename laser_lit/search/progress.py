"""How far a search is and how long it will take."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")

EVERY_SECONDS = 30.0
"""How often a line is printed where the output is no terminal."""


def track(items: Sequence[T], label: str, shown: bool) -> Iterator[T]:
    """Yields the items; on a terminal under a bar with the time left, else with a line now and then.

    Args:
        items: to be worked through.
        label: what is being done.
        shown: False yields them silently.
    """
    if not shown:
        yield from items
    elif Console().is_terminal or Console().is_jupyter:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(TextColumn(label), *columns, transient=True) as bar:
            yield from bar.track(items, total=len(items))
    else:
        yield from _lines(items, label)


def say(text: str, shown: bool) -> None:
    """Prints a line where progress is shown.

    Args:
        text: the line.
        shown: False prints nothing.
    """
    if shown:
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def _lines(items: Sequence[T], label: str) -> Iterator[T]:
    start = said = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - said >= EVERY_SECONDS:
            left = (now - start) / done * (len(items) - done)
            say(f"{label}: {done} of {len(items)}, about {_duration(left)} left", shown=True)
            said = now
        yield item


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
