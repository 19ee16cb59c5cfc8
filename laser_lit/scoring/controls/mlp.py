"""Controls that silence one MLP: its output replaced by zero, or by its mean over the validation prompts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from laser_lit.models.matrices import MatrixMap
from laser_lit.scoring.controls.result import ControlResult

Score = Callable[[str], pd.DataFrame]
"""Scores the model as it is on "validation" or "test": a table with columns correct and log_loss."""


def mlp_ablations(model: nn.Module, matrices: MatrixMap, score: Score) -> list[ControlResult]:
    """Returns the results of zeroing and of mean-ablating one MLP, each in the layer that does best on validation.

    Ties go to the lower log loss. The weights are not touched.

    Args:
        model: the model that `score` runs.
        matrices: its matrix map.
        score: called with "validation" for every layer, with "test" for the two that are chosen.
    """
    outputs = mlp_outputs(model, matrices)
    if not outputs:
        return []
    with ExitStack() as hooks:
        means = [hooks.enter_context(_measured(model, module)) for module in outputs.values()]
        score("validation")
    zero = {layer: torch.zeros_like(mean.value) for layer, mean in zip(outputs, means, strict=True)}
    mean = {layer: mean.value for layer, mean in zip(outputs, means, strict=True)}
    return [
        _best("zeroed MLP", outputs, zero, score),
        _best("mean-ablated MLP", outputs, mean, score),
    ]


def mlp_outputs(model: nn.Module, matrices: MatrixMap) -> dict[str, nn.Module]:
    """Returns the module that makes each layer's MLP output, by the layer's name: the one that owns fc_out.

    Layers whose fc_out belongs to several modules (experts stored apart) are left out.

    Args:
        model: the model.
        matrices: its matrix map.
    """
    owners: dict[str, dict[str, None]] = {}
    for id, handle in matrices.items():
        if id.matrix == "fc_out":
            layer = f"{id.part} layer {id.layer}" if id.part else f"layer {id.layer}"
            owners.setdefault(layer, {})[handle.name.rpartition(".")[0]] = None
    return {layer: model.get_submodule(*names) for layer, names in owners.items() if len(names) == 1}


def _best(name: str, outputs: Mapping[str, nn.Module], constants: Mapping[str, Tensor], score: Score) -> ControlResult:
    tables = {}
    for layer, module in outputs.items():
        with _replaced(module, constants[layer]):
            tables[layer] = score("validation")
    best = max(tables, key=lambda layer: (tables[layer]["correct"].mean(), -tables[layer]["log_loss"].mean()))
    with _replaced(outputs[best], constants[best]):
        test = score("test")
    return ControlResult(
        name,
        best,
        float(tables[best]["correct"].mean()),
        test["correct"].to_numpy(dtype=bool),
        test["log_loss"].to_numpy(dtype=float),
    )


@contextmanager
def _replaced(module: nn.Module, constant: Tensor) -> Iterator[None]:
    """Makes a module say the same vector (d,) everywhere."""
    hook = module.register_forward_hook(lambda _, args, output: constant.to(output).expand_as(output))
    try:
        yield
    finally:
        hook.remove()


@dataclass
class _Mean:
    """Running mean of a module's output over the tokens that are not padding."""

    total: Tensor | None = None
    count: int = 0
    mask: Tensor | None = None

    def see_inputs(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        self.mask = kwargs.get("attention_mask")

    def see_output(self, module: nn.Module, args: Any, output: Tensor) -> None:
        rows = output.detach().reshape(-1, output.shape[-1])  # (tokens, d)
        if self.mask is not None and self.mask.numel() == len(rows):
            rows = rows[self.mask.reshape(-1).bool().to(rows.device)]
        part = rows.sum(0, dtype=torch.float32)  # (d,)
        self.total = part if self.total is None else self.total + part
        self.count += len(rows)

    @property
    def value(self) -> Tensor:
        if self.total is None:
            raise RuntimeError("the module was not run while its output was to be measured")
        return self.total / self.count


@contextmanager
def _measured(model: nn.Module, module: nn.Module) -> Iterator[_Mean]:
    mean = _Mean()
    hooks = [
        model.register_forward_pre_hook(mean.see_inputs, with_kwargs=True),
        module.register_forward_hook(mean.see_output),
    ]
    try:
        yield mean
    finally:
        for hook in hooks:
            hook.remove()
