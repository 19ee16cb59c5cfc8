"""Reads what an offline run of W&B has kept."""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

HEADER, BLOCK = 7, 32_768  # the run file is a log of leveldb's: a file header, then chunks in blocks


def records(path: Path, messages: ModuleType) -> Iterator[tuple[str, object]]:
    """Yields the kind and content of everything in an offline run's file."""
    raw, at, message = path.read_bytes(), HEADER, b""
    while at + HEADER <= len(raw):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", raw[at : at + HEADER])
        message += raw[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in (1, 4):  # a whole message, or the last chunk of one
            parsed = messages.Record.FromString(message)
            message = b""
            name = parsed.WhichOneof("record_type")
            yield name, getattr(parsed, name)
