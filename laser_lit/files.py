"""Where files go, and writing them so that a kill at any byte loses nothing that was there before."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """Returns the folder of what can be computed again: LASER_LIT_CACHE, else ~/.cache/laser_lit; it may not exist."""
    return Path(os.environ.get("LASER_LIT_CACHE") or "~/.cache/laser_lit").expanduser()


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file by way of a temporary neighbour, fsync and rename; readers see the old file or the new one.

    Args:
        path: the file to create or replace; its folder is made when missing.
        write: writes the whole content to the path that it is given (same suffix as `path`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically (see `write_atomic`)."""
    content = text.encode("utf-8")  # bytes, so that no platform changes the line ends

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomic(path, write)


def append_line(path: Path, line: str) -> None:
    """Appends one line and syncs it; a torn last line of a killed writer is closed first, so that it stays alone.

    Args:
        path: the file to append to; its folder is made when missing.
        line: text without a newline.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell() and not _ends_with_newline(path):
            file.write(b"\n")
        file.write(line.encode("utf-8") + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
