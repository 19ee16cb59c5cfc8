"""A tiny random model of every family: what the architecture battery and other tests build."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor, nn

VOCABULARY = 64
SEED = 7
WIDTH = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": VOCABULARY}
TOKENS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
BLOCK = WIDTH | TOKENS | {"intermediate_size": 24}
GROUPED = BLOCK | {"num_key_value_heads": 2}
WIDE_HEADS = GROUPED | {"head_dim": 8}
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 32, "vocab_size": VOCABULARY} | TOKENS
FALCON = WIDTH | TOKENS
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4}
T5_TOKENS = {"vocab_size": VOCABULARY, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
DEBERTA = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
}
VIT = {"image_size": 8, "patch_size": 4, "num_labels": 6}
TRAJECTORY = {"state_dim": 5, "act_dim": 3, "hidden_size": 16, "n_layer": 2, "n_head": 4, "max_ep_len": 16}


def build(model: str, config: str, **fields: Any) -> nn.Module:
    """Returns a model with seeded random weights, large enough that every change shows."""
    made = getattr(transformers, config)(**fields)
    made._attn_implementation = "eager"
    built = getattr(transformers, model)(made).eval()
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for parameter in built.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise / 4 if parameter.dim() > 1 else parameter + noise / 10)
    return built


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "gpt2": partial(build, "GPT2LMHeadModel", "GPT2Config", **GPT),
    "gptj": partial(build, "GPTJForCausalLM", "GPTJConfig", rotary_dim=4, **GPT),
    "gpt_neox": partial(build, "GPTNeoXForCausalLM", "GPTNeoXConfig", **BLOCK),
    "opt": partial(
        build,
        "OPTForCausalLM",
        "OPTConfig",
        ffn_dim=24,
        max_position_embeddings=32,
        word_embed_proj_dim=16,
        **WIDTH,
        **TOKENS,
    ),
    "bloom": partial(
        build, "BloomForCausalLM", "BloomConfig", hidden_size=16, n_layer=2, n_head=4, vocab_size=VOCABULARY, **TOKENS
    ),
    "falcon_7b": partial(build, "FalconForCausalLM", "FalconConfig", multi_query=True, **FALCON),
    "falcon_40b": partial(
        build, "FalconForCausalLM", "FalconConfig", new_decoder_architecture=True, num_kv_heads=2, **FALCON
    ),
    "falcon_rw": partial(
        build,
        "FalconForCausalLM",
        "FalconConfig",
        alibi=True,
        multi_query=False,
        bias=True,
        parallel_attn=False,
        **FALCON,
    ),
    "mpt": partial(
        build,
        "MptForCausalLM",
        "MptConfig",
        d_model=16,
        n_heads=4,
        n_layers=2,
        expansion_ratio=2,
        max_seq_len=32,
        vocab_size=VOCABULARY,
    ),
    "llama": partial(build, "LlamaForCausalLM", "LlamaConfig", **GROUPED),
    "mistral": partial(build, "MistralForCausalLM", "MistralConfig", **GROUPED),
    "mixtral": partial(
        build, "MixtralForCausalLM", "MixtralConfig", num_local_experts=3, num_experts_per_tok=2, **GROUPED
    ),
    "qwen2": partial(build, "Qwen2ForCausalLM", "Qwen2Config", **GROUPED),
    "qwen3": partial(build, "Qwen3ForCausalLM", "Qwen3Config", **WIDE_HEADS),
    "qwen3_moe": partial(
        build,
        "Qwen3MoeForCausalLM",
        "Qwen3MoeConfig",
        moe_intermediate_size=12,
        num_experts=3,
        num_experts_per_tok=2,
        mlp_only_layers=[0],
        **WIDE_HEADS,
    ),
    "gemma2": partial(build, "Gemma2ForCausalLM", "Gemma2Config", **WIDE_HEADS),
    "gemma3": partial(build, "Gemma3ForCausalLM", "Gemma3TextConfig", **WIDE_HEADS),
    "phi": partial(build, "PhiForCausalLM", "PhiConfig", **BLOCK),
    "phi3": partial(build, "Phi3ForCausalLM", "Phi3Config", **GROUPED),
    "stablelm": partial(build, "StableLmForCausalLM", "StableLmConfig", **GROUPED),
    "olmo2": partial(build, "Olmo2ForCausalLM", "Olmo2Config", **GROUPED),
    "cohere": partial(build, "CohereForCausalLM", "CohereConfig", **GROUPED),
    "starcoder2": partial(build, "Starcoder2ForCausalLM", "Starcoder2Config", **GROUPED),
    "bert": partial(build, "BertForMaskedLM", "BertConfig", **BLOCK),
    "roberta": partial(build, "RobertaForMaskedLM", "RobertaConfig", **BLOCK),
    "deberta_v2": partial(build, "DebertaV2ForMaskedLM", "DebertaV2Config", share_att_key=True, **DEBERTA, **BLOCK),
    "t5": partial(build, "T5ForConditionalGeneration", "T5Config", **T5, **T5_TOKENS),
    "t5_gated": partial(
        build,
        "T5ForConditionalGeneration",
        "T5Config",
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        **T5,
        **T5_TOKENS,
    ),
    "vit": partial(
        build,
        "ViTForImageClassification",
        "ViTConfig",
        **VIT,
        **{k: v for k, v in BLOCK.items() if k not in TOKENS and k != "vocab_size"},
    ),
    "decision_transformer": partial(build, "DecisionTransformerModel", "DecisionTransformerConfig", **TRAJECTORY),
}
"""A function that makes the model, by family; the layouts of Falcon and T5 are families of their own."""

FAMILY_FILES = {"falcon_7b": "falcon", "falcon_40b": "falcon", "falcon_rw": "falcon", "t5_gated": "t5"}
"""Name of the architecture file, where it is not the family's name here."""


def inputs_of(model: nn.Module) -> dict[str, Tensor]:
    """Returns seeded inputs of a model of this module: 2 sequences, of 7 tokens where it reads tokens."""
    generator = torch.Generator().manual_seed(SEED)
    kind = model.config.model_type
    if kind == "vit":
        return {"pixel_values": torch.randn(2, 3, 8, 8, generator=generator)}
    if kind == "decision_transformer":
        steps = torch.arange(4).expand(2, 4)
        return {
            "states": torch.randn(2, 4, 5, generator=generator),
            "actions": torch.randn(2, 4, 3, generator=generator),
            "rewards": torch.zeros(2, 4, 1),
            "returns_to_go": torch.randn(2, 4, 1, generator=generator),
            "timesteps": steps,
            "attention_mask": torch.ones(2, 4, dtype=torch.long),
        }
    ids = torch.randint(3, VOCABULARY, (2, 7), generator=generator)
    if kind == "t5":
        return {"input_ids": ids, "decoder_input_ids": torch.randint(3, VOCABULARY, (2, 5), generator=generator)}
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@torch.no_grad()
def output_of(model: nn.Module) -> Tensor:
    """Returns the model's logits (or action predictions) on `inputs_of`."""
    found = model(**inputs_of(model))
    return found.action_preds if "action_preds" in found else found.logits
