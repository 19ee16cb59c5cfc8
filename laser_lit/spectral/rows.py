"""What was measured so far, in a file that only grows, so that a scan that was killed goes on where it was."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laser_lit.files import append_line

FILE = "rows.jsonl"


class MeasuredRows:
    """Measured rows by what decides them: content of the matrix and settings of the scan.

    A kill at any byte costs at most the row being written: what does not parse is measured again.
    """

    def __init__(self, folder: Path | None) -> None:
        """Reads what is there.

        Args:
            folder: where the file lies, made at the first row; None keeps the rows in memory alone.
        """
        self._path = folder / FILE if folder is not None else None
        self._lock = threading.Lock()
        self._rows: dict[str, dict[str, Any]] = {}
        if self._path is not None and self._path.is_file():
            self._rows = dict(filter(None, map(_parsed, self._path.read_bytes().splitlines())))

    def get(self, key: str) -> dict[str, Any] | None:
        """Returns a row that was measured before; None when there is none."""
        with self._lock:
            return self._rows.get(key)

    def add(self, key: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps a row, and returns it as a later run would read it.

        Args:
            key: what decides the row.
            row: plain values, all finite.
        """
        line = json.dumps({"key": key, "row": row}, ensure_ascii=False, allow_nan=False)
        kept: dict[str, Any] = json.loads(line)["row"]
        with self._lock:
            if self._path is not None:
                append_line(self._path, line)
            self._rows[key] = kept
        return kept


def _parsed(line: bytes) -> tuple[str, dict[str, Any]] | None:
    try:
        entry = json.loads(line)
        return str(entry["key"]), dict(entry["row"])
    except (ValueError, KeyError, TypeError):
        return None
