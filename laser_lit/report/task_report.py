"""What a task adds to the report of a run: a section of the page, media on W&B; the run's config names it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pandas as pd

from laser_lit.errors import InputError
from laser_lit.results.record import Record


@dataclass(frozen=True)
class TaskSection:
    """A section of report.html, put into the page as it is; whatever comes from the run belongs into `data`.

    Attributes:
        title: its heading.
        body: HTML below the heading.
        style: CSS.
        script: JavaScript, run at the end of the page; reads `data` from the element with id "task-data".
        data: for the script, fit for JSON.
    """

    title: str
    body: str
    style: str = ""
    script: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskReport:
    """A task's own part of the report.

    Attributes:
        section: from record and predictions to the section; None where they have nothing to show.
        media: from record and predictions to what `wandb.Run.log` is given; called where W&B is on.
        fixed_width: columns of predictions whose text is drawn in a fixed-width font, whole: boards, say.
    """

    section: Callable[[Record, pd.DataFrame], TaskSection | None]
    media: Callable[[Record, pd.DataFrame], Mapping[str, Any]]
    fixed_width: tuple[str, ...] = ()


def task_report(record: Record) -> TaskReport | None:
    """Returns what the record's config names as `task.report`; None where it names nothing.

    The name is imported, and used only if it is a `TaskReport`, so that a record cannot have anything else called.

    Args:
        record: of the run.

    Raises:
        InputError: it cannot be imported, or is something else.
    """
    name = (record.config.get("task") or {}).get("report")
    if not name:
        return None
    module, _, attribute = str(name).rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"task.report={name} cannot be imported: {error}") from error
    if not isinstance(found, TaskReport):
        raise InputError(f"task.report={name} is a {type(found).__name__}, no TaskReport")
    return found
