"""A result on W&B: config, metrics, tables, figures, the manifest of the stack, and the export where it is wanted."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from laser_lit.config_logger import EXPORT, STACK
from laser_lit.edits.bases import SUFFIX as BASES
from laser_lit.errors import InputError
from laser_lit.report.cells import cells_payload
from laser_lit.report.examples import examples_payload
from laser_lit.report.figure import Figure
from laser_lit.report.figures import search_figures
from laser_lit.report.findings import remedies
from laser_lit.report.gain_figure import gain_figure
from laser_lit.report.sections.every import sections
from laser_lit.report.task_report import task_report
from laser_lit.report.wandb_files import log_files
from laser_lit.report.wording import amount, matrix_name
from laser_lit.results.analyses import Mechanism
from laser_lit.results.compare import Gain
from laser_lit.results.record import Record, SplitResult, jsonable
from laser_lit.results.reft_result import ReftResult
from laser_lit.results.search_record import SearchRecord

ROWS = 10_000
"""Rows of a table that W&B shows; flipped examples come first when there are more."""

log = logging.getLogger(__name__)


@rank_zero_only
def log_result(
    loggers: Logger | Iterable[Logger],
    record: Record,
    predictions: pd.DataFrame,
    stack_path: Path | None = None,
    cells: pd.DataFrame | None = None,
    *,
    export: Path | None = None,
    artifacts: Sequence[str] = (STACK,),
) -> None:
    """Adds a result to the run of every W&B logger, online or offline; other loggers are passed over.

    Args:
        loggers: one of Lightning's loggers, or several.
        record: of the run.
        predictions: as from `predictions_table`.
        stack_path: manifest of the edits, uploaded as an artifact; None for a run without edits.
        cells: as from `read_cells`; None for a run without a search.
        export: folder of the edited model; None where none was written.
        artifacts: the kinds of files that are wanted, as in `logger.artifacts`.
    """
    files: dict[str, list[Path]] = {STACK: [], EXPORT: []}
    files[STACK] += [] if stack_path is None else [stack_path, stack_path.with_suffix(BASES)]
    files[EXPORT] += [] if export is None else [export]
    for run in wandb_runs(loggers):
        _log(run, record, predictions)
        _log_sections(run, record, predictions)
        _log_media(run, record, predictions)
        if cells is not None and record.search is not None:
            _log_search(run, record, record.search, cells)
        for kind, paths in files.items():
            log_files(run, kind, str(record.model["id"]), record.config_hash, paths, artifacts)


def wandb_runs(loggers: Logger | Iterable[Logger]) -> list[Any]:
    """Returns the W&B runs among loggers.

    Args:
        loggers: one of Lightning's loggers, or several.
    """
    several = [loggers] if isinstance(loggers, Logger) else loggers
    return [logger.experiment for logger in several if isinstance(logger, WandbLogger)]


def flat_metrics(record: Record) -> dict[str, float | int | bool]:
    """Returns every number of the record by a path such as "test/base/accuracy" or "validation/gain/p".

    Args:
        record: of the run.
    """
    flat: dict[str, float | int | bool] = {}
    for split, result in (("test", record.test), ("validation", record.validation)):
        if result is not None:
            flat |= {f"{split}/{name}": number for name, number in _of_split(result).items()}
    flat |= _of_reft(record.reft)
    for control in record.controls:
        numbers = {"test/accuracy": control.accuracy, "test/log_loss": control.log_loss}
        numbers["validation/accuracy"] = control.validation_accuracy
        flat |= _numbers({f"controls/{control.name}/{name}": number for name, number in numbers.items()})
    flat |= _of_mechanism(record.analyses.mechanism)
    return flat | _of_search(record.search) | _numbers({"test_opened": record.test_opened})


def _of_mechanism(found: Mechanism | None) -> dict[str, float | int | bool]:
    if found is None:
        return {}
    counts = {f"mechanism/{name}": getattr(found, name) for name in ("share", "fixed", "fixed_too", "same")}
    return _numbers(counts) | _of_gain("mechanism/gain", found.gain) | _of_gain("mechanism/left", found.left)


def _of_search(search: SearchRecord | None) -> dict[str, float | int | bool]:
    if search is None:
        return {}
    entries = {name: entry for name, entry in vars(search).items() if name not in ("path", "curves", "guard")}
    flat = _numbers({f"search/{name}": entry for name, entry in entries.items()})
    return flat | _numbers({f"search/guard/{name}": entry for name, entry in (search.guard or {}).items()})


def _of_split(result: SplitResult) -> dict[str, float | int | bool]:
    flat = _numbers({f"base/{name}": number for name, number in result.base.items()})
    flat |= _numbers({f"laser/{name}": number for name, number in (result.laser or {}).items()})
    return flat | _of_gain("gain", result.gain)


def _of_gain(name: str, gain: Gain | None) -> dict[str, float | int | bool]:
    flat: dict[str, float | int | bool] = {}
    for key, entry in ({} if gain is None else asdict(gain)).items():
        ends = zip((f"{key}_low", f"{key}_high"), entry, strict=True) if isinstance(entry, tuple) else [(key, entry)]
        flat |= _numbers({f"{name}/{end}": number for end, number in ends})
    return flat


def _of_reft(reft: ReftResult | None) -> dict[str, float | int | bool]:
    """Returns the numbers of an adapter: test/reft/accuracy, test/laser_reft_gain/p, reft/parameters and so on."""
    if reft is None:
        return {}
    flat = _numbers({"reft/parameters": reft.parameters, "reft/strength": reft.strength})
    for split, own in (("test", reft.test), ("validation", reft.validation)):
        for name, metrics in (("reft", own.reft), ("laser_reft", own.laser_reft or {})):
            flat |= _numbers({f"{split}/{name}/{key}": number for key, number in metrics.items()})
        gains = {"reft_gain": own.gain, "laser_reft_gain": own.laser_reft_gain}
        gains |= {"laser_reft_over_laser": own.over_laser, "laser_reft_over_reft": own.over_reft}
        for name, gain in gains.items():
            flat |= _of_gain(f"{split}/{name}", gain)
    return flat


def _numbers(entries: Mapping[str, Any]) -> dict[str, float | int | bool]:
    plain = jsonable(entries)
    return {name: entry for name, entry in plain.items() if isinstance(entry, int | float)}


def _log(run: Any, record: Record, predictions: pd.DataFrame) -> None:
    run.config.update(
        {**jsonable(record.config), "config_hash": record.config_hash, "versions": dict(record.versions)},
        allow_val_change=True,
    )
    run.summary.update(flat_metrics(record))
    figure = gain_figure(record)
    run.log(
        {
            "examples": wandb_table(examples_payload(predictions, ROWS)["columns"]),
            **_few("edits", _edits(record)),
            **_few("controls", _controls(record)),
            **figure_entries([] if figure is None else [figure]),
        }
    )


def _few(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns a table as an entry of a log; none for a table without rows."""
    return {name: wandb_table({column: [row[column] for row in rows] for column in rows[0]})} if rows else {}


def _edits(record: Record) -> list[dict[str, Any]]:
    numbers = ("rank", "rho", "relative_error")
    return [
        {"matrix": matrix_name(edit), "parameter": edit.name, "kind": edit.kind, "kept": amount(edit)}
        | {name: jsonable(getattr(edit, name)) for name in numbers}
        for edit in record.edits
    ]


def _controls(record: Record) -> list[dict[str, Any]]:
    names = ("name", "fitted", "validation", "test", "beats_laser")
    return [{name: getattr(remedy, name) for name in names} for remedy in remedies(record)]


def _log_sections(run: Any, record: Record, predictions: pd.DataFrame) -> None:
    """Logs the figures and tables of the page's further sections, as section/name."""
    entries: dict[str, Any] = {}
    for section in sections(record, predictions):
        entries |= figure_entries(section.figures, f"{section.name}/")
        for table in section.tables:
            names = [name or "row" for name in table.columns]
            columns = dict(zip(names, zip(*table.rows, strict=True), strict=False))  # of no rows nothing is left
            entries[f"{section.name}/{table.name}_table"] = wandb_table(columns)
    if entries:
        run.log(entries)


def _log_media(run: Any, record: Record, predictions: pd.DataFrame) -> None:
    """Logs what the task has to show besides."""
    try:
        own = task_report(record)
    except InputError as error:
        log.warning("W&B: %s", error)
        return
    media = {} if own is None else own.media(record, predictions)
    if media:
        run.log(dict(media))


def _log_search(run: Any, record: Record, search: SearchRecord, cells: pd.DataFrame) -> None:
    table = wandb_table(cells_payload(cells, search, ROWS)["columns"])
    run.log({"search/cells": table, **figure_entries(search_figures(record, cells), "search/")})


def figure_entries(figures: Iterable[Figure], group: str = "") -> dict[str, Any]:
    """Returns figures as entries of a W&B log, by their names.

    Args:
        figures: as the page has them.
        group: what stands before their names, with a slash at its end.
    """
    import plotly.graph_objects as go
    import wandb

    return {f"{group}{figure.name}": wandb.Plotly(go.Figure(figure.themed())) for figure in figures}


def wandb_table(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Returns a table for W&B.

    Args:
        columns: all of one length.
    """
    import wandb

    return wandb.Table(columns=list(columns), data=[list(row) for row in zip(*columns.values(), strict=True)])
