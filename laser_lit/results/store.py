"""A results folder that outlives runs: scored cells, base tables, and how often each test split was opened."""

import hashlib
import json
import logging
import os
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from laser_lit.errors import InputError
from laser_lit.files import append_line, write_atomic, write_text_atomic
from laser_lit.results.record import jsonable

log = logging.getLogger(__name__)

TABLE = 2
"""Of the columns of base tables: those of an earlier number lack some (1: confidence) and are scored again."""


class Journal:
    """Entries in a folder, appended by any number of processes at once, each to its own file.

    A kill at any byte costs at most the entry being written: what does not parse is skipped.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Opens the journal; nothing is written before the first `append`.

        Args:
            folder: where the files lie; made when missing.
            name: first part of the files' names.
        """
        self._folder = folder
        self._name = name
        self._lock = threading.Lock()
        self._owner: tuple[int, Path] | None = None

    def append(self, entry: Mapping[str, Any]) -> None:
        """Writes one entry and syncs it.

        Args:
            entry: plain values; NaN becomes null.
        """
        line = json.dumps(jsonable(entry), ensure_ascii=False, allow_nan=False)
        with self._lock:
            append_line(self._own_file(), line)

    def read(self) -> list[dict[str, Any]]:
        """Returns the entries of all processes, a file's in the order of writing."""
        return list(self.entries())

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yields what `read` returns, one after the other: a large journal is never in memory twice."""
        for path in sorted(self._folder.glob(f"{self._name}-*.jsonl")):
            yield from _entries(path)

    def _own_file(self) -> Path:
        """Returns this process's file; a forked child gets one of its own."""
        if self._owner is None or self._owner[0] != os.getpid():
            host = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())
            path = self._folder / f"{self._name}-{host}-{os.getpid()}-{uuid.uuid4().hex}.jsonl"
            self._owner = (os.getpid(), path)
        return self._owner[1]


class ResultsStore:
    """What was scored before, by config hash."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder; it is made at the first write.

        Args:
            folder: `paths.results` of the config.
        """
        self.folder = folder
        self._cells = Journal(folder, "cells")
        self._openings = Journal(folder, "openings")
        self._searches = Journal(folder, "searches")

    def pieces(self) -> dict[str, list[dict[str, Any]]]:
        """Returns what `add_piece` kept of every stack, by its config hash, of all processes."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entry in self._cells.entries():
            if isinstance(entry.get("piece"), dict):
                found.setdefault(str(entry.get("hash")), []).append(entry["piece"])
        return found

    def add_piece(self, config_hash: str, piece: Mapping[str, Any], edits: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the scores of a stack on some rows.

        Args:
            config_hash: of everything that decides the scores.
            piece: plain values.
            edits: the stack, for whoever reads the file.
        """
        self._cells.append({"hash": _checked(config_hash), "edits": list(edits), "piece": piece})

    def searches(self, key: str) -> list[dict[str, Any]]:
        """Returns what `add_search` kept under a key, in the order of the files' names.

        Args:
            key: hash of model, data and split.
        """
        return [entry["search"] for entry in self._searches.entries() if entry.get("key") == key and "search" in entry]

    def add_search(self, key: str, search: Mapping[str, Any]) -> None:
        """Keeps how a finished search went.

        Args:
            key: hash of model, data and split.
            search: plain values.
        """
        self._searches.append({"key": _checked(key), "search": search})

    def base_table(self, config_hash: str, compute: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Returns the per-example table of the base, computed at most once a hash.

        Args:
            config_hash: of everything that decides the table, edits left out.
            compute: scores the base; called when the table is missing or its file is damaged.
        """
        path = self.folder / f"base-{_checked(config_hash)}-{TABLE}.parquet"
        table = _read_table(path)
        if table is not None:
            return table
        computed = compute()
        _write_table(computed, path)
        written = _read_table(path)  # parquet changes some types: a first run must give what later runs read
        return computed if written is None else written

    def open_test(self, key: str) -> int:
        """Returns how often a test split has been opened, this time included.

        Call it before scoring: a run that is killed while it looks has looked.

        Args:
            key: hash of model and data.
        """
        self._openings.append({"key": key})
        return self.test_opened(key)

    def test_opened(self, key: str) -> int:
        """Returns how often a test split has been opened so far.

        Args:
            key: hash of model and data.
        """
        return sum(entry.get("key") == key for entry in self._openings.entries())


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yields a file's entries; a last line without an end is being written, or was when its writer was killed."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                if line.strip() and line.endswith(b"\n"):
                    log.warning("%s line %d is damaged and skipped", path, number)
                continue
            if isinstance(entry, dict):
                yield entry


def _checked(config_hash: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", config_hash):
        raise InputError(f"config hash {config_hash!r}: must be letters, digits, _ . - to name a file")
    return config_hash


def _write_table(table: pd.DataFrame, path: Path) -> None:
    write_atomic(path, lambda temporary: table.to_parquet(temporary, index=False))
    write_text_atomic(_digest_file(path), _digest(path))


def _read_table(path: Path) -> pd.DataFrame | None:
    """Returns the table, or None when there is none or its bytes are not those that were written."""
    try:
        if _digest_file(path).read_text(encoding="utf-8", errors="replace") == _digest(path):
            return pd.read_parquet(path)
        log.warning("%s is damaged; it is computed again", path)
    except FileNotFoundError:
        return None
    except (pa.ArrowInvalid, OSError) as error:
        log.warning("%s cannot be read (%s); it is computed again", path, error)
    return None


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _digest(path: Path) -> str:
    """Returns the line that sha256sum prints for the file."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
