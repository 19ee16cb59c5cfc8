"""Tiny models of a dozen families, a word tokenizer and small data sets, all built in place."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as tf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from laser_lit.data.example import MASK, Example, ExampleSet

VOCABULARY = 128
SPECIAL = ("[PAD]", "[BOS]", "[EOS]", "[MASK]", "[UNK]")
WORDS = tuple(f"w{i}" for i in range(VOCABULARY - len(SPECIAL)))
IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
HF = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
KV = {**HF, "num_key_value_heads": 2, "max_position_embeddings": 64}

CAUSAL: dict[str, Callable[[], Any]] = {
    "gptj": lambda: tf.GPTJConfig(**GPT, rotary_dim=4),
    "gpt2": lambda: tf.GPT2Config(**GPT),
    "neox": lambda: tf.GPTNeoXConfig(**HF, max_position_embeddings=64),
    "llama": lambda: tf.LlamaConfig(**KV),
    "mixtral": lambda: tf.MixtralConfig(**KV, num_local_experts=4),
    "gemma2": lambda: tf.Gemma2Config(**KV, head_dim=8, final_logit_softcapping=5.0, sliding_window=8),
    "cohere": lambda: tf.CohereConfig(**KV, logit_scale=4.0),
    "bloom": lambda: tf.BloomConfig(hidden_size=32, n_layer=2, n_head=4),
    "opt": lambda: tf.OPTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48, word_embed_proj_dim=32
    ),
    "falcon": lambda: tf.FalconConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
    "falcon_alibi": lambda: tf.FalconConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=True),
    "mpt": lambda: tf.MptConfig(d_model=32, n_layers=2, n_heads=4, max_seq_len=64),
}
MASKED: dict[str, Callable[[], Any]] = {
    "bert": lambda: tf.BertConfig(**HF),
    "roberta": lambda: tf.RobertaConfig(**HF, max_position_embeddings=66),
    "deberta": lambda: tf.DebertaV2Config(
        **HF, relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False
    ),
    "deberta_positions": lambda: tf.DebertaV2Config(**HF, legacy=False),
}


def build(name: str) -> Any:
    masked = name in MASKED
    config = (MASKED if masked else CAUSAL)[name]()
    config.vocab_size = VOCABULARY
    for key, value in IDS.items():
        setattr(config, key, value)
    torch.manual_seed(0)
    model = (tf.AutoModelForMaskedLM if masked else tf.AutoModelForCausalLM).from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)  # spread the logits, and fill biases
    return model.eval()


@pytest.fixture(scope="session")
def models_by_name() -> Callable[[str], Any]:
    built: dict[str, Any] = {}

    def get(name: str) -> Any:
        if name not in built:
            built[name] = build(name)
        return built[name]

    return get


def word_tokenizer(bos: bool) -> Any:
    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="[BOS] $A", special_tokens=[("[BOS]", 1)])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        mask_token="[MASK]",
        unk_token="[UNK]",
    )


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return word_tokenizer(bos=False)


@pytest.fixture(scope="session")
def bos_tokenizer() -> Any:
    return word_tokenizer(bos=True)


def words(generator: torch.Generator, n: int) -> str:
    picks = torch.randint(len(WORDS), (n,), generator=generator).tolist()
    return " ".join(WORDS[i] for i in picks)


@pytest.fixture(scope="session")
def sets() -> Callable[..., ExampleSet]:
    """Returns a maker of 23 examples with prompts of 1 to 12 words."""

    def make(scoring: str, answer_words: int = 1, n: int = 23) -> ExampleSet:
        generator = torch.Generator().manual_seed(7)
        examples = []
        for i in range(n):
            prompt = words(generator, 1 + (5 * i) % 12)
            choices = tuple(words(generator, answer_words + j % 2) if answer_words > 1 else WORDS[j] for j in range(3))
            answer = choices[i % 3] if scoring == "choice" else words(generator, answer_words)
            examples.append(
                Example(
                    id=str(i),
                    group=f"g{i // 2}",
                    prompt=prompt,
                    answer=answer,
                    choices=choices if scoring == "choice" else (),
                    target_new=words(generator, answer_words) if scoring == "token" else None,
                    masked_prompt=f"{prompt} {MASK} {WORDS[5]}",
                )
            )
        return ExampleSet("tiny", scoring, tuple(examples), "r", max_new_tokens=5, masks=2)  # type: ignore[arg-type]

    return make


def merged(pieces: list[str], alphabet: list[str], first: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Returns a BPE vocabulary and the merges that build each piece from left to right."""
    vocabulary = {piece: first + i for i, piece in enumerate(dict.fromkeys(alphabet))}
    merges = []
    for piece in pieces:
        for end in range(2, len(piece) + 1):
            if piece[:end] not in vocabulary:
                vocabulary[piece[:end]] = first + len(vocabulary)
                merges.append((piece[: end - 1], piece[end - 1]))
    return vocabulary, merges


@pytest.fixture(scope="session")
def gpt() -> Any:
    """Returns a byte-level BPE tokenizer without a begin token before texts, as GPT-2's."""
    vocabulary, merges = merged(["Ġtrue", "Ġfalse", "Ġis", "claim"], pre_tokenizers.ByteLevel.alphabet(), 1)
    tokenizer = Tokenizer(models.BPE({"<|end|>": 0, **vocabulary}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|end|>", special=True)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|end|>", eos_token="<|end|>")


@pytest.fixture(scope="session")
def llama() -> Any:
    """Returns a BPE tokenizer that writes spaces as ▁ and begins every text with <s>, as Llama's."""
    vocabulary, merges = merged(["▁true", "▁false", "▁is", "▁claim"], ["▁", *"abcdefghijklmnopqrstuvwxyz .!\n"], 3)
    tokenizer = Tokenizer(models.BPE({"<unk>": 0, "<s>": 1, "</s>": 2, **vocabulary}, merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens([AddedToken("<s>", special=True), AddedToken("</s>", special=True)])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>"
    )
