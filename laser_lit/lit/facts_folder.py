"""The folder of a trained facts model: there as a whole, or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as hf_logging

COUNTS = "counts.json"
RECORD = "training.json"
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", COUNTS, RECORD)
"""What a complete folder holds."""


def is_complete(folder: Path) -> bool:
    """Returns whether a folder holds every file of a trained model."""
    return all((folder / name).is_file() for name in FILES)


def save_model(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    counts: dict[str, dict[str, int]],
    record: dict[str, Any],
) -> None:
    """Writes an ordinary transformers checkpoint with its counts and record, by way of a neighbour and one rename.

    A complete folder that is already there stays as it is; an incomplete one is replaced.

    Args:
        folder: where it goes.
        model: the trained model.
        tokenizer: the model's.
        counts: how often each fact was told, see `count_facts`.
        record: how the model was made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        with _no_progress_bars():
            model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        (temporary / COUNTS).write_text(json.dumps(counts, indent=0), encoding="utf-8")
        (temporary / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
        _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()


def _publish(temporary: Path, folder: Path) -> None:
    """Renames a finished folder into place; of two writers the last one yields."""
    for file in temporary.iterdir():
        file.chmod(0o644)
        with file.open("rb+") as handle:
            os.fsync(handle.fileno())
    temporary.chmod(0o755)
    if folder.exists() and not is_complete(folder):
        folder.rename(temporary.with_suffix(".incomplete"))
        shutil.rmtree(temporary.with_suffix(".incomplete"))
    try:
        temporary.rename(folder)
    except OSError:
        if not is_complete(folder):
            raise
