"""A LoRA as changes of weights: W + alpha / rank · B A inside a context, without PEFT."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import xxhash
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from laser_lit.errors import InputError
from laser_lit.models.refusal import EDITABLE, refuse_quantized


@dataclass(frozen=True)
class Pair:
    """What a LoRA adds to one weight: scale · B A.

    Attributes:
        module: path of the module in the model.
        A: (rank, in).
        B: (out, rank).
        scale: alpha / rank, or alpha / √rank where the LoRA is rank-stabilized.
    """

    module: str
    A: Tensor
    B: Tensor
    scale: float


@dataclass(frozen=True)
class Lora:
    """A trained LoRA of linear layers; see `laser_lit.reft.adapter.Adapter`.

    Attributes:
        pairs: one a module.
        strength: factor of what is added.
        made_for: folder or hub id of the model that it was trained on; None where nobody said.
    """

    pairs: tuple[Pair, ...]
    strength: float = 1.0
    made_for: str | None = None
    label: ClassVar[str] = "LoRA"

    @property
    def parameter_count(self) -> int:
        """Number of trained parameters."""
        return sum(pair.A.numel() + pair.B.numel() for pair in self.pairs)

    @property
    def content(self) -> str:
        """Hash of modules, matrices and scales; not of the strength."""
        state = xxhash.xxh3_128()
        for pair in sorted(self.pairs, key=lambda pair: pair.module):
            state.update(f"{pair.module} {tuple(pair.A.shape)} {tuple(pair.B.shape)} {pair.scale!r}\n".encode())
            for matrix in (pair.A, pair.B):
                state.update(matrix.detach().float().cpu().numpy().tobytes())
        return str(state.hexdigest())

    def describe(self) -> dict[str, Any]:
        """Returns what it is, in plain values."""
        ranks = sorted({pair.A.shape[0] for pair in self.pairs})
        kinds = sorted({pair.module.rpartition(".")[2] for pair in self.pairs})
        return {"types": ["lora"], "modules": len(self.pairs), "matrices": kinds, "ranks": ranks}

    def check(self, model: nn.Module) -> None:
        """Raises an error for a model that cannot have the LoRA.

        Raises:
            InputError: a module that is missing, of another shape, no linear layer, or whose weights are quantized.
        """
        self._modules(model)

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Adds the LoRA to the model's weights inside the context; afterwards it has its own again, bit for bit.

        The sum is computed in float32 or better and cast once to the weights' type. A weight that two modules share
        changes in the one that the LoRA names alone, as under PEFT.

        Args:
            model: the one that the LoRA was trained on, whatever edits its weights have.

        Raises:
            InputError: see `check`.
        """
        own: list[tuple[nn.Module, nn.Parameter]] = []
        try:
            for pair, (module, weight) in zip(self.pairs, self._modules(model), strict=True):
                own.append((module, weight))
                module.weight = nn.Parameter(self._sum(pair, module, weight), requires_grad=False)
            yield
        finally:
            for module, weight in reversed(own):
                module.weight = weight

    def _sum(self, pair: Pair, module: nn.Module, weight: nn.Parameter) -> Tensor:
        kind = torch.promote_types(weight.dtype, torch.float32)
        with torch.no_grad():
            A, B = (matrix.to(weight.device, kind) for matrix in (pair.A, pair.B))
            change = self.strength * pair.scale * (B @ A)  # (out, in)
            change = change.T if isinstance(module, Conv1D) else change
            return (weight.to(kind) + change).to(weight.dtype)

    def _modules(self, model: nn.Module) -> list[tuple[nn.Module, nn.Parameter]]:
        refuse_quantized(model)
        known = dict(model.named_modules())
        return [_fitting(pair, known) for pair in self.pairs]


def _fitting(pair: Pair, known: dict[str, nn.Module]) -> tuple[nn.Module, nn.Parameter]:
    """Returns the module that a pair belongs to and its weight, having checked that it can be added there."""
    module = known.get(pair.module)
    if module is None:
        near = difflib.get_close_matches(pair.module, known, 1)
        nearest = f" (nearest: {near[0]})" if near else ""
        raise InputError(
            f"the LoRA edits {pair.module}, which this model does not have{nearest}: attach it to the model that it "
            "was trained on"
        )
    weight = module._parameters.get("weight")
    if not isinstance(module, nn.Linear | Conv1D) or weight is None:
        raise InputError(f"the LoRA edits {pair.module}, which is a {type(module).__name__}: linear layers alone work")
    if type(weight.data) is not Tensor or weight.dtype not in EDITABLE or weight.is_meta:
        raise InputError(
            f"{pair.module} has {weight.dtype} weights ({type(weight.data).__name__}, {weight.device.type} device), to "
            "which no LoRA can be added: load whole ones in float16, bfloat16 or float32, without offloading"
        )
    shape = tuple(weight.T.shape if isinstance(module, Conv1D) else weight.shape)  # (out, in)
    given = (pair.B.shape[0], pair.A.shape[1])
    if shape != given:
        raise InputError(
            f"the LoRA edits {pair.module} as (out, in) {given}, and this model has {shape} there: attach it to the "
            "model that it was trained on"
        )
    return module, weight
