"""A report on W&B about the runs at or below a folder: what came of them in words, a table, panels, how to go on."""

import importlib
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from laser_lit.config_logger import STACK
from laser_lit.errors import InputError
from laser_lit.lit.wandb_run import OFFLINE, has_wandb_key
from laser_lit.report.findings import headline, notices
from laser_lit.report.sweep import Row, summary, sweep_rows
from laser_lit.report.wandb_files import artifact_name
from laser_lit.report.wandb_panels import panels
from laser_lit.report.wording import plural
from laser_lit.results.logged_run import FILE, LoggedRun, read_logged_run
from laser_lit.results.record import FILE as RECORD
from laser_lit.results.record import Record, read_record

_TITLE = 128
"""Characters that W&B takes."""
_COLUMNS = ("run", "varied", "model and data", "what was done", "validation", "test", "95 % interval", "p", "p (Holm)")

Logged = tuple[Path, LoggedRun]


def publish_report(folder: Path, entity: str | None = None, project: str | None = None) -> str:
    """Returns the address of a new report on W&B.

    Args:
        folder: of a run, or of several, whose runs W&B's server has.
        entity: user or team that the runs were sent to; None takes that of the runs, else the account's default.
        project: that they were sent to; None takes that of the runs.

    Raises:
        InputError: no runs on W&B, runs that are not sent yet, no login, no wandb-workspaces, or W&B refuses.
    """
    runs = logged_runs(folder)
    _check_login()
    _check_sent(runs)
    library = _library()
    with _refusals():
        usual = entity or _default_entity(runs)
    owned = [
        (place, replace(run, entity=entity or run.entity or usual, project=project or run.project))
        for place, run in runs
    ]
    report = build_report(library, folder, owned)
    with _refusals():
        report.save()
    return str(report.url)


@contextmanager
def _refusals() -> Iterator[None]:
    """Says in one line what W&B's server, or the way to it, does not want."""
    try:
        yield
    except Exception as error:  # W&B's own kinds, of transport and of the server, share no other base
        raise InputError(f"W&B does not take the report: {' '.join(str(error).split())[:500]}") from error


def logged_runs(folder: Path) -> list[Logged]:
    """Returns the folders at or below one whose runs are on W&B, with those runs.

    Args:
        folder: of a run, or of several.

    Raises:
        InputError: there is none, or a wandb.json is damaged.
    """
    folders = sorted(file.parent for file in folder.rglob(FILE))
    runs = [(place, run) for place in folders if (run := read_logged_run(place)) is not None]
    if not runs:
        raise InputError(f"no {FILE} at or below {folder}: none of its runs is on W&B; run them with logger.wandb=true")
    return runs


def build_report(library: Any, folder: Path, runs: Sequence[Logged]) -> Any:
    """Returns the report, not saved yet.

    Args:
        library: the module wandb_workspaces.reports.v2.
        folder: of a run, or of several.
        runs: as from `logged_runs`, entity and project as the server has them.
    """
    evaluated = [(place, run) for place, run in runs if (place / RECORD).is_file()]
    records = [read_record(place) for place, _ in evaluated]
    rows = sweep_rows(folder, [place for place, _ in evaluated]) if evaluated else []
    return library.Report(
        project=runs[0][1].project,
        entity=runs[0][1].entity,
        title=f"laser_lit: {folder.resolve().name}"[:_TITLE],
        description=f"{plural(len(runs), 'run')}, {len(records):,} of them evaluated",
        blocks=[
            *_words(library, records, rows),
            library.H1("Runs"),
            *([library.MarkdownBlock(_table(rows))] if rows else []),
            *panels(library, [run for _, run in runs], records),
            *_again(library, [(record, run) for record, (_, run) in zip(records, evaluated, strict=True)]),
        ],
    )


def _check_login() -> None:
    mode = os.environ.get("WANDB_MODE")
    if mode in (*OFFLINE, "disabled"):
        raise InputError(f"WANDB_MODE={mode}: a report is made on W&B's server; unset it")
    if not has_wandb_key():
        raise InputError("no API key of W&B: a report is made on its server. Type `wandb login`, or set WANDB_API_KEY")


def _check_sent(runs: Sequence[Logged]) -> None:
    left = [run.place(folder) for folder, run in runs if not run.is_sent(folder)]
    if left:
        raise InputError(
            f"{len(left):,} of {len(runs):,} runs are offline, and a report shows what W&B's server has. "
            f"Send them first: {shlex.join(['wandb', 'sync', *map(str, left)])}"
        )


def _library() -> Any:
    try:
        return importlib.import_module("wandb_workspaces.reports.v2")
    except ImportError as error:
        raise InputError(f"{error}: reports on W&B need pip install 'laser_lit[wandb-report]'") from error


def _default_entity(runs: Sequence[Logged]) -> str:
    """Returns the entity of the account where a run names none; "" where each does."""
    if all(run.entity for _, run in runs):
        return ""
    import wandb

    return str(wandb.Api().default_entity or "")


def _words(library: Any, records: Sequence[Record], rows: Sequence[Row]) -> Iterator[Any]:
    """Yields what came of it in words: one run's sentence and what qualifies it, or that of several."""
    if not records:
        return
    yield library.H1("Summary")
    if len(records) == 1:
        yield library.P(headline(records[0]))
        found = notices(records[0])
        if found:
            yield library.UnorderedList(items=found)
    else:
        yield library.P(summary(rows))


def _table(rows: Sequence[Row]) -> str:
    """Returns the runs as a table in Markdown."""
    lines = [_COLUMNS, tuple("---" for _ in _COLUMNS)]
    for row in rows:
        test = f"{row.test} {row.unit}" if row.test else ""
        numbers = (row.validation, test, row.interval, row.p, row.adjusted)
        lines.append((row.name, row.varied, row.subject, row.applied, *numbers))
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _again(library: Any, runs: Sequence[tuple[Record, LoggedRun]]) -> Iterator[Any]:
    """Yields how to fetch the edits that W&B was given and apply them again, the same edits once."""
    edited = {record.config_hash: (record, run) for record, run in runs if record.edits and _was_given(record)}
    if not edited:
        return
    yield library.H1("The same edits again")
    lines = []
    for record, run in edited.values():
        model, data = (record.config.get(part) or {} for part in ("model", "data"))
        name = artifact_name(STACK, str(record.model["id"]), record.config_hash)
        again = ["python", "evaluate.py", f"model={model.get('name', record.model['id'])}"]
        again += [f"model.path={model['path']}"] if model.get("name") == "local" and model.get("path") else []
        again += [f"data={data.get('name', record.data['name'])}", "laser=file", f"laser.path={name}/stack.yaml"]
        where = "/".join(part for part in (run.entity, run.project, f"{name}:latest") if part)
        lines += [shlex.join(["wandb", "artifact", "get", where, "--root", name]), shlex.join(again)]
    yield library.MarkdownBlock("\n".join(["```bash", *lines, "```"]))
    yield library.P("Data and scoring that were typed besides are in each run's config.")


def _was_given(record: Record) -> bool:
    """Returns whether W&B has the stack of a run as an artifact."""
    return STACK in (record.config.get("logger") or {}).get("artifacts", [STACK])
