"""Folders as pyreft's ReftModel.save writes them, from tensors under the names of pyreft's modules."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from laser_lit.reft.methods import FORMS
from laser_lit.reft.pyreft_folder import CLASSES

Part = tuple[int, str, str, Mapping[str, Tensor]]
"""Layer, component, class of pyreft, tensors: learned_source.*, proj_layer.*, rotate_layer.{weight,original,base}."""


def state_of(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns what pyreft's state_dict gives: LoReFT overrides it, the others are plain modules with two buffers."""
    if kind.startswith("Loreft"):
        source = {name: tensors[f"learned_source.{name}"] for name in ("weight", "bias")}
        return {**source, "rotate_layer": tensors["rotate_layer.weight"]}
    parametrized = {"original": "original", "0.base": "base"}
    names = {
        f"rotate_layer.parametrizations.weight.{theirs}": f"rotate_layer.{ours}"
        for theirs, ours in parametrized.items()
    }
    names |= {name: name for name in tensors if not name.startswith("rotate_layer")}
    width = torch.tensor(next(tensor for name, tensor in tensors.items() if name.endswith("weight")).shape[-1])
    state = {name: tensors[given] for name, given in names.items() if given in tensors}
    return {"embed_dim": width, "interchange_dim": width, **state}


def key_of(layer: int, component: str, seen: Counter[str]) -> str:
    if "." in component:
        key = f"comp_{component.replace('.', '_')}_unit_pos_nunit_1"
    else:
        key = f"layer_{layer}_comp_{component}_unit_pos_nunit_1"
    seen[key] += 1
    return f"{key}#{seen[key] - 1}"


def write_pyreft(folder: Path, parts: Sequence[Part]) -> list[str]:
    """Returns the keys of a folder that is written as ReftModel.save writes it."""
    folder.mkdir(parents=True)
    seen: Counter[str] = Counter()
    keys = [key_of(layer, component, seen) for layer, component, _, _ in parts]
    ranks = [len(next(t for n, t in tensors.items() if n.startswith("learned_source"))) for *_, tensors in parts]
    nothing: list[Any] = [None] * 8
    content = {
        "intervention_constant_sources": [True] * len(parts),
        "intervention_dimensions": [None] * len(parts),
        "intervention_types": [f"<class 'pyreft.interventions.{kind}'>" for _, _, kind, _ in parts],
        "mode": "parallel",
        "representations": [
            [layer, component, "pos", 1, rank, *nothing]
            for (layer, component, _, _), rank in zip(parts, ranks, strict=True)
        ],
        "sorted_keys": keys,
        "transformers_version": "4.45.1",
    }
    (folder / "config.json").write_text(json.dumps(content, indent=2), encoding="utf-8")
    for key, (_, _, kind, tensors) in zip(keys, parts, strict=True):
        torch.save(state_of(kind, tensors), folder / f"intkey_{key}.bin")
    return keys


KINDS = {type: kind for kind, type in CLASSES.items() if "Identity" not in kind}
"""Type here -> class of pyreft."""


def tensors_of(type: str, seed: int = 0, rank: int = 3, width: int = 16) -> dict[str, Tensor]:
    """Returns random tensors under the names of pyreft's modules, R among them also where pyreft does not save it."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    form = FORMS[type]
    linear = {"learned_source.weight": draw(rank, width), "learned_source.bias": draw(rank)}
    tensors = linear if form.source == "linear" else {"learned_source": draw(rank)}
    if not form.basis:
        return {**tensors, "proj_layer.weight": draw(rank, width), "proj_layer.bias": draw(rank)}
    holder: Any = nn.Linear(rank, width, bias=False)  # its weight is (d, r)
    nn.init.orthogonal_(holder.weight, generator=generator)
    nn.utils.parametrizations.orthogonal(holder, "weight")
    layer = holder.parametrizations.weight
    with torch.no_grad():  # as after some steps of training
        layer.original += draw(width, rank).tril(-1) / 4
        R = holder.weight.detach().clone()
    return {
        **tensors,
        "rotate_layer.weight": R,
        "rotate_layer.original": layer.original.detach().clone(),
        "rotate_layer.base": layer[0].base.clone(),
    }


def part(layer: int, type: str = "loreft", component: str = "block_output", **given: Any) -> Part:
    return layer, component, KINDS[type], tensors_of(type, **given)
