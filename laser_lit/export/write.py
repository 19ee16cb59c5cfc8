"""A model under a stack, written as a checkpoint of its own: as plain matrices, or with thin factors."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.export.card import write_card
from laser_lit.export.origin import Origin
from laser_lit.export.result import Exported, check_format
from laser_lit.export.save import save_dense, save_factored
from laser_lit.files import new_folder
from laser_lit.models.factored import factored_modules
from laser_lit.models.load import has_tokenizer
from laser_lit.models.matrices import MatrixMap, find_matrices

GB = 10**9
MANIFEST = "stack.yaml"


def export_model(
    model: PreTrainedModel,
    stack: Stack,
    path: Path | str,
    format: str = "dense",
    *,
    matrices: MatrixMap | None = None,
    origin: Origin | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    shard_gb: float | None = None,
    about: Mapping[str, Any] | None = None,
) -> Exported:
    """Returns what was written: the model under a stack, with tokenizer, card and stack.yaml; all of it or nothing.

    Args:
        model: with plain weights in memory; has the very same afterwards.
        stack: the edits.
        path: a folder that does not exist, or is empty.
        format: "dense", which any transformers loads, or "factored", where two thin matrices take the place of every
            edited matrix that is smaller so; `load_model` loads it.
        matrices: the model's map, where an architecture file was named.
        origin: what the model was made from; None takes the place that from_pretrained found it at.
        tokenizer: saved where the origin has no files of one.
        shard_gb: largest weight file, in 1e9 bytes; None takes the largest of the origin's where it has several.
        about: what stack.yaml notes about the model.

    Raises:
        InputError: the folder is in use, an edit cannot be had, or the model cannot be stored so.
    """
    check_exportable(model, format)
    origin = origin or Origin.of(model)
    save = {"dense": save_dense, "factored": save_factored}[format]
    with new_folder(Path(path)) as folder:
        exported, rows = save(model, stack, matrices or find_matrices(model), folder, shard_size(origin, shard_gb))
        origin.copy_to(folder)
        if tokenizer is not None and not has_tokenizer(folder):
            tokenizer.save_pretrained(folder)
        stack.save(folder / MANIFEST, rows, about or {"id": origin.id, "revision": origin.revision})
        write_card(folder, exported, origin, rows)
    return replace(exported, folder=Path(path))


def check_exportable(model: object, format: str) -> None:
    """Raises an error for a model that cannot be written in a format.

    Args:
        model: of any kind.
        format: dense or factored.

    Raises:
        InputError: says why.
    """
    check_format(format)
    if not isinstance(model, PreTrainedModel):
        raise InputError(f"{type(model).__name__} is no transformers model, and cannot be exported")
    factors = factored_modules(model)
    if factors:
        raise InputError(f"the model already holds factors ({next(iter(factors))}, …); export the dense one")
    if format == "factored" and getattr(model.config, "auto_map", None):
        raise InputError(f"{type(model).__name__} comes with its own code: export.format=dense is what it can have")


def shard_size(origin: Origin, shard_gb: float | None) -> int | None:
    """Returns the largest size of a weight file in bytes: what was asked for, else as the origin has it.

    Args:
        origin: what is edited.
        shard_gb: in 1e9 bytes; None asks for nothing.

    Raises:
        InputError: no size.
    """
    if shard_gb is None:
        return origin.largest_file()
    if not shard_gb > 0:
        raise InputError(f"export.shard_gb {shard_gb}: must be more than 0")
    return max(1, int(shard_gb * GB))
