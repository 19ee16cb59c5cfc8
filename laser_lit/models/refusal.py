"""Models that the matrix map cannot edit: why, and the way out."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.models.architecture import MATRICES, field
from laser_lit.models.layout import Shaped
from laser_lit.models.matrix import MatrixHandle, MatrixId

EDITABLE = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_QUANTIZED_MODULES = ("Linear4bit", "Linear8bitLt", "QuantLinear", "WQLinear")
_WAY_OUT = "load the original weights in float16, bfloat16 or float32 (without quantization_config)"


def refuse_quantized(model: nn.Module) -> None:
    """Raises InputError when weights are quantized: a factorization cannot be written back into them."""
    method = field(field(getattr(model, "config", None), "quantization_config"), "quant_method")
    if method is not None:
        method = getattr(method, "value", method)
        raise InputError(f"the model is quantized ({method}) and cannot be edited; {_WAY_OUT}")
    for name, module in model.named_modules():
        if any(kind in type(module).__name__ for kind in _QUANTIZED_MODULES):
            raise InputError(f"{name} is quantized ({type(module).__name__}) and cannot be edited; {_WAY_OUT}")


def quantized_checkpoint(where: str, method: str) -> InputError:
    """Returns the error for a checkpoint with quantized weights.

    Args:
        where: path or id of the checkpoint.
        method: how they are quantized.
    """
    return InputError(
        f"{where} holds quantized weights ({method}), which cannot be factorized and edited; take the checkpoint "
        "that they were made from, in float16, bfloat16 or float32 (model.path=, model.dtype=)"
    )


def refuse_offloaded(handles: Mapping[MatrixId, MatrixHandle]) -> None:
    """Raises InputError when a matrix has no weights to edit: sharded, integer or 8-bit ones, or the meta device."""
    for handle in handles.values():
        kind = type(handle.parameter.data)
        if kind is not Tensor:
            raise InputError(
                f"{handle.name} is a {kind.__name__}, sharded or quantized, and cannot be edited; load whole weights "
                "in float16, bfloat16 or float32 in each process (no FSDP, no tensor parallelism)"
            )
        if handle.dtype not in EDITABLE:
            raise InputError(f"{handle.name} is stored as {handle.dtype} and cannot be edited; {_WAY_OUT}")
    offloaded = [handle.name for handle in handles.values() if handle.device.type == "meta"]
    if offloaded:
        raise InputError(
            f"{len(offloaded)} of {len(handles)} matrices are not in memory (meta device: offloaded to CPU or disk, "
            f"or never loaded), first {offloaded[0]}; load the model without offloading: device_map=None, a smaller "
            "dtype, or more devices"
        )


def unknown_architecture(
    title: str, model_type: str | None, tensors: Mapping[str, Shaped], known: Iterable[str], tried: str | None = None
) -> InputError:
    """Returns the error for a model that no architecture file fits: its matrices, and how to write a file.

    Args:
        title: name of the model's class.
        model_type: of its config.
        tensors: its parameters by name.
        known: names of the packaged families.
        tried: the architecture that was asked for and did not fit.
    """
    shapes = _by_pattern(tensors)
    if tried:
        first = f"architecture {tried} finds no matrix in {title}."
    else:
        first = f"no architecture file for {title} (model_type {model_type!r})."
    listed = [f"  {name} {', '.join(map(str, shape))}" for name, shape in list(shapes.items())[:40]]
    if len(shapes) > len(listed):
        listed.append(f"  … and {len(shapes) - len(listed)} more")
    return InputError(
        "\n".join(
            [
                first,
                f"Known: {', '.join(known)}.",
                "A file is used with model.architecture=path.yaml, a family of the same shape with "
                "model.architecture=NAME.",
                "Parameters of two or three dimensions:",
                *listed,
                "A file to begin with (each tensor holds one of " + ", ".join(MATRICES) + "):",
                *_skeleton(list(shapes), model_type),
            ]
        )
    )


def _by_pattern(tensors: Mapping[str, Shaped]) -> dict[str, list[tuple[int, ...]]]:
    """Returns the shapes of 2-D and 3-D parameters by name, with the layer's number and repeats left out."""
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        if len(tensor.shape) in (2, 3):
            pattern = re.sub(r"(?<=\.)\d+(?=\.)", "{expert}", name)
            known = shapes.setdefault(pattern.replace("{expert}", "{layer}", 1), [])
            if tuple(tensor.shape) not in known:
                known.append(tuple(tensor.shape))
    return shapes


def _skeleton(patterns: list[str], model_type: str | None) -> list[str]:
    repeated = [pattern for pattern in patterns if "{layer}." in pattern]
    heads = [pattern.partition("{layer}.")[0] for pattern in repeated]
    head = max(heads, key=heads.count, default="model.layers.")
    names = [pattern.partition("{layer}.")[2] for pattern in repeated if pattern.startswith(head + "{layer}.")]
    return [
        f"  model_types: [{model_type or 'NAME'}]",
        f"  layers: {head}{{layer}}",
        "  tensors:",
        *(f"    - {{name: {name}, holds: MATRIX}}" for name in names or ["NAME.weight"]),
    ]
