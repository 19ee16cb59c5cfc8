"""Local files of rows: JSON, JSON Lines, CSV and Parquet, also gzipped; and plain text."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import xxhash

from laser_lit.data.table import Schema, Table
from laser_lit.errors import InputError

LISTS = ("examples", "data", "rows")
"""Keys under which a JSON object may hold its rows."""

_PLAIN = Schema(wants="plain text is wanted")


def read_table(path: Path, schema: Schema, columns: Sequence[str] | None = None) -> Table:
    """Returns the rows of a file; the suffix says which format.

    Args:
        path: .json (a list, or an object with a list under "examples", "data" or "rows"), .jsonl, .csv, .tsv or
            .parquet; text formats also with .gz behind.
        schema: named in error messages.
        columns: the only columns to read (Parquet; the other formats have to be read whole anyway).

    Raises:
        InputError: the file is missing, malformed (names the row), empty, or of another kind.
    """
    kind = _kind(path)
    if kind not in _READERS and kind != ".parquet":
        allowed = ", ".join((*_READERS, ".parquet"))
        raise InputError(f"{path}: cannot read rows from a {kind or 'suffixless'} file; allowed: {allowed}")
    require_file(path, schema)
    if kind == ".parquet":
        table = Table(str(path), read_parquet([path], columns), file_hash(path), schema)
    else:
        text = read_text(path)
        table = replace(_READERS[kind](str(path), text, schema), revision=file_hash(path))
        _refuse_half_characters(table, text)
    if not table.rows:
        raise InputError(f"{path}: has no rows; {schema.wants}")
    for row in table:
        if not isinstance(row.values, Mapping):
            raise row.error(f"is a {type(row.values).__name__}, not an object with named fields")
    return table


def require_file(path: Path, schema: Schema) -> None:
    """Raises an error, naming the public original, where a file is missing or a folder."""
    if not path.exists():
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise InputError(f"data.path {path}: no such file{where}{schema.origin}")
    if path.is_dir():
        raise InputError(f"data.path {path}: is a folder; name a file in it")


def read_text(path: Path, schema: Schema = _PLAIN) -> str:
    """Returns the text of a UTF-8 file, unpacked where it ends in .gz."""
    require_file(path, schema)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def read_parquet(paths: Sequence[Path], columns: Sequence[str] | None = None) -> tuple[dict[str, Any], ...]:
    """Returns the rows of Parquet files, one after the other, through `datasets`.

    Args:
        paths: the files, in reading order.
        columns: the columns to keep where they exist; None keeps all.

    Raises:
        InputError: a file is damaged, or no Parquet file at all.
    """
    from datasets import Dataset
    from pyarrow import ArrowException
    from pyarrow.parquet import read_schema

    rows: list[dict[str, Any]] = []
    for path in paths:
        try:
            present = read_schema(path).names
            kept = None if columns is None else [name for name in present if name in columns]
            rows += Dataset.from_parquet(str(path), columns=kept or None).to_list()
        except (ArrowException, OSError) as error:
            raise InputError(f"{path}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None
    return tuple(rows)


def file_hash(path: Path) -> str:
    """Returns 16 hex digits that name the content of a file."""
    state = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return str(state.hexdigest())


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return {".ndjson": ".jsonl"}.get(suffixes[-1], suffixes[-1]) if suffixes else ""


def _read_jsonl(source: str, text: str, schema: Schema) -> Table:
    rows, numbers = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            problem = f"{error.msg} at column {error.colno}"
            raise InputError(f"{source}, row {number}: malformed JSON: {problem}: {_excerpt(line)}") from None
        numbers.append(number)
    return Table(source, tuple(rows), "", schema, tuple(numbers))


def _read_json(source: str, text: str, schema: Schema) -> Table:
    if not text.strip():
        return Table(source, (), "", schema)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            return _read_jsonl(source, text, schema)
        row = _broken_row(text)
        where = f"{source}, row {row}" if row else source
        problem = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise InputError(f"{where}: malformed JSON: {problem}") from None
    if isinstance(content, list):
        return Table(source, tuple(content), "", schema)
    if isinstance(content, dict):
        for key in LISTS:
            if isinstance(content.get(key), list):
                header = {name: value for name, value in content.items() if name != key}
                return Table(source, tuple(content[key]), "", schema, header=header)
    found = f"an object with the keys {', '.join(content)}" if isinstance(content, dict) else repr(content)
    raise InputError(f"{source}: holds {found}, where a list of rows is wanted; {schema.wants}")


def _read_csv(source: str, text: str, schema: Schema) -> Table:
    delimiter = "\t" if source.lower().removesuffix(".gz").endswith(".tsv") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InputError(
            f"{source}, after line {reader.line_num}: {error}; long texts go into .jsonl or .parquet"
        ) from None
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise InputError(f"{source}, row {number}: has more fields than the first line names")
    return Table(source, tuple(rows), "", schema)


def _refuse_half_characters(table: Table, text: str) -> None:
    """Raises an error for a row with half of a surrogate pair, which JSON can escape but UTF-8 cannot hold."""
    if not re.search(r"\\ud[89a-f]", text, re.IGNORECASE):
        return
    for row in table:
        try:
            json.dumps(row.values, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start])
            raise row.error(f"holds {half}, half of a character, as where a text was cut; mend or drop it") from None


def _broken_row(text: str) -> int | None:
    """Returns the number of the first element of a JSON list that cannot be read; None for another document."""
    decoder, space = json.JSONDecoder(), re.compile(r"\s*")

    def skip(position: int) -> int:
        match = space.match(text, position)
        return match.end() if match else position

    position, row = skip(0), 1
    if not text.startswith("[", position):
        return None
    while True:
        try:
            _, position = decoder.raw_decode(text, skip(position + 1))
        except json.JSONDecodeError:
            return row
        position = skip(position)
        if not text.startswith(",", position):
            return row
        row += 1


def _excerpt(line: str, width: int = 60) -> str:
    line = line.strip()
    return line if len(line) <= width else line[:width] + "…"


_READERS: dict[str, Callable[[str, str, Schema], Table]] = {
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_csv,
}
