"""The table of docs/leaderboard.md, made from the records in docs/records.

    python benchmarks/leaderboard.py                                   # writes the table anew
    python benchmarks/leaderboard.py add NAME RUN_FOLDER [COMMAND …]   # keeps the record of a run first

What is kept, as docs/records/NAME/result.json, is the record of the run with the command that made it and without the
folders of its machine. Commands to be run before it, such as a training, follow RUN_FOLDER, each one argument.
"""

import argparse
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml

from laser_lit.errors import InputError
from laser_lit.files import write_text_atomic
from laser_lit.report.search import in_points, of_gain
from laser_lit.report.variants import Variant, variants
from laser_lit.report.wording import amount, interval, matrix_name, p_value, signed, value
from laser_lit.results.record import FILE, Record, read_record

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- made by python benchmarks/leaderboard.py -->", "<!-- end of what it makes -->"
HEAD = ("model", "data", "edit", "base", "result", "gain, 95 % interval", "p", "n", "best control", "command")
LEFT_OUT = ("hydra.", "hydra/", "launch=", "paths.", "logger", "trainer")
"""Settings that say where a run goes and what it runs on, and so do not stand in its command."""
PIECE = re.compile(r"""'[^']*'|"[^"]*"|(?<!})(?:\\.|[^\\=,:()\[\]{}'"])+""")
"""What a value is made of: texts in quotes, and what stands between the signs of Hydra's lists, dicts and calls."""
PART = r"""(?:\\.|[^\s\\/,=:'"()\[\]{}])+"""
QUOTED = r"""(?<=['"])/(?:[^'"/]+/)+(?=[^'"/])"""
FOLDERS = re.compile(rf"{QUOTED}|(?<![\w./}})~\\-])(?:/(?:{PART}/)+|~[\w.-]*/(?:{PART}/)*)(?={PART})")
"""The folders of a path in a sentence, absolute or from a home folder; with blanks only right behind a quote."""


@dataclass(frozen=True)
class Row:
    """What was done to a model on a data set, and what came of it on the test split.

    Attributes:
        record: of the run.
        variant: LASER, an adapter, or both.
        commands: what has to be typed, in this order.
    """

    record: Record
    variant: Variant
    commands: Sequence[str]

    @property
    def share(self) -> bool:
        """Returns whether the gain that counts is one of accuracy, not of log loss."""
        return in_points(self.record)

    @property
    def gain(self) -> tuple[float, tuple[float, float] | None, float | None]:
        """Returns the gain that counts, with its interval and p."""
        if self.variant.gain is None:
            raise InputError(f"{self.record.config_hash}: a record without edits gains nothing, and has no row")
        number, ci95, p = of_gain(self.variant.gain, self.share)
        return number or 0.0, ci95, p


def read_rows(folder: Path) -> list[Row]:
    """Returns a row for each variant in each record: gains in accuracy before those in log loss, the largest first.

    Args:
        folder: has a folder a record, with its result.json. Of a run with an adapter, LASER alone is left to a record
            of its own.
    """
    rows = []
    for file in sorted(folder.glob(f"*/{FILE}")):
        record, commands = read_record(file), json.loads(file.read_bytes())["commands"]
        shown = [variant for variant in variants(record)[1:] if record.reft is None or variant.name != "LASER"]
        rows += [Row(record, variant, commands) for variant in shown]
    return sorted(rows, key=lambda row: (not row.share, -row.gain[0]))


def table(rows: Sequence[Row]) -> str:
    """Returns the table in Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *map(_cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(text: str, rows: Sequence[Row]) -> str:
    """Returns a page with the table between its marks made anew.

    Raises:
        InputError: a page without the marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"the page has no table to replace: put it between the lines {BEGIN!r} and {END!r}")
    return f"{before}{begin}\n\n{table(rows)}\n\n{end}{after}"


def kept(run: Path, before: Sequence[str] = ()) -> dict[str, Any]:
    """Returns what is kept of a run: its record with the commands that made it.

    Paths that are absolute or begin in a home folder are cut to their last part, also within lists, dicts and quotes.

    Args:
        run: a run's folder, with what Hydra keeps of the words typed.
        before: commands that have to be run before it, kept as they are given.

    Raises:
        InputError: not the folder of a finished run.
    """
    read_record(run)
    file = run / ".hydra" / "overrides.yaml"
    if not file.is_file():
        raise InputError(f"no {file}, which has the words that were typed: give the folder of a run of evaluate.py")
    typed = [word for word in yaml.safe_load(file.read_text(encoding="utf-8")) if not word.startswith(LEFT_OUT)]
    content = json.loads((run / FILE).read_bytes())
    content["versions"].pop("platform", None)
    command = shlex.join(["python", "evaluate.py", *map(_without_folder, typed)])
    return {**_without_folders(content), "commands": [*before, command]}


def _cells(row: Row) -> tuple[str, ...]:
    record, share = row.record, row.share
    key, unit = ("accuracy", "") if share else ("log_loss", " nats")
    number, ci95, p = row.gain
    best = max(record.controls, key=lambda control: control.accuracy or 0.0, default=None) if share else None
    return (
        PurePath(record.model["id"]).name,
        record.data["name"],
        _edit(row),
        value(record.test.base[key], share) + unit,
        value(row.variant.metrics[key], share) + unit,
        f"{signed(number, share)}, {interval(ci95, share)}",
        p_value(p).removeprefix("p = "),
        f"{record.test.base['n']:,}",
        "" if best is None else f"{best.name} {value(best.accuracy, True)}",
        "<br>".join(f"`{command}`" for command in row.commands),
    )


def _edit(row: Row) -> str:
    """Returns what was done in words: the matrices and what is kept of them, the adapter and its size, or both."""
    edits = "; ".join(f"{matrix_name(edit)} {amount(edit)}" for edit in row.record.edits)
    reft, name = row.record.reft, row.variant.name
    if reft is None or name == "LASER":
        return edits
    kind = "LoRA" if reft.kind == "LoRA" else " and ".join(reft.types)
    adapter = f"{kind}, {reft.parameters:,} trained parameters"
    return f"{edits} + {adapter}" if name.startswith("LASER") else adapter


def _without_folder(word: str) -> str:
    """Returns a word that was typed, each path in its value cut to the last part."""
    name, equals, typed = word.partition("=")
    return f"{name}{equals}{PIECE.sub(_cut, typed)}"


def _cut(piece: re.Match[str]) -> str:
    text = piece[0]
    if text[0] in "'\"":
        inner = text[1:-1]
        return f"{text[0]}{PIECE.sub(_cut, inner) if _last(inner) == inner else _last(inner)}{text[0]}"
    return text.replace(text.strip(), _last(text.strip()))


def _without_folders(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _without_folders(each) for key, each in item.items()}
    if isinstance(item, list):
        return [_without_folders(each) for each in item]
    if not isinstance(item, str):
        return item
    return FOLDERS.sub("", item if re.search(r"[,;:] ", item) else _last(item))


def _last(text: str) -> str:
    """Returns the last part of an absolute path or of one from a home folder; any other text as it is."""
    return PurePath(text).name or text if re.match(r"/(?!/)|~[^/]*/", text) else text


def main() -> None:
    """Writes docs/leaderboard.md, after keeping a run's record where one is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action")
    add = actions.add_parser("add", help="keep the record of a run")
    add.add_argument("name", help="of its folder in docs/records")
    add.add_argument("run", type=Path, help="the run's folder")
    add.add_argument("before", nargs="*", help="commands that have to be run before it")
    options = parser.parse_args()
    if options.action == "add":
        content = kept(options.run, options.before)
        file = DOCS / "records" / options.name / FILE
        write_text_atomic(file, json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")
    shown, rows = DOCS / "leaderboard.md", read_rows(DOCS / "records")
    write_text_atomic(shown, page(shown.read_text(encoding="utf-8"), rows))
    print(json.dumps({"rows": len(rows), "page": str(shown.relative_to(DOCS.parent))}))


if __name__ == "__main__":
    main()
