"""Frozen bases in 4 or 8 bits, by bitsandbytes: what can be passed through and not edited."""

from importlib.util import find_spec
from typing import Any

import torch

from laser_lit.errors import InputError, unknown_name

QUANTIZATIONS = ("4bit", "8bit")


def bitsandbytes_config(quantization: str, dtype: torch.dtype) -> Any:
    """Returns the config by which transformers quantizes a checkpoint while it loads it.

    Args:
        quantization: "4bit" (NF4, with its constants quantized too, as QLoRA has it) or "8bit" (LLM.int8).
        dtype: of the arithmetic, in 4 bits.

    Raises:
        InputError: another word, or bitsandbytes is not installed.
    """
    if quantization not in QUANTIZATIONS:
        raise unknown_name("model.quantization", quantization, QUANTIZATIONS)
    if find_spec("bitsandbytes") is None:
        raise InputError(
            f"model.quantization={quantization} needs bitsandbytes, which is not installed: pip install bitsandbytes, "
            "or leave it out and give reft.precision=bf16-true for half the memory"
        )
    from transformers import BitsAndBytesConfig

    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
