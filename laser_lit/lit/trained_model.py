"""The folder of a finetuned model: the base's checkpoint with other values in the parameters that trained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.errors import InputError
from laser_lit.export.origin import CARD, Origin
from laser_lit.export.save import save_weights
from laser_lit.files import new_folder
from laser_lit.models.finite import is_finite
from laser_lit.models.load import has_tokenizer

RECORD = "training.json"


@torch.no_grad()
def take_weights(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> None:
    """Copies trained values into a model, rounded to its own type; every other weight stays as it is.

    Args:
        model: the base, as its checkpoint has it.
        weights: by parameter name.

    Raises:
        InputError: a value that the model's type cannot hold.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, weight in weights.items():
        if not is_finite(parameters[name].copy_(weight)):
            raise InputError(
                f"{name} has come to hold entries that {model.dtype} cannot; give model.dtype=float32, or a smaller "
                "finetune.learning_rate"
            )


def save_trained(
    path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, origin: Origin, record: Mapping[str, Any]
) -> None:
    """Writes an ordinary transformers checkpoint with the training's record and a card; all of it or nothing.

    Args:
        path: a folder that does not exist, or is empty.
        model: what to save, in the type to save it in.
        tokenizer: saved where the origin has no files of one.
        origin: the base.
        record: as `finetune_record` makes it.

    Raises:
        InputError: the folder is in use.
    """
    with new_folder(path) as folder:
        save_weights(model, folder, origin.largest_file())
        origin.copy_to(folder)
        if not has_tokenizer(folder):
            tokenizer.save_pretrained(folder)
        (folder / RECORD).write_text(json.dumps(record, indent=2, allow_nan=False), encoding="utf-8")
        (folder / CARD).write_text(_card(origin, record), encoding="utf-8")


def _card(origin: Origin, record: Mapping[str, Any]) -> str:
    front = {
        **({"base_model": origin.id} if origin.on_hub else {}),
        "library_name": "transformers",
        "tags": ["finetuned", "spectrum"],
        **origin.front_matter(),
    }
    unfrozen, data = record["unfrozen"], record["data"]
    names = "\n".join(f"- {name}" for name in unfrozen["names"])
    losses = {"held out": record["validation_loss"], "training": record["train_loss"]}
    rows = "\n".join(f"| {name} | {loss['first']} | {loss['last']} |" for name, loss in losses.items())
    return (
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n# {origin.id}, finetuned\n\n"
        f"{unfrozen['trained']:,} of {unfrozen['total']:,} parameters of {origin.id} trained for {record['steps']:,} "
        f"steps on {data['name']} (revision {data['revision']}) by laser_lit; all others are as they were. "
        "training.json has the settings and the whole curve.\n\n"
        f"| loss, nats a token | before | after |\n|---|---|---|\n{rows}\n\n## What trained\n\n{names}\n"
    )
