"""Checkpoints with thin factors in place of some matrices: told from plain ones, and loaded.

config.json names a model type that transformers does not know, with the model's own config inside, and the weight files
bear a variant's name: a plain loader fails on either, and never fills what it misses with random numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.auto_factory import _get_model_class
from transformers.pytorch_utils import Conv1D

from laser_lit.errors import InputError
from laser_lit.linalg.lowrank import LowRankLinear
from laser_lit.models.source import Source, quiet

MODEL_TYPE = "laser_lit_factored"
VARIANT = "factored"
"""The weight files are model.factored.safetensors, or shards and an index of that name."""

SCHEMA = 1
_LINEAR = (nn.Linear.__name__, Conv1D.__name__, "FalconLinear")


@dataclass(frozen=True)
class Factored:
    """What the config.json of a factored checkpoint says.

    Attributes:
        config: the model's own.
        ranks: of the factors, by the name of the module.
    """

    config: PreTrainedConfig
    ranks: Mapping[str, int]

    def content(self) -> dict[str, Any]:
        """Returns the content of config.json."""
        return {
            "model_type": MODEL_TYPE,
            "schema": SCHEMA,
            "ranks": dict(self.ranks),
            "model": self.config.to_diff_dict(),
        }

    def loader(self, auto: Any) -> Callable[..., Any]:
        """Returns the function that loads the model, with arguments and result as from_pretrained has them.

        Args:
            auto: AutoModelForCausalLM or another of its kind.
        """
        cls = _get_model_class(self.config, auto._model_mapping)

        def load(where: str, **keywords: Any) -> Any:
            loaded = _with_factors(cls, self.ranks).from_pretrained(where, variant=VARIANT, **keywords)
            model = loaded[0] if isinstance(loaded, tuple) else loaded
            model.__class__ = cls
            model.save_pretrained = _refuse_saving
            return loaded

        return load


def read_factored(source: Source) -> Factored | None:
    """Returns what a factored checkpoint's config.json says; None for a checkpoint of another kind.

    Args:
        source: the folder or id.

    Raises:
        InputError: no config.json, one of another schema, or one that lacks something.
    """
    content, _ = source.load(PreTrainedConfig.get_config_dict)
    if content.get("model_type") != MODEL_TYPE:
        return None
    if content.get("schema") != SCHEMA:
        raise InputError(f"{source.where}: factored schema {content.get('schema')}, and this laser_lit reads {SCHEMA}")
    ranks, model = content.get("ranks"), content.get("model")
    if not isinstance(ranks, dict) or not isinstance(model, dict) or "model_type" not in model:
        raise InputError(f"{source.where}: its config.json lacks ranks or model; export it again")
    with quiet():
        kind = type(AutoConfig.for_model(model["model_type"]))
        return Factored(kind.from_dict(model), ranks)


def is_linear(module: nn.Module) -> bool:
    """Returns whether a module does what a `LowRankLinear` can do in its place.

    Args:
        module: of any kind; a subclass of nn.Linear may compute something else.
    """
    return type(module).__name__ in _LINEAR and isinstance(module, nn.Linear | Conv1D)


def factored_modules(model: nn.Module) -> dict[str, LowRankLinear]:
    """Returns the layers of a model that are thin factors, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LowRankLinear)}


def make_dense(model: PreTrainedModel) -> None:
    """Replaces the factors of a model by their products, in the modules that the model's class has there.

    Args:
        model: changed in place.
    """
    with torch.device("meta"):
        plain = type(model)(model.config)
    for name, factors in factored_modules(model).items():
        module = plain.get_submodule(name)
        W = factors.dense()  # (out, in)
        module.weight = nn.Parameter(W.T.contiguous() if isinstance(module, Conv1D) else W)
        module.bias = factors.bias
        model.set_submodule(name, module.train(factors.training))
    vars(model).pop("save_pretrained", None)


def _refuse_saving(*arguments: Any, **keywords: Any) -> None:
    raise InputError(
        "save_pretrained of a model with thin factors would write a folder that nothing can load: copy the folder that "
        "it came from, or make whole matrices with `python -m laser_lit.export DIR NEW --format dense`"
    )


def _with_factors(cls: type[PreTrainedModel], ranks: Mapping[str, int]) -> type[PreTrainedModel]:
    """Returns a subclass whose models are made with factors, which from_pretrained fills as it fills the rest."""

    def __init__(self: PreTrainedModel, *arguments: Any, **keywords: Any) -> None:  # noqa: N807
        cls.__init__(self, *arguments, **keywords)
        for name, rank in ranks.items():
            _replace(self, name, rank)

    return type(cls.__name__, (cls,), {"__init__": __init__, "__module__": cls.__module__})


def _replace(model: nn.Module, name: str, rank: int) -> None:
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise InputError(
            f"config.json names factors of {name}, which {type(model).__name__} has not: it is of another model"
        ) from None
    if not is_linear(module):
        raise InputError(f"config.json names factors of {name}, which is a {type(module).__name__}")
    out, inputs = _sizes(module)
    model.set_submodule(name, LowRankLinear(inputs, out, rank, module.bias is not None))


def _sizes(module: nn.Module) -> tuple[int, int]:
    """Returns (out, in) of a linear layer."""
    if isinstance(module, nn.Linear):
        return module.out_features, module.in_features
    inputs, out = module.get_parameter("weight").shape  # Conv1D
    return out, inputs
