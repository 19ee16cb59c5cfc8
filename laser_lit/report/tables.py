"""The result on the terminal."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from laser_lit.report.findings import headline, notices, opened, remedies, split_gain
from laser_lit.report.reft import answered, comparisons, reft_rows, rows_title
from laser_lit.report.search_table import search_tables
from laser_lit.report.sections.every import asked_paragraphs
from laser_lit.report.sections.mechanism import mechanism_sentence
from laser_lit.report.terminal import add_row, paragraph, plain_table
from laser_lit.report.wording import Change, amount, changes, matrix_name, value
from laser_lit.results.record import AppliedEdit, Record

SHOWN_EDITS = 12


def render_result(
    record: Record,
    folder: Path | None = None,
    cells: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
) -> RenderableType:
    """Returns the result for a rich console; it fits 80 columns.

    Args:
        record: of the run.
        folder: the run folder, to say where the files are.
        cells: as from `read_cells`, for the map of a search.
        predictions: as from `predictions_table`, for what the analyses found that were asked for.
    """
    tables = [
        edits_table(record.edits),
        _metrics(record),
        _gain(record),
        _reft(record),
        *search_tables(record, cells),
        _remedies(record),
    ]
    parts: list[RenderableType] = [Text(""), Padding(_title(record), (0, 2)), Text("")]
    asked = [] if predictions is None else asked_paragraphs(record, predictions)
    for table in tables:
        parts += [] if table is None else [Padding(table, (0, 0, 0, 1)), Text("")]
    parts += [paragraph(headline(record), "bold")]
    parts += [paragraph(sentence, "") for sentence in (*comparisons(record), *_mechanism(record), *asked)]
    parts += [paragraph(f"! {notice}", "yellow") for notice in notices(record)]
    parts.append(paragraph(opened(record), "dim"))
    if folder is not None:
        kept = "result.json  predictions.parquet  report.html" + ("  stack.yaml" if record.edits else "")
        kept += "  stack.bases" if (folder / "stack.bases").is_file() else ""
        kept += "  cells.parquet" if record.search else ""
        parts += [Text(f"  {folder}", style="cyan", overflow="fold"), Text(f"    {kept}", style="dim")]
    return Group(*parts, Text(""))


def _title(record: Record) -> Text:
    model, data = record.model, record.data
    title = Text()
    title.append(str(model["id"]), style="bold")
    title.append(" on ")
    title.append(str(data["name"]), style="bold")
    sizes = f"{data['n_validation']:,} validation, {data['n_test']:,} test"
    title.append(f"   {model['dtype']} · {record.device} · seed {record.seed} · {sizes}", style="dim")
    return title


def edits_table(edits: Sequence[AppliedEdit]) -> Table | None:
    """Returns what was done to each matrix; None where nothing was.

    Args:
        edits: as resolved.
    """
    if not edits:
        return None
    table = plain_table("Edits")
    table.add_column("matrix", overflow="fold")
    table.add_column("parameter", overflow="fold", ratio=1)
    table.add_column("kept", no_wrap=True)
    table.add_column("rho", justify="right")
    table.add_column("rel. error", justify="right")
    for edit in edits[:SHOWN_EDITS]:
        rho = "" if edit.rho is None else f"{edit.rho:.6g}"
        add_row(table, matrix_name(edit), edit.name, amount(edit), rho, value(edit.relative_error, False))
    if len(edits) > SHOWN_EDITS:
        add_row(table, f"… {len(edits) - SHOWN_EDITS} more", "in stack.yaml", "", "", "")
    return table


def _metrics(record: Record) -> Table:
    table = plain_table("Base against LASER" if record.test.laser else "Base")
    table.add_column("", no_wrap=True)
    results = [("test", record.test)]
    if record.validation is not None:
        results.insert(0, ("valid.", record.validation))
    for name, result in results:
        heads = ("base", "LASER", "change") if result.laser else ("base",)
        for head in heads:
            table.add_column(f"{name}\n{head}", justify="right", no_wrap=True)
    columns = [{change.metric.key: change for change in changes(result, main_only=True)} for _, result in results]
    for key, change in columns[-1].items():
        cells: list[str | Text] = [change.metric.label]
        for column, (_, result) in zip(columns, results, strict=True):
            cells += _cells(column.get(key), bool(result.laser))
        add_row(table, *cells)
    return table


def _cells(change: Change | None, with_laser: bool) -> list[str | Text]:
    if change is None:
        return [""] * (3 if with_laser else 1)
    if not with_laser:
        return [change.base]
    style = {True: "green", False: "red", None: ""}[change.better]
    return [change.base, change.laser, Text(change.change, style=style)]


def _gain(record: Record) -> Table | None:
    results = [("validation", record.validation), ("test", record.test)]
    lines = [(name, split_gain(record, result)) for name, result in results if result is not None and result.gain]
    if not lines:
        return None
    table = plain_table("Gain of LASER over the base (+ is better)")
    table.add_column("", no_wrap=True)
    for name, _ in lines:
        table.add_column(name, justify="right")
    for label in lines[-1][1]:
        add_row(table, label, *(texts.get(label, "") for _, texts in lines))
    return table


def _reft(record: Record) -> Table | None:
    rows = reft_rows(record)
    if not rows:
        return None
    share = answered(record)
    table = plain_table(f"{rows_title(rows)}: gain over the base on test (+ is better)")
    table.add_column("", no_wrap=True)
    columns = ("accuracy", "accuracy", "log loss") if share else ("log loss", "log loss")
    for split, name in zip(("valid.", "test", "test"), columns, strict=False):
        table.add_column(f"{split}\n{name}", justify="right", no_wrap=True)
    for head in ("gain,\npoints" if share else "gain,\nnats", "95 %\ninterval", "p"):
        table.add_column(head, justify="right", no_wrap=head.startswith("gain"))
    for row in rows:
        scores = (row.accuracy, row.log_loss) if share else (row.log_loss,)
        add_row(table, row.name, row.validation, *scores, row.gain, row.interval, row.p)
    return table


def _mechanism(record: Record) -> list[str]:
    """Returns the sentence of the mechanism test where there is a gain that it is about."""
    found = record.analyses.mechanism
    return [] if found is None or found.share is None else [mechanism_sentence(record)]


def _remedies(record: Record) -> Table | None:
    rows = remedies(record)
    if not rows:
        return None
    table = plain_table("Controls, fitted on the same validation split; best on test first")
    table.add_column("", overflow="fold")
    table.add_column("fitted on validation", overflow="fold", ratio=1)
    table.add_column("valid.", justify="right", no_wrap=True)
    table.add_column("test", justify="right", no_wrap=True)
    for row in rows:
        style = {"laser": "bold cyan", "base": "bold", "majority": "dim"}.get(row.kind, "")
        add_row(table, row.name, row.fitted, row.validation, row.test, style=style)
    return table
