"""A GPT-J shape, dense and factored: size, memory, tokens a second and quality, side by side in one run.

    python benchmarks/export.py

Random weights with decaying spectra; rho 0.1 on every MLP matrix. dense is the model as it was, edited its dense
export, factored the same edits as thin factors. Each is loaded in a process of its own for its memory, and all three in
one process, a batch of each in turn, for their speed (one thread, float32, the median of the rounds' ratios). Quality
is the loss on text that the dense model wrote, and the divergence from its predictions; logits is the largest
difference to the edited model's, fed the same text. A second checkpoint, of `--gb` in shards, is edited by what
task=edit_checkpoint runs in a process of its own, and compared with loading, editing and saving.

The last line is a JSON object:
    file_ratio, memory_ratio    factored weight file, and memory that loading it adds, over the bytes counted
    speed_ratio, flop_ratio     tokens a second of factored over edited, and FLOPs of edited over factored
    speed_share                 speed_ratio / flop_ratio
    logits_error                largest difference of factored to edited logits
    edit_added_mb               peak memory of editing a checkpoint beyond what the process had before
    edit_equal                  whether every tensor is that of loading, editing and saving
"""

import argparse
import ctypes
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GPTJConfig, GPTJForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.export.origin import Origin
from laser_lit.export.result import weight_bytes
from laser_lit.export.stream import edit_checkpoint, peak_memory
from laser_lit.export.write import export_model
from laser_lit.models.checkpoint import open_checkpoint
from laser_lit.models.load import load_weights
from laser_lit.models.shards import find_tensors
from laser_lit.scoring.heap import resident

RHO, DECAY, SHARPNESS = 0.1, 0.7, 4
NAMES = ("dense", "edited", "factored")


def gptj(options: argparse.Namespace) -> GPTJForCausalLM:
    """Returns a model of GPT-J's shape, reduced, whose matrices have decaying spectra as those of trained models."""
    torch.manual_seed(0)
    model = GPTJForCausalLM(
        GPTJConfig(
            n_layer=options.layers,
            n_embd=options.width,
            n_head=options.width // 64,
            rotary_dim=32,
            n_positions=options.length,
            vocab_size=options.vocabulary,
            bos_token_id=0,
            eos_token_id=None,
        )
    ).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and ".h." in name:
                rank = min(weight.shape) // 4
                left = torch.randn(weight.shape[0], rank) * torch.arange(1, rank + 1) ** -DECAY  # (out, rank)
                weight.add_(left @ torch.randn(rank, weight.shape[1]), alpha=weight.shape[1] ** -0.5)  # (out, in)
        model.lm_head.weight.mul_(SHARPNESS)  # else every word is as likely as the others
    return model


def flops(model: PreTrainedModel, ranks: dict[str, int], length: int) -> tuple[int, int]:
    """Returns multiplications a token, dense and factored: matrices, head, and attention over `length` tokens."""
    dense = thin = 2 * length * model.config.n_embd * model.config.n_layer
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            dense += module.weight.numel()
            thin += ranks[name] * sum(module.weight.shape) if name in ranks else module.weight.numel()
    return dense, thin


def tidy() -> int:
    """Returns this process's resident memory in bytes, without what the allocator keeps for itself."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return resident()


def load_and_tell(folder: str) -> None:
    """Prints the bytes that a model adds to this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as tiny:  # what is imported and made once
        config = GPTJConfig(n_layer=1, n_embd=64, n_head=1, rotary_dim=32, n_positions=8, vocab_size=8)
        GPTJForCausalLM(config).save_pretrained(tiny)
        load_weights(tiny)
    before = tidy()
    model = load_weights(folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0)  # pages that were only mapped become memory
    print(tidy() - before)


def edit_on_disk(source: str, out: str) -> None:
    """Prints the peak memory of this process before and after a checkpoint is edited."""
    torch.set_num_threads(1)
    before = peak_memory()
    edit_checkpoint(open_checkpoint(source), edits(), out, Origin.at(source))
    print(before, peak_memory())


def fresh(function: str, *folders: Path) -> list[int]:
    """Returns the numbers that a function of this file prints at last in a process of its own."""
    call = f"export.{function}({', '.join(repr(str(folder)) for folder in folders)})"
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import export; {call}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.strip().splitlines()[-1].split()]


def rounds(models: dict[str, PreTrainedModel], tokens: Tensor, count: int) -> dict[str, list[float]]:
    """Returns seconds a pass of each model, one of each in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for number in range(count + 1):
            for name, model in models.items():
                start = time.perf_counter()
                model(tokens, use_cache=False)
                if number:  # the first warms up
                    seconds[name].append(time.perf_counter() - start)
    return seconds


def quality(models: dict[str, PreTrainedModel], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Returns loss, divergence from dense and difference to edited on text that the dense model wrote."""
    torch.manual_seed(1)
    prompt = torch.randint(1, options.vocabulary, (8, 1))
    with torch.inference_mode():
        text = models["dense"].generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=63, do_sample=True, top_k=0, pad_token_id=0
        )
        logits = {name: model(text).logits for name, model in models.items()}
    log_probs = {name: found[:, :-1].log_softmax(-1) for name, found in logits.items()}
    return {
        name: {
            "loss": -float(found.gather(-1, text[:, 1:, None]).mean()),
            "kl": float((log_probs["dense"].exp() * (log_probs["dense"] - found)).sum(-1).mean()),
            "logits": float((logits[name] - logits["edited"]).abs().max()),
        }
        for name, found in log_probs.items()
    }


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Returns the figures of the three models, having printed their table."""
    model = gptj(options)
    model.save_pretrained(folder / "dense")
    stack = Stack([Edit("all", "mlp", rho=RHO)])
    export_model(model, stack, folder / "edited", origin=Origin("random"))
    export_model(model, stack, folder / "factored", "factored", origin=Origin("random"))
    many, few = flops(model, json.loads((folder / "factored" / "config.json").read_text())["ranks"], options.length)
    del model
    models = {name: load_weights(folder / name) for name in NAMES}
    tokens = torch.randint(1, options.vocabulary, (options.batch, options.length))
    seconds, found = rounds(models, tokens, options.rounds), quality(models, options)
    counted = {name: sum(weight.nbytes for weight in models[name].parameters()) for name in NAMES}
    buffers = sum(buffer.nbytes for buffer in models["dense"].buffers())  # masks and positions, in memory alone
    models.clear()
    files = {name: weight_bytes(folder / name) for name in NAMES}
    memory = {name: fresh("load_and_tell", folder / name)[0] for name in NAMES}
    heads = ("counted MB", "file MB", "memory MB", "tokens/s", "loss", "KL", "logits")
    print(f"{'':10}" + "".join(f"{head:>12}" for head in heads))
    for name in NAMES:
        rate = tokens.numel() / statistics.median(seconds[name])
        sizes = "".join(f"{size[name] / 1e6:12.2f}" for size in (counted, files, memory))
        q = found[name]
        print(f"{name:10}{sizes}{rate:12.0f}{q['loss']:12.3f}{q['kl']:12.3f}{q['logits']:12.1e}")
    ratio = statistics.median(e / f for e, f in zip(seconds["edited"], seconds["factored"], strict=True))
    return {
        "file_ratio": files["factored"] / counted["factored"],
        "memory_ratio": memory["factored"] / (counted["factored"] + buffers),
        "size_ratio": files["factored"] / files["dense"],
        "speed_ratio": ratio,
        "flop_ratio": many / few,
        "speed_share": ratio / (many / few),
        "logits_error": found["factored"]["logits"],
        **{f"{name}_loss": found[name]["loss"] for name in NAMES},
    }


def edits() -> Stack:
    """Returns the edits of the Llama: every matrix of its first layer, and the MLP of its last."""
    return Stack([Edit(0, "all", rho=RHO), Edit(-1, "mlp", rho=RHO)], combine="last")


def on_disk(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Returns the figures of a Llama in shards of 300 MB, largest matrix 1024 × 4096, that is edited in its files."""
    source, out, saved = folder / "llama", folder / "edited", folder / "saved"
    layers = max(1, round(options.gb * 1e9 / 4 / (4 * 1024**2 + 3 * 1024 * 4096)))
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "vocab_size": 4096}
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(num_hidden_layers=layers, **sizes)).save_pretrained(source, max_shard_size="300MB")
    start = time.perf_counter()
    before, peak = fresh("edit_on_disk", source, out)
    seconds = time.perf_counter() - start
    model = load_weights(source)
    edits().apply(model)
    model.save_pretrained(saved, max_shard_size="300MB")
    ours, theirs = find_tensors(out), find_tensors(saved)
    equal = ours.keys() == theirs.keys() and all(torch.equal(ours[name].read(), theirs[name].read()) for name in ours)
    size = sum(stored.bytes for stored in ours.values())
    print(f"\na checkpoint of {size / 1e9:.2f} GB edited in its files: {seconds:.0f} s with start, {peak / 1e6:.0f} MB")
    return {"edit_peak_mb": peak / 1e6, "edit_added_mb": (peak - before) / 1e6, "edit_equal": equal}


def main() -> None:
    """Prints the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("layers", 6), ("width", 1024), ("vocabulary", 8192), ("batch", 8), ("length", 128)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--gb", type=float, default=2.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    for part in (compare, on_disk):
        with tempfile.TemporaryDirectory() as folder:
            figures |= part(options, Path(folder))
    print(json.dumps({name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()}))


if __name__ == "__main__":
    main()
