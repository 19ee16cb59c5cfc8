"""A folder for what need not outlive its process, which goes even if the process is killed."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where a folder is removed at the end only
    fcntl = None  # type: ignore[assignment]

PREFIX = "laser_lit_states_"
LOCK = "lock"
"""File that a process holds locked while its folder is in use; the system lets go of it however the process ends."""


class Scratch:
    """A folder of this process's own; what killed processes left beside it is removed first."""

    def __init__(self, parent: Path | str) -> None:
        """Makes the folder.

        Args:
            parent: the folder that it is made in.

        Raises:
            OSError: it cannot be made there.
        """
        sweep(Path(parent))
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lock = (self.folder / LOCK).open("wb")
        _locked(self._lock)

    def close(self) -> None:
        """Removes the folder and what is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def sweep(parent: Path) -> None:
    """Removes the folders whose processes are no more; those of other users, and any doubtful one, stay.

    Args:
        parent: where they lie.
    """
    for path in parent.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), path.open("rb+") as lock:
            if _locked(lock):
                shutil.rmtree(path.parent, ignore_errors=True)


def _locked(file: IO[bytes]) -> bool:
    """Returns whether this process now has the lock of a file; False where another has, or the disk knows no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
