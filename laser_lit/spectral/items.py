"""What a scan goes over: the matrices of a checkpoint on disk or of a model in memory, and what else has two axes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from laser_lit.models.architecture import family_of, field
from laser_lit.models.checkpoint import Checkpoint, kind_of, open_checkpoint
from laser_lit.models.layout import Shaped
from laser_lit.models.matrices import MatrixId, MatrixMap, find_matrices
from laser_lit.models.refusal import EDITABLE, refuse_quantized


@dataclass(frozen=True)
class Item:
    """One matrix to measure, or a tensor that cannot be.

    Attributes:
        name: of the parameter that holds the matrix, once the model is in memory.
        kind: of its module, as from `kind_of`.
        id: which matrix; None for what no architecture file names, such as embeddings.
        shape: (out, in) of a matrix.
        dtype: of the stored entries.
        read: returns the matrix, (out, in).
        reason: why it is not measured; "" for what is.
    """

    name: str
    kind: str
    id: MatrixId | None
    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]
    reason: str = ""


@dataclass(frozen=True)
class Subject:
    """What is scanned.

    Attributes:
        name: path, id or class of the model.
        architecture: the family's file; None for an unknown family.
        items: matrices with ids first, layer by layer, then the others in stored order.
        vectors: names of weights with a single axis: the norms.
    """

    name: str
    architecture: str | None
    items: list[Item]
    vectors: list[str]


def find_items(
    model: nn.Module | str | Path,
    architecture: str | Path | None = None,
    revision: str | None = None,
    matrices: str | Sequence[str] | None = None,
) -> Subject:
    """Returns what a scan goes over; nothing but headers is read.

    Args:
        model: a model, a folder with safetensors, or an id of the hub.
        architecture: name of a packaged family or path of a YAML file; None takes that of the model's type.
        revision: commit, tag or branch on the hub.
        matrices: names or groups of matrices, in any words that an edit takes; None goes over everything.

    Raises:
        InputError: no such model or matrices, or quantized weights.
    """
    if isinstance(model, nn.Module):
        return _in_memory(model, architecture, matrices)
    checkpoint = open_checkpoint(model, revision, architecture)
    return _on_disk(checkpoint, matrices)


def _on_disk(checkpoint: Checkpoint, matrices: str | Sequence[str] | None) -> Subject:
    if checkpoint.family is None and matrices is None:
        items: list[Item] = []
    else:
        items = _of_map(checkpoint.matrices, matrices)
    if matrices is None:
        stored = [tensor for tensors in checkpoint.other.values() for tensor in tensors]
        order = {name: place for place, name in enumerate(checkpoint.tensors)}
        stored.sort(key=lambda tensor: order[tensor.name])
        named = checkpoint.family.memory_name if checkpoint.family else str
        items += [_other(named(tensor.name), tensor.shape, tensor.dtype, tensor.read) for tensor in stored]
    name = checkpoint.family.name if checkpoint.family else None
    return Subject(checkpoint.where, name, items, _vectors(checkpoint.tensors))


def _in_memory(model: nn.Module, architecture: str | Path | None, matrices: str | Sequence[str] | None) -> Subject:
    model = getattr(model, "_orig_mod", model)  # what torch.compile wrapped
    refuse_quantized(model)
    known = architecture is not None or family_of(field(getattr(model, "config", None), "model_type")) is not None
    found = find_matrices(model, architecture) if known or matrices is not None else None
    items = _of_map(found, matrices) if found is not None else []
    if matrices is None:
        named = {handle.name for handle in found.values()} if found is not None else set()
        items += _parameters(model, named)
    name = found.architecture if found is not None else None
    return Subject(type(model).__name__, name, items, _vectors(dict(model.named_parameters())))


def _parameters(model: nn.Module, named: Iterable[str]) -> list[Item]:
    """Returns the parameters of two or more axes whose names are not among the named ones; tied ones once."""
    left: Mapping[str, nn.Parameter] = dict(model.named_parameters())
    return [
        _other(name, tuple(parameter.shape), parameter.dtype, parameter.detach)
        for name, parameter in left.items()
        if parameter.dim() >= 2 and name not in named
    ]


def _vectors(tensors: Mapping[str, Shaped]) -> list[str]:
    return [name for name, tensor in tensors.items() if len(tensor.shape) == 1 and name.endswith(".weight")]


def _of_map(matrices: MatrixMap, names: str | Sequence[str] | None) -> list[Item]:
    ids = list(matrices) if names is None else matrices.select("all", names)
    handles = [matrices[id] for id in ids]
    return [
        Item(handle.name, kind_of(handle.name), handle.id, handle.shape, handle.dtype, handle.read)
        for handle in handles
    ]


def _other(name: str, shape: tuple[int, ...], dtype: torch.dtype, read: Callable[[], Tensor]) -> Item:
    reason = ""
    if len(shape) != 2:
        reason = f"{len(shape)} axes, and no architecture file says which are out and in"
    elif dtype not in EDITABLE:
        reason = f"entries are {str(dtype).removeprefix('torch.')}"
    elif 0 in shape:
        reason = "it is empty"
    return Item(name, kind_of(name), None, shape, dtype, read, reason)
