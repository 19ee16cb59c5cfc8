"""Where files go, and writing them so that a kill at any byte loses nothing that was there before."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from laser_lit.errors import InputError

UNFINISHED = "UNFINISHED"
"""File in a folder that is still being written, or was when its writer died."""

_NOTE = "This folder is being written, or was when its writer died; nothing in it is to be read. Delete it.\n"


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


def check_new_folder(name: str, path: Path) -> None:
    """Raises an error unless a folder can be made at a path by `new_folder`; makes nothing.

    Args:
        name: how errors call it.
        path: where the folder is to be; an empty one may be there.

    Raises:
        InputError: something is there already, or nothing can be written there.
    """
    path = path.expanduser().resolve()
    if path.is_dir():
        if any(path.iterdir()):
            raise InputError(f"{name}={path}: the folder is not empty, and nothing is written over; name a new one")
        if path.is_mount():
            raise InputError(f"{name}={path}: nothing can be renamed to a mount point; name a folder inside it")
    there = next(folder for folder in path.parents if folder.exists() or folder.is_symlink())
    for blocked in (path, there):
        if (blocked.exists() or blocked.is_symlink()) and not blocked.is_dir():
            raise InputError(f"{name}={path}: {blocked} is a file, so that no folder can be made there")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{name}={path}: {there} cannot be written to; name another folder")


def check_apart(name: str, path: Path, kept: Path) -> None:
    """Raises an error where a new folder would be in use before it is made, by files that a run keeps.

    Args:
        name: how errors call it.
        path: where the folder is to be.
        kept: where the run keeps files; the new folder may lie in it, not around it.

    Raises:
        InputError: `kept` is the path, or inside it.
    """
    path, kept = path.expanduser().resolve(), kept.expanduser().resolve()
    if path == kept or path in kept.parents:
        raise InputError(f"{name}={path}: the run keeps its results in {kept}; name a folder beside that, or inside it")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder that becomes `path` when the block ends well, and is deleted when it fails.

    Until then it is a neighbour, `path`.unfinished-…, with the file UNFINISHED in it; a kill leaves it so.

    Args:
        path: where the folder is to be; an empty one may be there.

    Raises:
        InputError: as `check_new_folder`.
    """
    check_new_folder("folder", path)
    path = path.expanduser().resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{path.name}.unfinished-"))
    try:
        (temporary / UNFINISHED).write_text(_NOTE, encoding="utf-8")
        yield temporary
        _publish(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def refuse_unfinished(folder: Path) -> None:
    """Raises an error for a folder that its writer did not finish.

    Args:
        folder: any path.

    Raises:
        InputError: says so.
    """
    if (folder / UNFINISHED).exists():
        raise InputError(f"{folder} is half-written: whatever wrote it is still at work, or was killed; delete it then")


def _publish(temporary: Path, path: Path) -> None:
    files = [file for file in temporary.rglob("*") if file.is_file()]
    for file in files:
        file.chmod(0o644)
        with file.open("rb+") as handle:
            os.fsync(handle.fileno())
    temporary.chmod(0o755)
    (temporary / UNFINISHED).unlink()
    try:
        temporary.rename(path)
    except OSError as error:
        raise InputError(f"{path} could not take its place: {error}") from error


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
