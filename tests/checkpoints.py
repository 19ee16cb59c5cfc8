"""Small checkpoints on disk with a word tokenizer, and data files in its words: what a command can be run on."""

import json
import random
import re
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

SPECIAL = ("[PAD]", "[BOS]", "[EOS]", "[MASK]", "[UNK]")
WORDS = tuple(f"w{i}" for i in range(91))
VOCABULARY = (*SPECIAL, *WORDS)
TOKENS = {"vocab_size": len(VOCABULARY), "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
LAYERS, WIDTH = 3, 32

CONFIGS: dict[str, Any] = {
    "gptj": lambda: transformers.GPTJConfig(
        n_layer=LAYERS, n_embd=WIDTH, n_head=4, rotary_dim=4, n_positions=64, **TOKENS
    ),
    "gptj_28": lambda: transformers.GPTJConfig(
        n_layer=28, n_embd=104, n_head=4, rotary_dim=8, n_positions=64, **TOKENS
    ),
    "llama_32": lambda: transformers.LlamaConfig(
        num_hidden_layers=32, hidden_size=104, intermediate_size=112, num_attention_heads=4, **TOKENS
    ),
    "bert": lambda: transformers.BertConfig(
        num_hidden_layers=LAYERS, hidden_size=WIDTH, num_attention_heads=4, intermediate_size=48, **TOKENS
    ),
    "roberta": lambda: transformers.RobertaConfig(
        num_hidden_layers=LAYERS,
        hidden_size=WIDTH,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=32,
        type_vocab_size=1,
        **TOKENS,
    ),
    "t5": lambda: transformers.T5Config(
        d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0, **TOKENS
    ),
}
HEADS = {
    "gptj": transformers.AutoModelForCausalLM,
    "gptj_28": transformers.AutoModelForCausalLM,
    "llama_32": transformers.AutoModelForCausalLM,
    "bert": transformers.AutoModelForMaskedLM,
    "roberta": transformers.AutoModelForMaskedLM,
    "t5": transformers.AutoModelForSeq2SeqLM,
}


def save_checkpoint(folder: Path, kind: str = "gptj") -> Path:
    """Returns the folder, now with a model of seeded random weights and its tokenizer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = HEADS[kind].from_config(CONFIGS[kind]())
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)  # spreads the logits, and fills biases
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    transformers.utils.logging.enable_progress_bar()
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[EOS]", "mask_token": "[MASK]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", **names).save_pretrained(folder)
    return folder


def spoil(folder: Path, name: str, value: float = float("nan")) -> None:
    """Puts one NaN into a tensor of a checkpoint."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors[name].view(-1)[3] = value
    save_file(tensors, file, metadata={"format": "pt"})


def set_config(folder: Path, **fields: Any) -> None:
    """Adds fields to a checkpoint's config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def save_data(folder: Path, n: int = 40) -> Path:
    """Returns the folder, now with token.json (ROME's layout), choice.jsonl, generate.jsonl and text.txt."""
    rng = random.Random(5)

    def words(count: int) -> str:
        return " ".join(rng.choices(WORDS, k=count))

    folder.mkdir(parents=True, exist_ok=True)
    facts = [
        {
            "case_id": i,
            "requested_rewrite": {
                "prompt": f"{{}} {words(1 + i % 9)}",
                "subject": words(1),
                "target_true": {"str": words(1)},
                "target_new": {"str": words(1)},
            },
            "paraphrase_prompts": [words(2 + i % 5) for _ in range(i % 3)],
        }
        for i in range(n)
    ]
    (folder / "token.json").write_text(json.dumps(facts))
    choices = ["w1 w2", "w3", "w4 w5 w6"]
    rows = [{"question": words(1 + i % 11), "label": choices[i % 3], "options": choices} for i in range(n)]
    (folder / "choice.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"question": words(1 + i % 11), "label": words(1 + i % 2)} for i in range(n)]
    (folder / "generate.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "text.txt").write_text(re.sub(r"((?:\S+ ){9}\S+) ", r"\1\n", words(600)))
    return folder


def data_arguments(folder: Path) -> dict[str, list[str]]:
    """Returns what to type for each file of `save_data`."""
    rows = ["data=jsonl", "data.prompt='{question}'", "data.answer=label"]
    return {
        "token": ["data=counterfact", f"data.path={folder / 'token.json'}"],
        "choice": [*rows, f"data.path={folder / 'choice.jsonl'}", "data.choices=options"],
        "generate": [*rows, f"data.path={folder / 'generate.jsonl'}", "data.max_new_tokens=4"],
        "text": ["data=text", f"data.path={folder / 'text.txt'}", "data.window=12"],
    }
