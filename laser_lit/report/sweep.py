"""Several finished runs beside each other: a line a run, with p adjusted for how many were tested."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from laser_lit.errors import InputError
from laser_lit.report.cells import LEVEL
from laser_lit.report.findings import in_vain, what_it_is
from laser_lit.report.html import FILE
from laser_lit.report.search import chosen_edits, in_points, in_vain_because, of_gain, tested
from laser_lit.report.strips import Strip, strips
from laser_lit.report.terminal import add_row, paragraph, plain_table
from laser_lit.report.variants import variants
from laser_lit.report.wording import interval, p_value, plural, signed
from laser_lit.results import record as records
from laser_lit.results import side_by_side
from laser_lit.results.record import Record, read_record
from laser_lit.results.stats import holm

_OTHERS = ("compare", "edit_checkpoint", "lm_eval", "scan")
"""Tasks of evaluate.py that leave no result.json; trainings leave none either, and have no search in their config."""


@dataclass(frozen=True)
class Row:
    """One run, ready to print.

    Attributes:
        name: its folder, below the folder of all.
        varied: what was typed for it and not for all, a field=value each; "" where that is not known.
        page: whether its own report.html is there.
        subject: model and data.
        applied: what was done to the model.
        unit: of the gains, "points" or "nats".
        validation: gain on validation; "" without one.
        test: gain on test.
        interval: of the gain on test.
        p: of the gain on test.
        adjusted: that p after Holm, over all runs.
        opened: how often the test split has been scored.
        clear: whether the adjusted p is at most .05 and the gain positive.
        strip: the gain on test on an axis of all runs; None where there is none, or runs differ in unit.
    """

    name: str
    varied: str
    page: bool
    subject: str
    applied: str
    unit: str
    validation: str
    test: str
    interval: str
    p: str
    adjusted: str
    opened: str
    clear: bool
    strip: Strip | None


def find_runs(folder: Path) -> list[Path]:
    """Returns the folders of finished runs at or below a folder, in the order of their numbers and names.

    Args:
        folder: of one run, or of a multirun, or of several of these.

    Raises:
        InputError: there is none.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give the folder of a finished run, or of several")
    found = holders(folder, records.FILE)
    if not found:
        raise InputError(
            f"no {records.FILE} or {side_by_side.FILE} at or below {folder}: give the folder of a finished run, or of "
            "several (a job that did a shard of a search leaves none: search=collect chooses among what the shards "
            "have scored)"
        )
    return found


def holders(folder: Path, name: str) -> list[Path]:
    """Returns the folders at or below one that hold a file, in the order of their numbers and names.

    Args:
        folder: where to look; hidden folders below it are left out.
        name: of the file, or of a folder.
    """
    found = [file.parent for file in folder.rglob(name) if not _hidden(file.parent.relative_to(folder))]
    return sorted(found, key=lambda path: _natural(path.relative_to(folder)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def unfinished(folder: Path) -> list[str]:
    """Returns the folders of evaluations that left no record, by name, as far as Hydra has kept what they were.

    Args:
        folder: of the multirun, or of several.
    """
    jobs = [job for job in holders(folder, ".hydra") if job != folder and _leaves_record(job)]
    return [str(job.relative_to(folder)) for job in jobs if not (job / records.FILE).is_file()]


def _leaves_record(job: Path) -> bool:
    config = _kept(job, "config.yaml")
    task = config.get("task") if isinstance(config, dict) and "search" in config else None
    return isinstance(task, dict) and task.get("name") not in _OTHERS


def sweep_rows(folder: Path, runs: Sequence[Path]) -> list[Row]:
    """Returns a row a run.

    Args:
        folder: of all of them.
        runs: as from `find_runs`.

    Raises:
        InputError: a record cannot be read.
    """
    found = [(run, read_record(run)) for run in runs]
    ps = [tested(record)[2] for _, record in found]
    adjusted = iter(holm([p for p in ps if p is not None]))
    axis = _axis([record for _, record in found])
    typed = varied(runs)
    return [
        _row(
            str(run.relative_to(folder)),
            typed[place],
            (run / FILE).is_file(),
            record,
            None if p is None else next(adjusted),
            axis[place],
        )
        for place, ((run, record), p) in enumerate(zip(found, ps, strict=True))
    ]


def varied(runs: Sequence[Path]) -> list[str]:
    """Returns what was typed for each run and not for all of them, as Hydra has kept it; "" where it has not.

    Args:
        runs: as from `find_runs`.
    """
    typed = [_overrides(run) for run in runs]
    known = [set(overrides) for overrides in typed if overrides is not None]
    common = set.intersection(*known) if known else set()
    return [" ".join(override for override in overrides or () if override not in common) for overrides in typed]


def _overrides(run: Path) -> list[str] | None:
    """Returns what was typed for a run, but for where its files go; None where that cannot be read."""
    found = _kept(run, "overrides.yaml")
    if not isinstance(found, list):
        return None
    typed = [str(override) for override in found]
    return [override for override in typed if not override.lstrip("+~").startswith("paths.")]


def _kept(run: Path, name: str) -> Any:
    """Returns what Hydra has kept of a run in a file; None where that cannot be read."""
    try:
        return yaml.safe_load((run / ".hydra" / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _axis(found: Sequence[Record]) -> list[Strip | None]:
    """Returns each run's gain on one axis; nothing where runs are measured in different units."""
    gains = [(place, *tested(record)[:2]) for place, record in enumerate(found)]
    known = [(place, gain, ci95) for place, gain, ci95 in gains if gain is not None]
    if len({in_points(found[place]) for place, _, _ in known}) > 1:
        known = []
    drawn = strips([("", "", gain, ci95) for _, gain, ci95 in known])
    by_place = {place: strip for (place, _, _), strip in zip(known, drawn, strict=True)}
    return [by_place.get(place) for place in range(len(found))]


def _row(name: str, varied: str, page: bool, record: Record, adjusted: float | None, strip: Strip | None) -> Row:
    share, (gain, ci95, p) = in_points(record), tested(record)
    seen = None if record.validation is None else variants(record, "validation")[-1].gain
    validation = None if seen is None else of_gain(seen, share)[0]
    return Row(
        name=name,
        varied=varied,
        page=page,
        subject=f"{record.model['id']} on {record.data['name']}",
        applied=_applied(record),
        unit="points" if share else "nats",
        validation="" if validation is None else signed(validation, share),
        test="" if gain is None else signed(gain, share),
        interval="" if gain is None else interval(ci95, share),
        p=p_value(p).removeprefix("p = "),
        adjusted=p_value(adjusted).removeprefix("p = "),
        opened="" if record.test_opened is None else f"{record.test_opened:,}",
        clear=adjusted is not None and adjusted <= LEVEL and gain is not None and gain > 0,
        strip=strip,
    )


def _applied(record: Record) -> str:
    if in_vain(record):
        return f"nothing: {in_vain_because(record)}"
    done = [chosen_edits(record), "" if record.reft is None else what_it_is(record.reft)]
    return " + ".join(filter(None, done)) or "no edit"


def same_subject(rows: Sequence[Row]) -> str:
    """Returns the model and data of all rows; "" where they differ."""
    return rows[0].subject if len({row.subject for row in rows}) == 1 else ""


def same_unit(rows: Sequence[Row]) -> str:
    """Returns the unit of all gains; "" where they differ or nothing was edited."""
    units = {row.unit for row in rows if row.test}
    return units.pop() if len(units) == 1 else ""


def summary(rows: Sequence[Row]) -> str:
    """Returns in one sentence how many runs gain, after adjusting for how many were tested.

    Args:
        rows: as from `sweep_rows`.
    """
    tests = sum(bool(row.p) for row in rows)
    runs = plural(len(rows), "finished run")
    if not tests:
        return f"{runs}; none of them edited the model, so nothing was tested."
    clear = sum(row.clear for row in rows)
    return (
        f"{runs}, {plural(tests, 'confirmatory test')}: "
        f"{f'{clear:,}' if clear else 'none'} gain{'' if clear > 1 else 's'} on test with a p of at most .05 after "
        "Holm's adjustment."
    )


def render_sweep(rows: Sequence[Row], left: Sequence[str] = ()) -> RenderableType:
    """Returns the runs for a rich console.

    Args:
        rows: as from `sweep_rows`.
        left: jobs without a record.
    """
    alike, unit = same_subject(rows), same_unit(rows)
    table = plain_table(f"Runs{f' on {alike}' if alike else ''}{f', gains in {unit}' if unit else ''}")
    table.add_column("run", overflow="fold")
    table.add_column("applied", overflow="fold", ratio=1)
    for head in ("valid.\ngain", "test\ngain", "95 %\ninterval", "p", "p,\nHolm", "test\nopened"):
        table.add_column(head, justify="right", no_wrap=not head.startswith("95"))
    for row in rows:
        applied = row.applied if alike else f"{row.subject}: {row.applied}"
        test = f"{row.test} {row.unit}" if row.test and not unit else row.test
        numbers = (row.validation, test, row.interval, row.p, row.adjusted, row.opened)
        add_row(table, row.name, applied, *numbers, style="bold" if row.clear else "")
    parts: list[RenderableType] = []
    for drawn in (_varied(rows), table):
        parts += [] if drawn is None else [Text(""), Padding(drawn, (0, 0, 0, 1))]
    parts += [Text(""), paragraph(summary(rows), "bold")]
    parts += [paragraph(f"! {without(left)}", "yellow")] if left else []
    return Group(*parts, Text(""))


def _varied(rows: Sequence[Row]) -> Table | None:
    if not any(row.varied for row in rows):
        return None
    table = plain_table("What was varied")
    table.add_column("run", overflow="fold")
    table.add_column("varied", overflow="fold", ratio=1)
    for row in rows:
        add_row(table, row.name, row.varied)
    return table


def without(left: Sequence[str]) -> str:
    """Returns in one sentence which jobs left no record.

    Args:
        left: their names, at least one.
    """
    names = ", ".join(left[:6]) + (", …" if len(left) > 6 else "")
    return f"{plural(len(left), 'job')} left no {records.FILE} (unfinished, failed, or one shard of a search): {names}."
