"""What a model takes: next-token or masked, how many tokens, and in which form it wants its positions."""

import functools
import inspect
from typing import Any, Literal

import torch
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.scoring.batches import Batch


def model_kind(model: nn.Module) -> Literal["causal", "masked"]:
    """Returns whether the model predicts the next token or masked tokens.

    Raises:
        InputError: a sequence-to-sequence model, or one without a language-model head.
    """
    inner = _inner(model)
    if getattr(inner.config, "is_encoder_decoder", False):
        raise InputError(
            f"{type(inner).__name__} is a sequence-to-sequence model, which is not scored; "
            "use a causal or a masked language model"
        )
    if is_masked(model):
        return "masked"
    if _head(inner) is None:
        name = type(inner).__name__
        raise InputError(f"{name} has no language-model head; load it as a causal or a masked language model")
    return "causal"


def is_masked(model: nn.Module) -> bool:
    """Returns whether the model predicts masked tokens, from both sides."""
    return type(_inner(model)).__name__.endswith("ForMaskedLM")


def context_length(model: nn.Module) -> int | None:
    """Returns how many tokens the model takes, or None where its configuration sets no limit (BLOOM)."""
    inner = _inner(model)
    config = inner.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value - _first_position(inner)
    return None


def model_inputs(model: nn.Module, batch: Batch) -> dict[str, Any]:
    """Returns the arguments of the model's forward pass for a batch that is on the model's device.

    Positions go only to models that take them, and count from padding_idx + 1 where the model keeps that slot for
    padding (RoBERTa and its kin).
    """
    inner = _inner(model)
    accepted = _accepted(inner.__class__)
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    if "position_ids" in accepted:
        inputs["position_ids"] = _positions(inner, batch)
    if "use_cache" in accepted:
        inputs["use_cache"] = False
    return inputs


def input_device(model: nn.Module) -> torch.device:
    """Returns the device of the model's input embedding, where a batch has to be."""
    embedding = _inner(model).get_input_embeddings()
    return next(embedding.parameters()).device


def _positions(model: Any, batch: Batch) -> Tensor:
    first = _first_position(model)
    if not first:
        return batch.position_ids
    return batch.position_ids + (first - 1) + batch.attention_mask  # padding: padding_idx


def _first_position(model: Any) -> int:
    """Returns the position of the first token: padding_idx + 1 in tables that keep a slot for padding, else 0."""
    embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def _inner(model: Any) -> Any:
    """Returns the transformers model inside a PEFT wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _head(model: Any) -> nn.Module | None:
    return model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None


@functools.cache
def _accepted(model_type: type[nn.Module]) -> frozenset[str]:
    return frozenset(inspect.signature(model_type.forward).parameters)
