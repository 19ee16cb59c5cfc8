"""Memory that the C library holds back after tensors are freed, handed back when it becomes much."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path


class Heap:
    """Hands free memory back to the system once a process has grown by more than a limit; on Linux with glibc.

    Short-lived tensors of many sizes leave the heap with holes, which can come to several times what is in use. Handing
    them back costs time when they are needed again, so it is left alone below the limit.
    """

    def __init__(self, limit: int) -> None:
        """Counts from what the process has now.

        Args:
            limit: growth in bytes from which on memory is handed back.
        """
        self._limit = limit
        self._trim = None
        with suppress(OSError, AttributeError, TypeError):  # another system or C library
            self._trim = ctypes.CDLL(None).malloc_trim
        self._start = resident()

    def tidy(self) -> None:
        """Hands free memory back if the process has grown beyond the limit."""
        if self._trim is not None and resident() - self._start > self._limit:
            self._trim(0)


def resident() -> int:
    """Returns the bytes of this process that lie in main memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
