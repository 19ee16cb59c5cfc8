"""A LoRA from a folder that PEFT wrote: adapter_config.json and adapter_model.safetensors."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.reft.lora import Lora, Pair

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
_READ = ("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "bias", "init_lora_weights")
_IDLE = (
    *("auto_mapping", "base_model_name_or_path", "revision", "task_type", "inference_mode", "peft_version"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "fan_in_fan_out", "lora_dropout"),
    *("megatron_core", "qalora_group_size", "eva_config", "runtime_config"),
)
"""Fields that say nothing of what a trained LoRA adds; every other one must be empty."""
_INITS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to begin that leave the base's own weights alone."""
_NAME = re.compile(r"base_model\.model\.(.+)\.lora_(A|B)\.weight")


def read_lora(path: str | Path, strength: float = 1.0) -> Lora:
    """Returns the LoRA of a folder.

    Args:
        path: the folder.
        strength: factor of what it adds.

    Raises:
        InputError: a broken folder, or an adapter that is more than a LoRA of linear layers.
    """
    folder = Path(path).expanduser()
    config = _config(folder)
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in _tensors(folder).items():
        found = _NAME.fullmatch(name)
        if found is None or tensor.dim() != 2:
            raise InputError(
                f"{folder / TENSORS} has a tensor {name} of shape {tuple(tensor.shape)}, which is no LoRA of a linear "
                "layer: embeddings and convolutions are not read, nor the base's own weights (PEFT's "
                "save_pretrained(DIR, save_embedding_layers=False) leaves them out)"
            )
        sides.setdefault(found[1], {})[found[2]] = tensor
    if not sides:
        raise InputError(f"{folder / TENSORS} holds no tensors")
    pairs = [_pair(folder, config, module, found) for module, found in sides.items()]
    return Lora(tuple(pairs), strength, config.get("base_model_name_or_path") or None)


def _config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f"{file} is broken: a mapping is wanted, not {type(config).__name__}")
    if config.get("peft_type") != "LORA":
        raise InputError(f"{file}: peft_type {config.get('peft_type')!r} is not read; LORA is, and folders of ReFT")
    used = [key for key, value in config.items() if key not in (*_READ, *_IDLE) and value]
    used += [] if config.get("bias", "none") == "none" else ["bias"]
    used += [] if config.get("init_lora_weights") in _INITS else ["init_lora_weights"]
    if used:
        given = ", ".join(f"{key}={config[key]}" for key in used)
        raise InputError(
            f"{file} has {given}: a plain LoRA is read, W + alpha / rank · B A in linear layers; merge this one into "
            "its model with PEFT (merge_and_unload) and give that as model.path"
        )
    for key in ("r", "lora_alpha"):
        if not _is_number(config.get(key)) or config[key] <= 0:
            raise InputError(f"{file}: {key} must be a number above 0, not {config.get(key)!r}")
    return config


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _tensors(folder: Path) -> dict[str, Tensor]:
    file = folder / TENSORS
    if not file.is_file() and (folder / "adapter_model.bin").is_file():
        raise InputError(f"{folder} holds adapter_model.bin, a pickle, which is not read: save it as safetensors")
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file} cannot be read: it is missing or broken ({error})") from error
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise InputError(f"{file} is broken: {name} has entries that are not finite numbers")
    return tensors


def _pair(folder: Path, config: Mapping[str, Any], module: str, found: Mapping[str, Tensor]) -> Pair:
    file = folder / TENSORS
    if len(found) != 2:
        raise InputError(f"{file} has lora_{next(iter(found))} of {module} and not its other side")
    rank = _of_pattern(config, "rank_pattern", module, config["r"])
    alpha = _of_pattern(config, "alpha_pattern", module, config["lora_alpha"])
    if not found["A"].shape[0] == found["B"].shape[1] == rank:
        shapes = f"{tuple(found['A'].shape)} and {tuple(found['B'].shape)}"
        raise InputError(f"{file}: A and B of {module} are {shapes}, and {CONFIG} says rank {rank}")
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    return Pair(module, found["A"], found["B"], scale)


def _of_pattern(config: Mapping[str, Any], name: str, module: str, default: float) -> float:
    """Returns a module's own rank or alpha: the first pattern that fits the end of its path, as PEFT finds it."""
    patterns: Mapping[str, float] = config.get(name) or {}
    matching: Iterable[str] = (key for key in patterns if re.match(rf"(.*\.)?({key})$", module))
    key = next(iter(matching), None)
    return default if key is None else patterns[key]
