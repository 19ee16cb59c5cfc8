"""report.html: one file that shows a run and needs nothing else, drawn from its record and its predictions."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from laser_lit.config import FactsTrainingConfig
from laser_lit.config_data import FactsConfig
from laser_lit.errors import InputError
from laser_lit.files import write_text_atomic
from laser_lit.report.examples import LIMIT, NAMES, examples_payload
from laser_lit.report.figure import drawing
from laser_lit.report.findings import headline, notices, opened, remedies, split_gain
from laser_lit.report.page import render_page
from laser_lit.report.reft import answered, comparisons, reft_rows, rows_title
from laser_lit.report.search import in_points, of_gain
from laser_lit.report.search_section import search_section
from laser_lit.report.sections.every import sections
from laser_lit.report.strips import Strip, strips
from laser_lit.report.task_report import TaskSection, task_report
from laser_lit.report.variants import variants
from laser_lit.report.wording import changes, signed
from laser_lit.results.cells import read_cells
from laser_lit.results.predictions import read_predictions
from laser_lit.results.record import Record, read_record

FILE = "report.html"
_ASKED = (
    *("task", "num_fewshot", "first_rows", "path", "prompt", "answer", "choices", "group", "text_field", "score_as"),
    *("chat_template", "limit"),
)
"""Fields of data that are typed, and change which examples are asked."""
_DEFAULTS = {"scoring": "strict", "split": "group", "seed": 0}


def render_html(
    record: Record, predictions: pd.DataFrame, limit: int = LIMIT, cells: pd.DataFrame | None = None
) -> str:
    """Returns the page.

    Args:
        record: of the run.
        predictions: as from `predictions_table`.
        limit: largest number of examples on the page.
        cells: as from `read_cells`; None for a run without a search.
    """
    own, fixed_width, missing = _of_task(record, predictions)
    search, more = search_section(record, cells), sections(record, predictions)
    figures = [*(search["figures"] if search else ()), *(figure for section in more for figure in section.figures)]
    return render_page(
        "report.html.j2",
        record=record,
        own=own,
        missing=missing,
        headline=headline(record),
        notices=notices(record),
        opened=opened(record),
        results=_results(record),
        strips=_strips(record),
        remedies=remedies(record),
        reft_rows=(rows := reft_rows(record)),
        rows_title=rows_title(rows),
        comparisons=comparisons(record),
        answered=answered(record),
        search=search,
        sections=more,
        drawing=drawing(figures),
        examples={**examples_payload(predictions, limit, _names(record)), "fixed_width": fixed_width},
        command=_command(record),
        source=json.dumps((record.config.get("model") or {}).get("path") or record.model["id"], ensure_ascii=False),
        config=yaml.safe_dump(dict(record.config), sort_keys=False, allow_unicode=True) if record.config else "",
        facts=_facts(record),
    )


def write_report(folder: Path, record: Record, predictions: pd.DataFrame) -> Path:
    """Writes report.html atomically and returns its path.

    Args:
        folder: the run folder; that of a search has its cells.parquet already.
        record: of the run.
        predictions: as from `predictions_table`.
    """
    path = folder / FILE
    cells = read_cells(folder) if record.search else None
    write_text_atomic(path, render_html(record, predictions, cells=cells))
    return path


def redraw(folder: Path) -> Path:
    """Draws report.html again from the files of a run folder, and returns its path.

    Args:
        folder: of a finished run.

    Raises:
        InputError: one of the files is missing or damaged.
    """
    return write_report(folder, read_record(folder), read_predictions(folder))


def _of_task(record: Record, predictions: pd.DataFrame) -> tuple[TaskSection | None, tuple[str, ...], str]:
    """Returns the task's section, the columns that it wants in a fixed-width font, and why there is no section."""
    try:
        own = task_report(record)
    except InputError as error:
        return None, (), str(error)
    return (None, (), "") if own is None else (own.section(record, predictions), own.fixed_width, "")


def _names(record: Record) -> dict[str, str]:
    """Returns what the variants of the examples are called."""
    kind = NAMES["reft"] if record.reft is None else record.reft.kind
    return NAMES | {"reft": kind, "laser_reft": f"{NAMES['laser']} + {kind}"}


def _results(record: Record) -> list[dict[str, Any]]:
    """Returns the metrics and gains of each split, the reported one first."""
    splits = [("test", record.test), ("validation", record.validation)]
    return [
        {"name": name, "changes": changes(result), "gain": split_gain(record, result)}
        for name, result in splits
        if result is not None
    ]


def _strips(record: Record) -> list[Strip]:
    """Returns every gain on one axis, in the metric that counts: log loss where a search went by it."""
    share = in_points(record)
    found = [(split, variant) for split in ("test", "validation") for variant in variants(record, split)[1:]]
    gains = [
        (split if record.reft is None else f"{split}, {variant.name}", *of_gain(variant.gain, share)[:2])
        for split, variant in found
        if variant.gain is not None
    ]
    unit = "points" if share else "nats"
    return strips(
        [(name, f"{signed(point, share)} {unit}", point, ci95) for name, point, ci95 in gains if point is not None]
    )


def _command(record: Record) -> str:
    """Returns the command that applies the saved stack again, to the same examples scored alike."""
    config = record.config
    model, data, output = config.get("model") or {}, config.get("data") or {}, (config.get("paths") or {}).get("output")
    words = ["python", "evaluate.py"]
    words += [f"model={model['name']}"] if model.get("name") else []
    words += [f"model.path={model['path']}"] if model.get("name") == "local" and model.get("path") else []
    words += [f"data={data['name']}"] if data.get("name") else []
    words += [f"data.{name}={data[name]}" for name in _ASKED if data.get(name)]
    for name, given, default in (
        ("model.facts", model.get("facts"), FactsTrainingConfig()),
        ("data.world", data.get("world"), FactsConfig()),
    ):
        usual = asdict(default)
        words += [f"{name}.{key}={entry}" for key, entry in (given or {}).items() if entry != usual.get(key)]
    words += [f"{name}={config[name]}" for name, default in _DEFAULTS.items() if config.get(name, default) != default]
    if record.reft is not None:
        words += [f"reft.path={record.reft.path}"]
        words += [f"reft.strength={record.reft.strength:g}"] if record.reft.strength != 1 else []
    file = record.stack.file if record.stack else "stack.yaml"
    return shlex.join([*words, "laser=file", f"laser.path={Path(output) / file if output else file}"])


def _facts(record: Record) -> list[tuple[str, str]]:
    """Returns what the numbers come from as pairs of label and text."""
    entries: list[tuple[str, Any]] = [(f"model {name}", entry) for name, entry in record.model.items()]
    entries += [(f"data {name.replace('_', ' ')}", entry) for name, entry in record.data.items()]
    if record.reft is not None:
        shown = ("kind", "path", "content", "parameters", "strength", "made_for")
        entries += [(f"reft {name}".replace("_", " "), getattr(record.reft, name)) for name in shown]
    entries += [("device", record.device), ("seed", str(record.seed)), ("commit", record.git)]
    entries += [("config hash", record.config_hash)]
    entries += [(f"{phase}, seconds", f"{seconds:.1f}") for phase, seconds in record.seconds.items()]
    entries += list(record.versions.items())
    return [
        (name, f"{entry:,}" if isinstance(entry, int) else str(entry)) for name, entry in entries if entry is not None
    ]
