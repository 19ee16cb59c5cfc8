"""The tensors of one intervention of pyreft, by what they are.

LoReFT's state dict has weight and bias (of its learned source) and rotate_layer, which is R itself; the others' have
the names of their modules, with R as the parameter and the base of torch's orthogonal parametrization.

Source: pyreft's interventions.py (state_dict).
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from laser_lit.errors import InputError
from laser_lit.reft.methods import FORMS
from laser_lit.reft.pyreft_folder import Entry

_ORTHOGONAL = "rotate_layer.parametrizations.weight"
_WIDTHS = ("embed_dim", "interchange_dim")
"""Buffers that say the width, which the other tensors' shapes say too."""


@dataclass(frozen=True)
class Tensors:
    """The parameters of one intervention, in float64.

    Attributes:
        directions: R, orthonormal, or W2ᵀ: (d, r).
        source: W or W1 (r, d), where the type has one.
        bias: b (r,).
        offset: b2 (r,) of NoReFT, where it has one.
        moved: how far R was moved to be orthonormal, in the spectral norm.
    """

    directions: Tensor
    source: Tensor | None
    bias: Tensor
    offset: Tensor | None
    moved: float = 0.0


def read_tensors(entry: Entry) -> Tensors:
    """Returns the parameters of one intervention.

    Args:
        entry: the file and what should be in it.

    Raises:
        InputError: a broken file, tensors that are missing, too many, not finite, or of shapes that do not fit.
    """
    file, form = entry.file, FORMS[entry.type]
    state = {name: tensor for name, tensor in _state(file).items() if name not in _WIDTHS}
    taken = _Taken(entry, state)
    if form.source == "linear":
        source, bias = taken.one("learned_source.weight", "weight"), taken.one("learned_source.bias", "bias")
    else:
        source, bias = None, taken.one("learned_source")
    moved, offset = 0.0, None
    if form.basis:
        directions, moved = _orthonormal(file, _rotation(taken))
    else:
        directions, offset = taken.one("proj_layer.weight").mT, taken.maybe("proj_layer.bias")
    taken.check_all()
    found = Tensors(directions, source, bias, offset if form.subtracts else None, moved)
    _check_shapes(entry, found)
    return found


class _Taken:
    """The tensors of a file, each taken out by name."""

    def __init__(self, entry: Entry, state: dict[str, Tensor]) -> None:
        self.entry, self.state = entry, dict(state)

    def maybe(self, name: str) -> Tensor | None:
        tensor = self.state.pop(name, None)
        return None if tensor is None else tensor.double()

    def one(self, *names: str) -> Tensor:
        for name in names:
            tensor = self.maybe(name)
            if tensor is not None:
                return tensor
        there = ", ".join(self.state) or "nothing else"
        raise InputError(f"{self.entry.file}: {self.entry.type} needs a tensor {names[0]}; there is {there}")

    def check_all(self) -> None:
        if self.state:
            raise InputError(f"{self.entry.file}: {self.entry.type} has no tensor {', '.join(self.state)}")


def _state(file: Path) -> dict[str, Tensor]:
    """Returns a state dict, from a pickle of tensors alone or from safetensors."""
    broken = (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError)
    try:
        state: Any = load_file(file) if file.suffix == ".safetensors" else _unpickled(file)
    except broken as error:
        raise InputError(f"{file} cannot be read as a file of tensors alone: {str(error).splitlines()[:1]}") from error
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise InputError(f"{file}: a state dict of tensors is wanted, not {type(state).__name__}")
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{file}: {name} has entries that are not finite numbers; did the training diverge?")
    return {str(name): tensor for name, tensor in state.items()}


def _unpickled(file: Path) -> Any:
    return torch.load(file, map_location="cpu", weights_only=True)


def _rotation(taken: _Taken) -> Tensor:
    """Returns R as pyreft computes it."""
    if f"{_ORTHOGONAL}.original" not in taken.state:
        return taken.one("rotate_layer")
    original, base = taken.one(f"{_ORTHOGONAL}.original"), taken.maybe(f"{_ORTHOGONAL}.0.base")
    holder: Any = nn.Module()
    try:
        holder.weight = nn.Parameter(torch.eye(*original.shape, dtype=original.dtype))
        orthogonal(holder, "weight", use_trivialization=base is not None)
        layer = holder.parametrizations.weight
        with torch.no_grad():
            layer.original.copy_(original)
            if base is not None:
                layer[0].base.copy_(base)
            return holder.weight.detach()
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{taken.entry.file}: R cannot be computed of its parameter ({error})") from error


def _orthonormal(file: Path, R: Tensor) -> tuple[Tensor, float]:
    """Returns the nearest orthonormal matrix, the polar factor, and how far it is.

    Raises:
        InputError: farther than bfloat16's rounding of R (d, r) can be.
    """
    if R.dim() != 2 or R.shape[0] < R.shape[1]:
        raise InputError(f"{file}: R is of shape {tuple(R.shape)}; (d, r) with r <= d is wanted")
    U, S, Vh = torch.linalg.svd(R, full_matrices=False)
    moved = float((S - 1).abs().max())
    if moved > torch.finfo(torch.bfloat16).eps * R.shape[1] ** 0.5:
        raise InputError(
            f"{file}: R is {moved:.2g} away from orthonormal, more than rounding explains, so that it is no R; "
            "pyreft's weight decay does that to it"
        )
    return U @ Vh, moved


def _check_shapes(entry: Entry, found: Tensors) -> None:
    shapes = {"R or W2ᵀ": found.directions, "W": found.source, "b": found.bias, "b2": found.offset}
    d, r = found.directions.shape if found.directions.dim() == 2 else (0, 0)
    fits = {"R or W2ᵀ": (d, r), "W": (r, d), "b": (r,), "b2": (r,)}
    wrong = [name for name, tensor in shapes.items() if tensor is not None and tensor.shape != fits[name]]
    if wrong or (entry.rank is not None and entry.rank != r):
        said = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in shapes.items() if tensor is not None)
        raise InputError(f"{entry.file}: shapes that do not fit each other and rank {entry.rank}: {said}")
