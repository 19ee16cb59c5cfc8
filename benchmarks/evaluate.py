"""One evaluation of a GPT-J shape: laser_lit against a plain loop and against the floor, side by side in one run.

    python benchmarks/evaluate.py

loop    what the LASER code does: a prompt at a time, log probs at every position over the whole vocabulary, the
        answer's, and the ten best words from a sorted vocabulary
floor   nothing but batched forward passes, prompts sorted by length, head and argmax on the last token alone
ours    EvaluationModule under Trainer.test: the loop's outcomes as a table, and its metrics

Measured on all cores, as one would run it, and again on one thread. The last line is a JSON object: speedup_vs_loop =
loop / ours and overhead_vs_floor = ours / floor on all cores, the same with _one_thread behind the name; peak_mb is the
process's peak memory after laser_lit's first run, before the others have run.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from lightning.pytorch import Trainer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import GPTJConfig, GPTJForCausalLM, PreTrainedTokenizerFast

from laser_lit.config import TrainerConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.module import RequestModule
from laser_lit.lit.evaluate import EvaluationModule
from laser_lit.lit.trainer import make_trainer
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches
from laser_lit.scoring.metrics import metrics
from laser_lit.scoring.requests import encode

PROMPTS, VOCABULARY, BATCH, ROUNDS = 200, 50_400, 64, 3


def tokenizer() -> PreTrainedTokenizerFast:
    """Returns a tokenizer that knows as many words as GPT-J has tokens."""
    words = WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0")
    words_tokenizer = Tokenizer(words)
    words_tokenizer.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words_tokenizer, unk_token="w0", pad_token="w0")


def examples() -> ExampleSet:
    """Returns prompts of 6 to 14 random words with a one-word answer."""
    rng = np.random.default_rng(0)
    rows = [[f"w{i}" for i in rng.integers(1, VOCABULARY, size=rng.integers(7, 16))] for _ in range(PROMPTS)]
    made = tuple(Example(str(n), str(n), " ".join(words[:-1]), words[-1]) for n, words in enumerate(rows))
    return ExampleSet("random", "token", made, "seed 0")


def loop(model: GPTJForCausalLM, data: ExampleSet, words: PreTrainedTokenizerFast) -> list[str]:
    """Returns the predictions of one prompt at a time with full logits."""
    found, hits, losses = [], [], []
    with torch.no_grad():
        for example in data.examples:
            ids = words(example.prompt, return_tensors="pt").input_ids
            gold = words(example.answer).input_ids[0]
            log_probs = model(ids).logits[0].log_softmax(-1)
            losses.append(-log_probs[-1, gold].item())
            best = log_probs[-1].sort(descending=True).indices[:10]
            tokens = words.batch_decode(best[:, None])
            hits.append(example.answer in tokens)
            found.append(tokens[0])
    return found


def floor(model: GPTJForCausalLM, prompts: list[list[int]]) -> list[str]:
    """Returns the predictions of padded batches with the head on the last token alone."""
    found = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda n: -len(prompts[n]))
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            numbers = order[start : start + BATCH]
            width = len(prompts[numbers[0]])
            ids = torch.tensor([[0] * (width - len(prompts[n])) + prompts[n] for n in numbers])
            mask = torch.tensor([[0] * (width - len(prompts[n])) + [1] * len(prompts[n]) for n in numbers])
            places = (mask.cumsum(1) - 1).clamp(min=0)
            hidden = model.transformer(ids, attention_mask=mask, position_ids=places, use_cache=False)
            best = model.lm_head(hidden.last_hidden_state[:, -1]).argmax(-1)
            for n, token in zip(numbers, best.tolist(), strict=True):
                found[n] = f"w{token}"
    return found


def seconds(work: Callable[[], object]) -> float:
    """Returns how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ours(trainer: Trainer, module: EvaluationModule, data: ExampleSet, words: PreTrainedTokenizerFast) -> list[str]:
    """Returns the predictions of the project's own path, from examples to metrics."""
    requests = encode(data, words)
    trainer.test(module, datamodule=RequestModule(Batches(requests, 0, BATCH)), verbose=False)
    table = outcomes(data, requests, module.scores, tokenizer=words)
    metrics(table)
    return list(table["prediction"])


def model() -> GPTJForCausalLM:
    """Returns a random GPT-J of 12 layers of width 512."""
    shape = {"n_positions": 64, "n_embd": 512, "n_layer": 12, "n_head": 8, "rotary_dim": 32}
    return GPTJForCausalLM(GPTJConfig(vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=0, **shape)).eval()


def ratios(ways: dict[str, Callable[[], list[str]]], threads: int, suffix: str) -> dict[str, float]:
    """Returns the named ratios of the best of several interleaved rounds."""
    torch.set_num_threads(threads)
    rounds = [{name: seconds(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    times = {name: min(times[name] for times in rounds) for name in ways}
    shown = ", ".join(f"{name} {time:.2f} s" for name, time in times.items())
    print(f"{PROMPTS} prompts, {threads} thread(s), best of {ROUNDS}: {shown}")
    return {
        f"speedup_vs_loop{suffix}": round(times["loop"] / times["ours"], 2),
        f"overhead_vs_floor{suffix}": round(times["ours"] / times["floor"], 3),
    }


def main() -> None:
    """Prints the measured ratios."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.manual_seed(0)
    words, data, gptj = tokenizer(), examples(), model()
    prompts = [words(example.prompt)["input_ids"] for example in data.examples]
    trainer, module = make_trainer(TrainerConfig(accelerator="cpu", progress_bar=False)), EvaluationModule(gptj)
    ways: dict[str, Callable[[], list[str]]] = {
        "ours": lambda: ours(trainer, module, data, words),
        "floor": lambda: floor(gptj, prompts),
        "loop": lambda: loop(gptj, data, words),
    }
    predictions = ways["ours"]()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name in ("floor", "loop"):
        if ways[name]() != predictions:
            raise SystemExit(f"{name} predicts something else")
    cores = torch.get_num_threads()
    print(json.dumps(ratios(ways, cores, "") | ratios(ways, 1, "_one_thread") | {"peak_mb": round(peak_mb)}))


if __name__ == "__main__":
    main()
