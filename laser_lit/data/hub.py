"""Data sets on the Hugging Face hub at a fixed revision: fetched once into the hub's cache, then found offline too."""

import fnmatch
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from laser_lit.config_data import DataConfig
from laser_lit.data.reader import read_parquet, read_table
from laser_lit.data.table import Schema, Table
from laser_lit.errors import InputError


class HubError(InputError):
    """A data set that the hub does not give.

    Attributes:
        reason: why, in a few words.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NoSourceError(InputError):
    """A data set without a file, local or on the hub."""


def read_hub(config: DataConfig, schema: Schema, columns: Sequence[str] | None = None) -> list[Table]:
    """Returns the tables of a data set on the hub, a table a split, in the order of `data.files`.

    Args:
        config: `id`, `revision` and `files` say what to fetch.
        schema: named in error messages.
        columns: the only columns to read (Parquet).

    Raises:
        InputError: the hub cannot be reached and nothing is cached, or it holds no such file.
    """
    folder = fetch(config, schema)
    tables = []
    for split, pattern in _files(config, schema).items():
        paths = sorted(folder.glob(pattern))
        if not paths:
            raise InputError(f"data set {config.name}: {config.id} at revision {config.revision} has no file {pattern}")
        source = f"{config.id}/{pattern}"
        if all(path.suffix == ".parquet" for path in paths):
            tables.append(Table(source, read_parquet(paths, columns), folder.name, schema, split=split))
        else:
            parts = [read_table(path, schema) for path in paths]
            rows = tuple(itertools.chain.from_iterable(part.rows for part in parts))
            tables.append(replace(parts[0], source=source, rows=rows, numbers=(), revision=folder.name, split=split))
    return tables


def fetch(config: DataConfig, schema: Schema) -> Path:
    """Returns the folder with the wanted files of a data set; its name is the commit.

    Raises:
        InputError: names data set and revision, and the local file that does instead.
    """
    from huggingface_hub import snapshot_download

    wanted = list(_files(config, schema).values())
    try:
        folder = snapshot_download(config.id, repo_type="dataset", revision=config.revision, allow_patterns=wanted)
    except Exception as error:  # the hub's client passes on errors of an HTTP library that changed between versions
        raise _unreachable(config, schema, error) from None
    return Path(folder)


def first_rows(config: DataConfig, schema: Schema, n: int) -> list[Table]:
    """Returns the first rows of each split without fetching whole files, through `datasets` streaming.

    Args:
        config: as in `read_hub`.
        schema: named in error messages.
        n: rows a split, at least 1.

    Raises:
        InputError: the hub cannot be reached, or it holds no such file.
    """
    from datasets import load_dataset

    tables = []
    for split, pattern in _files(config, schema).items():
        builder = "parquet" if fnmatch.fnmatch(pattern, "*.parquet") else "json"
        extra: dict[str, Any] = {"field": "examples"} if pattern.endswith(".json") else {}
        try:
            stream = load_dataset(
                builder, data_files={split: location(config, pattern)}, split=split, streaming=True, **extra
            )
            rows = tuple(stream.take(n))
        except Exception as error:  # as in `fetch`
            raise _unreachable(config, schema, error) from None
        tables.append(Table(f"{config.id}/{pattern}", rows, str(config.revision), schema, split=split))
    return tables


def location(config: DataConfig, pattern: str) -> str:
    """Returns the address of a file of a data set, as fsspec and `datasets` understand it."""
    return f"hf://datasets/{config.id}@{config.revision}/{pattern}"


def _files(config: DataConfig, schema: Schema) -> dict[str, str]:
    if not (config.id and config.revision and config.files):
        raise NoSourceError(
            f"data set {config.name}: needs data.path (a local file), or data.id, data.revision, data.files: "
            f"{schema.wants}{schema.origin}"
        )
    return {str(split): str(pattern) for split, pattern in config.files.items()}


def _unreachable(config: DataConfig, schema: Schema, error: Exception) -> HubError:
    reason = _reason(error)
    return HubError(
        f"data set {config.name}: cannot get {config.id} at revision {config.revision}, "
        f"neither from the hub ({reason}) nor from its cache. "
        f"data.path=FILE takes a local file instead: {schema.wants}{schema.origin}",
        reason,
    )


def _reason(error: Exception) -> str:
    from huggingface_hub.constants import is_offline_mode

    name, first_line = type(error).__name__, next(iter(str(error).splitlines()), "")
    if is_offline_mode():
        return "offline, HF_HUB_OFFLINE is set"
    if "Connect" in name or "ConnectError" in first_line or "Timeout" in name:
        return "no connection"
    return f"{name}: {first_line}"
