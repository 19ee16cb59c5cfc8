"""Atomic writes, appends after a kill, and where the cache lies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from laser_lit.files import append_line, cache_folder, write_atomic, write_text_atomic


def test_text_is_written_whole_into_new_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "note.txt"
    write_text_atomic(path, "ρ = 0.01\n")
    assert path.read_bytes() == "ρ = 0.01\n".encode()
    write_text_atomic(path, "")
    assert path.read_bytes() == b""
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text_atomic(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_has_the_suffix_of_the_path(tmp_path: Path) -> None:
    seen = []
    write_atomic(tmp_path / "table.parquet", lambda temporary: seen.append(temporary) or temporary.write_bytes(b"x"))
    assert seen[0].suffix == ".parquet"
    assert seen[0].parent == tmp_path
    assert seen[0].name.startswith(".")


def test_files_are_readable_by_others(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "note.txt", "x")
    assert (tmp_path / "note.txt").stat().st_mode & 0o777 == 0o644


def test_readers_see_the_old_or_the_new_file_never_a_part(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    contents = {letter * 200_000 for letter in "ab"}
    program = (
        "import sys; from pathlib import Path; from laser_lit.files import write_text_atomic\n"
        "for i in range(30): write_text_atomic(Path(sys.argv[1]), 'ab'[i % 2] * 200_000)"
    )
    write_text_atomic(path, "a" * 200_000)
    with subprocess.Popen([sys.executable, "-c", program, str(path)]) as writer:
        while writer.poll() is None:
            assert path.read_text() in contents
    assert writer.returncode == 0


def test_appended_lines_follow_one_another(tmp_path: Path) -> None:
    path = tmp_path / "rows" / "log.jsonl"
    for line in ("one", "two", "drei ρ"):
        append_line(path, line)
    assert path.read_text(encoding="utf-8") == "one\ntwo\ndrei ρ\n"


@pytest.mark.parametrize("torn", ["tw", "two"])
def test_a_torn_last_line_stays_alone(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("one\n" + torn)
    append_line(path, "three")
    assert path.read_text() == f"one\n{torn}\nthree\n"


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    assert not cache_folder().exists()
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("LASER_LIT_CACHE")
        else:
            monkeypatch.setenv("LASER_LIT_CACHE", unset)
        monkeypatch.setenv("HOME", os.fspath(tmp_path))
        assert cache_folder() == tmp_path / ".cache" / "laser_lit"
