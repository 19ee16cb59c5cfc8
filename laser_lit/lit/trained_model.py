"""The folder of a finetuned model: the base's checkpoint with other values in the parameters that trained."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.errors import InputError

RECORD = "training.json"


def check_empty(folder: Path) -> None:
    """Raises InputError when a folder is not there to be filled: it is a file, or holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"finetune.path={folder}: is there and not empty; name a new folder, or remove it")


@torch.no_grad()
def take_weights(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> None:
    """Copies trained values into a model, rounded to its own type; every other weight stays as it is.

    Args:
        model: the base, as its checkpoint has it.
        weights: by parameter name.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, weight in weights.items():
        parameters[name].copy_(weight)


def save_model(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, record: Any) -> None:
    """Writes an ordinary transformers checkpoint with the training's record, by way of a neighbour and one rename.

    Args:
        folder: a new one, or an empty one.
        model: what to save, in the type to save it in.
        tokenizer: as the base has it.
        record: plain values, for training.json.

    Raises:
        InputError: the folder is not empty.
    """
    check_empty(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        (temporary / RECORD).write_text(json.dumps(record, indent=2, allow_nan=False), encoding="utf-8")
        for file in temporary.iterdir():
            file.chmod(0o644)
            with file.open("rb+") as handle:
                os.fsync(handle.fileno())
        temporary.chmod(0o755)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
