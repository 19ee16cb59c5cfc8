"""Formats of local files, and what is said when one cannot be read."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from laser_lit.data.reader import file_hash, read_table, read_text
from laser_lit.data.table import Schema
from laser_lit.errors import InputError

SCHEMA = Schema(wants="this test wants a", original="https://example.org/a")
ROWS = [{"a": "x", "b": 1}, {"a": "y\u2028z", "b": 2}]
Write = Callable[[str, Any], str]


def rows(path: str | Path) -> list[dict[str, Any]]:
    return [dict(row.values) for row in read_table(Path(path), SCHEMA)]


def test_every_format_gives_the_same_rows(write: Write, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "r.parquet")
    (tmp_path / "r.jsonl.gz").write_bytes(gzip.compress(Path(write("r.jsonl", ROWS)).read_bytes()))
    (tmp_path / "raw.jsonl").write_text(
        "\n".join(json.dumps(r, ensure_ascii=False) for r in ROWS), encoding="utf-8-sig"
    )
    lines_in_json = write("lines.json", "".join(json.dumps(row) + "\n" for row in ROWS))
    paths = [write("list.json", ROWS), write("object.json", {"name": "n", "examples": ROWS}), lines_in_json]
    paths += [str(tmp_path / name) for name in ("r.jsonl", "r.jsonl.gz", "r.parquet", "raw.jsonl")]
    for path in paths:
        assert rows(path) == ROWS, path
    assert rows(write("r.csv", 'a,b\nx,1\n"y, z",2\n')) == [{"a": "x", "b": "1"}, {"a": "y, z", "b": "2"}]
    assert rows(write("r.tsv", "a\tb\nx\t1\n")) == [{"a": "x", "b": "1"}]


def test_the_header_and_the_content_hash_are_kept(write: Write) -> None:
    path = Path(write("object.json", {"name": "n", "examples": ROWS}))
    table = read_table(path, SCHEMA)
    assert table.header == {"name": "n"}
    assert table.revision == file_hash(path)
    assert len(table.revision) == 16


def test_only_the_wanted_columns_of_parquet_are_read(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "r.parquet")
    assert read_table(tmp_path / "r.parquet", SCHEMA, ["a", "missing"]).rows == ({"a": "x"}, {"a": "y\u2028z"})


def test_row_numbers_count_blank_lines(write: Write) -> None:
    table = read_table(Path(write("gaps.jsonl", '{"a": 1}\n\n{"b": 2}\n')), SCHEMA)
    assert [row.key for row in table] == ["1", "3"]
    with pytest.raises(InputError, match=r"gaps\.jsonl, row 3: no field 'a' \(found: b\); this test wants a"):
        list(table)[1].value("a")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("bad.jsonl", '{"a": 1}\n{"a": \n', r"bad\.jsonl, row 2: malformed JSON: .* at column"),
        ("bad.json", '[{"a": 1},\n {"a": [2, 3]}, {"a" 3}]', r"bad\.json, row 3: malformed JSON: .* at line 2 column"),
        ("cut.json", '[{"a": 1}, {"a": 2', r"cut\.json, row 2: malformed JSON"),
        ("comma.json", '[{"a": 1} {"a": 2}]', r"comma\.json, row 1: malformed JSON"),
        ("object.json", '{"examples": [}', r"object\.json: malformed JSON: .* at line 1 column"),
        ("scalar.json", "5", r"scalar\.json: holds 5, where a list of rows is wanted"),
        ("keys.json", '{"u": 1, "v": 2}', r"holds an object with the keys u, v, where a list"),
        ("inner.json", '[{"a": 1}, [2]]', r"inner\.json, row 2: is a list, not an object"),
        ("empty.json", "", r"empty\.json: has no rows; this test wants a"),
        ("empty.jsonl", "\n\n", r"empty\.jsonl: has no rows"),
        ("none.json", "[]", r"none\.json: has no rows"),
        ("wide.csv", "a,b\n1,2,3\n", r"wide\.csv, row 1: has more fields than the first line names"),
        ("bad.parquet", "PAR1", r"bad\.parquet: cannot be read as Parquet"),
        ("rows.docx", "x", r"rows\.docx: cannot read rows from a \.docx file; allowed: \.json, \.jsonl"),
        ("long.csv", "a\n" + "x" * 131_073 + "\n", r"long\.csv, after line 1: field larger than .* go into \.jsonl"),
        (
            "half.jsonl",
            '{"a": "\\ud83d\\ude00"}\n{"a": ["cut \\uD83D"]}\n',
            r"row 2: holds '\\ud83d', half of a character",
        ),
        ("false.jsonl.gz", "x", r"false\.jsonl\.gz: cannot be read: Not a gzipped file"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, content: str, problem: str, write: Write) -> None:
    with pytest.raises(InputError, match=problem):
        read_table(Path(write(name, content)), SCHEMA)


def test_a_missing_file_a_folder_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file; the public original is at https://example\.org/a"):
        read_table(tmp_path / "missing.json", SCHEMA)
    with pytest.raises(InputError, match=r"data\.path .*missing\.json: no such file$"):
        read_table(tmp_path / "missing.json", Schema(wants="rows"))
    with pytest.raises(InputError) as caught:
        read_text(Path("missing.txt"))
    assert str(caught.value) == f"data.path missing.txt: no such file in {Path.cwd()}"
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        read_table(tmp_path / "folder.json", SCHEMA)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"not UTF-8 text \(byte 3\)"):
        read_text(tmp_path / "latin.txt")
    packed = bytearray(gzip.compress(b"some text"))
    packed[10] ^= 0xFF
    (tmp_path / "torn.txt.gz").write_bytes(packed)
    with pytest.raises(InputError, match=r"torn\.txt\.gz: cannot be read"):
        read_text(tmp_path / "torn.txt.gz")


def test_types_of_fields_are_checked(write: Write) -> None:
    (row,) = read_table(Path(write("r.json", [{"a": {"b": ["x", 1]}, "n": None}])), SCHEMA)
    with pytest.raises(InputError, match=r"field 'a\.b' is \['x', 1\], not a list of strings"):
        row.texts("a.b")
    with pytest.raises(InputError, match=r"no field 'a\.c' \(found in 'a': b\)"):
        row.value("a.c")
    with pytest.raises(InputError, match=r"no field 'n'"):
        row.text("n")
    assert row.has("a")
    assert not row.has("a", "n")
