"""A model and its tokenizer from a local folder or the hub: never random weights, remote code only on request."""

import re
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from laser_lit.errors import InputError, unknown_name
from laser_lit.models.architecture import field
from laser_lit.models.factored import read_factored
from laser_lit.models.quantized import bitsandbytes_config
from laser_lit.models.refusal import quantized_checkpoint
from laser_lit.models.source import find_source

Kind = Literal["causal", "masked", "seq2seq"]
DTYPES = ("auto", "float32", "bfloat16", "float16")

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.*", "*.model", "*.tiktoken")
_CLASSES = {"causal": AutoModelForCausalLM, "masked": AutoModelForMaskedLM, "seq2seq": AutoModelForSeq2SeqLM}
HARMLESS = re.compile(
    r"(^|\.)pooler\.|^cls\.seq_relationship\.|\.?position_ids$|\.inv_freq$|\.attn\.(masked_)?bias$"
    r"|\.attention\.(masked_)?bias$|^(lm_predictions|mask_predictions)\."
)
"""Tensors that old checkpoints hold and language models do without: pre-training heads, poolers, constant masks."""


def load_model(
    path_or_id: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    trust_remote_code: bool = False,
    kind: Kind | None = None,
    quantization: str | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Returns a language model in eval mode and its tokenizer.

    Args:
        path_or_id: folder with config.json, weights and tokenizer, or an id of the hub; a factored export too.
        revision: commit, tag or branch of the hub's repository.
        dtype: "auto" keeps the checkpoint's.
        device_map: as in transformers; None loads onto the CPU.
        trust_remote_code: whether code that comes with the model may run.
        kind: "causal", "masked" or "seq2seq"; None takes causal or masked from the config.
        quantization: "4bit" or "8bit" holds the linear layers so, by bitsandbytes; they can then not be edited.

    Raises:
        InputError: no such model, no access, broken or incomplete files, or not a language model.
    """
    tokenizer = load_tokenizer(path_or_id, revision=revision, trust_remote_code=trust_remote_code)
    model = load_weights(
        path_or_id,
        revision=revision,
        dtype=dtype,
        device_map=device_map,
        trust_remote_code=trust_remote_code,
        kind=kind,
        quantization=quantization,
    )
    return model, tokenizer


def load_weights(
    path_or_id: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    trust_remote_code: bool = False,
    kind: Kind | None = None,
    quantization: str | None = None,
) -> PreTrainedModel:
    """Returns the model alone, in eval mode; see `load_model`."""
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    source = find_source(path_or_id, revision, trust_remote_code)
    factored = read_factored(source)
    config = source.load(AutoConfig.from_pretrained) if factored is None else factored.config
    refuse_quantized_config(source.where, config)
    auto = _CLASSES[_kind(source.where, config, kind)]
    wanted = dtype if dtype == "auto" else getattr(torch, dtype)
    bits = {} if quantization is None else _in_bits(quantization, factored is not None, wanted, source.where)
    model, info = source.load(
        auto.from_pretrained if factored is None else factored.loader(auto),
        config=config,
        dtype=wanted,
        device_map=device_map,
        output_loading_info=True,
        **bits,
    )
    check_complete(source.where, type(model).__name__, info)
    return model.eval()


def _in_bits(quantization: str, is_factored: bool, dtype: Any, where: str) -> dict[str, Any]:
    """Returns what from_pretrained needs to quantize a checkpoint."""
    if is_factored:
        raise InputError(f"model.quantization={quantization}: {where} has factors, which bitsandbytes does not take")
    return {"quantization_config": bitsandbytes_config(quantization, torch.float32 if dtype == "auto" else dtype)}


def load_tokenizer(
    path_or_id: str | Path, *, revision: str | None = None, trust_remote_code: bool = False
) -> PreTrainedTokenizerBase:
    """Returns the tokenizer of a model, with a padding token (the end-of-text token where it has none of its own).

    Raises:
        InputError: no such model or no tokenizer beside it.
    """
    source = find_source(path_or_id, revision, trust_remote_code)
    missing = InputError(f"{source.where} has no tokenizer; save one there with tokenizer.save_pretrained")
    if source.folder and not has_tokenizer(source.folder):
        raise missing
    try:
        factored = read_factored(source)
        config = {} if factored is None else {"config": factored.config}
        tokenizer = source.load(AutoTokenizer.from_pretrained, **config)
    except InputError as error:
        raise (missing if "backend tokenizer" in str(error) else error) from error.__cause__
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise missing
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def has_tokenizer(folder: Path) -> bool:
    """Returns whether a folder holds any file of a tokenizer."""
    return any(file for name in _TOKENIZER_FILES for file in folder.glob(name))


def _kind(where: str, config: Any, kind: Kind | None) -> Kind:
    """Returns the kind asked for, or the config's, having checked that the model can be loaded so."""
    if kind is not None and kind not in _CLASSES:
        raise unknown_name("kind", kind, _CLASSES)
    if getattr(config, "is_encoder_decoder", False):
        if kind == "seq2seq":
            return kind
        raise InputError(
            f"{where} is an encoder-decoder model ({config.model_type}), which language scoring does not cover; "
            "kind='seq2seq' loads it for reading and editing its matrices"
        )
    causal = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or "AutoModelForCausalLM" in _own_classes(config)
    masked = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES or "AutoModelForMaskedLM" in _own_classes(config)
    if not (causal or masked):
        raise InputError(f"{where} is not a language model: transformers has no LM head for {config.model_type!r}")
    if kind is None:
        head = (config.architectures or [""])[0]
        return "masked" if masked and not (causal and head.endswith(("ForCausalLM", "LMHeadModel"))) else "causal"
    if not {"causal": causal, "masked": masked, "seq2seq": False}[kind]:
        raise InputError(
            f"{where} ({config.model_type}) has no {kind} head; use kind={'causal' if causal else 'masked'}"
        )
    return kind


def refuse_quantized_config(where: str, config: Any) -> None:
    """Raises InputError before anything is loaded, and before transformers asks for the quantizer's package."""
    quantization = getattr(config, "quantization_config", None)
    if quantization:
        method = field(quantization, "quant_method") or "unknown method"
        raise quantized_checkpoint(where, method)


def _own_classes(config: Any) -> dict[str, str]:
    """Returns the classes that a model brings along as code."""
    return getattr(config, "auto_map", None) or {}


def check_complete(where: str, cls: str, info: dict[str, Any]) -> None:
    """Raises an error when weights were left random or weights of the checkpoint were left out.

    Args:
        where: the model's folder or id.
        cls: name of the class that was loaded.
        info: what its from_pretrained returned beside it, with output_loading_info.

    Raises:
        InputError: names the weights.
    """
    mismatched = sorted(str(entry[0]) for entry in info["mismatched_keys"])
    unexpected = sorted(name for name in info["unexpected_keys"] if not HARMLESS.search(name))
    for names, what in (
        (sorted(info["missing_keys"]), "lacks weights, which would be random"),
        (mismatched, "has weights of other shapes"),
        (unexpected, "has weights that the model does not use"),
    ):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise InputError(
                f"{where} {what} as {cls}: {', '.join(names[:5])}{more}; is it a checkpoint of another kind of model, "
                "or does config.json not belong to it?"
            )
