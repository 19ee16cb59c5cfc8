"""Reads what an offline run of W&B has kept."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

MAGIC = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
"""How a run's file begins; another version of it would be another framing."""
HEADER, BLOCK = 7, 32_768  # the run file is a log of leveldb's: a file header, then chunks in blocks


@dataclass
class OfflineRun:
    """What one run holds.

    Attributes:
        about: W&B's own record of the run: display_name, run_group, job_type, tags.
        config: as it ends.
        summary: as it ends.
        history: a mapping a step.
        artifacts: the local path of each file by its name in the artifact, by type of artifact.
        tables: by key, as {"columns", "data"}.
        figures: Plotly's, by key.
    """

    about: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, dict[str, str]] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


def offline_run(folder: Path) -> OfflineRun:
    """Returns what the only offline run at or below a folder holds.

    Args:
        folder: of a job; `wandb.teardown()` must have let W&B's service write the last bytes.
    """
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.rglob("run-*.wandb")
    run = OfflineRun()
    for kind, entry in records(path, wandb_internal_pb2):
        _take(run, kind, entry)
    for key, value in (entry for row in run.history for entry in row.items()):
        if isinstance(value, dict) and "path" in value:
            content = json.loads((path.parent / "files" / value["path"]).read_text())
            (run.figures if value["_type"] == "plotly-file" else run.tables)[key] = content
    return run


def _take(run: OfflineRun, kind: str, entry: Any) -> None:
    if kind == "run":
        run.about = entry
        run.config |= _values(entry.config.update)
    elif kind in ("config", "summary"):
        getattr(run, kind).update(_values(entry.update))
    elif kind == "history":
        run.history.append(_values(entry.item))
    elif kind == "artifact":
        files = {content.path: content.local_path for content in entry.manifest.contents}
        run.artifacts.setdefault(entry.type, {}).update(files)


def _values(items: Any) -> dict[str, Any]:
    """Returns entries by key; those of W&B's nested keys as mappings."""
    found: dict[str, Any] = {}
    for item in items:
        *above, last = list(item.nested_key) or [item.key]
        place = found
        for key in above:
            place = place.setdefault(key, {})
        place[last] = json.loads(item.value_json)
    return found


def records(path: Path, messages: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yields the kind and content of everything in an offline run's file."""
    raw, at, message = path.read_bytes(), HEADER, b""
    assert raw[:HEADER] == MAGIC
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
