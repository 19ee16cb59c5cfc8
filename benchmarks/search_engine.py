"""What a search pays for a cell on a GPT-J shape, against the least it could pay and against the LASER code's way.

    python benchmarks/search_engine.py

One thread, CPU seconds; 12 layers of width 512 and 2048, vocabulary 50,400, 200 prompts of 10 tokens, batches of 64;
the grid is layers x 6 matrices x the LASER code's 9 ranks = 648 cells, of which a seeded tenth is measured and scaled.

ours       Scorer.score, table included, on recorded states; plus the base's pass and a factorization a matrix
floor      nothing but batched passes through the layers from the edited one on, the head on the last token alone, and
           its argmax; plus a factorization a matrix
reference  what the LASER code does for a cell: a deep copy, torch.svd_lowrank, one prompt at a time, full logits; four
           of its cells, scaled

The two sides of a ratio are measured in turns. Peak memory beyond the model is that of a process of its own for each
value of cache_gb, on 80 prompts of 96 tokens. The last line is a JSON object: overhead_vs_floor = ours / floor,
speedup_vs_reference = reference / ours (_late: for the last 40 % of layers), peak_gb by cache_gb, and the times of a
cell by number of examples and of a grid by number of cells, each over that of the smallest.
"""

import argparse
import copy
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor
from transformers import GPTJConfig, GPTJForCausalLM, PreTrainedTokenizerFast

from laser_lit.data.example import Example, ExampleSet
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.linalg.cache import FactorCache
from laser_lit.linalg.svd import factorize
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches
from laser_lit.scoring.requests import encode
from laser_lit.search.space import Space
from laser_lit.tasks.searching import LanguageScorer

LAYERS, WIDTH, VOCABULARY, PROMPTS, TOKENS, BATCH = 12, 512, 50_400, 200, 10, 64
LATE = range(7, LAYERS)
SHARE = 10
REFERENCE_CELLS = 4
CACHE_GB = (0.25, 0.5, 1.0)
LONG, FEW = 96, 80


def tokenizer() -> PreTrainedTokenizerFast:
    """Returns a tokenizer that knows as many words as GPT-J has tokens."""
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", pad_token="w0")


def examples(tokens: int = TOKENS, prompts: int = PROMPTS) -> ExampleSet:
    """Returns prompts of random words with a one-word answer."""
    draw = random.Random(0)
    rows = [[f"w{draw.randrange(1, VOCABULARY)}" for _ in range(tokens + 1)] for _ in range(prompts)]
    made = tuple(Example(str(n), str(n), " ".join(words[:-1]), words[-1]) for n, words in enumerate(rows))
    return ExampleSet("random", "token", made, "seed 0")


def model() -> GPTJForCausalLM:
    """Returns a random GPT-J."""
    torch.manual_seed(0)
    shape = {"n_positions": 128, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 8, "rotary_dim": 32}
    return GPTJForCausalLM(GPTJConfig(vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=0, **shape)).eval()


def scorer_of(gptj: GPTJForCausalLM, matrices: MatrixMap, data: ExampleSet, cache_gb: float) -> LanguageScorer:
    """Returns what a language task would score a search's stacks with."""
    words = tokenizer()
    requests = encode(data, words)

    def prepare(rows: Sequence[int] | None, max_tokens: int | None) -> tuple[Batches, Callable]:
        n = len(requests) if rows is None else len(rows)
        some = ExampleSet(data.name, data.scoring, data.examples[:n], data.revision)
        batches = Batches(requests[:n], 0, BATCH, max_tokens)
        return batches, lambda scores: outcomes(some, requests[:n], scores, tokenizer=words)

    def losses(rows: Sequence[int]) -> Iterator[Tensor]:
        raise NotImplementedError

    return LanguageScorer(gptj, matrices, prepare, losses, cache_gb)


def seconds(work: Callable[..., object], *given: object) -> float:
    """Returns how much CPU time one call takes."""
    start = time.process_time()
    work(*given)
    return time.process_time() - start


@torch.no_grad()
def inputs_of(gptj: GPTJForCausalLM, ids: Tensor) -> list[list[Tensor]]:
    """Returns the input of each layer for each batch."""
    found: list[list[Tensor]] = [[] for _ in range(LAYERS)]
    hooks = [
        block.register_forward_pre_hook(lambda _, args, layer=layer: found[layer].append(args[0].clone()))
        for layer, block in enumerate(gptj.transformer.h)
    ]
    for batch in ids.split(BATCH):
        gptj.transformer(batch, use_cache=False)
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
def floor(gptj: GPTJForCausalLM, layer: int, inputs: list[list[Tensor]]) -> list[int]:
    """Returns the predictions of plain batched passes through the layers from one on."""
    found: list[int] = []
    places = torch.arange(TOKENS)[None]
    mask = torch.full((TOKENS, TOKENS), torch.finfo(torch.float32).min).triu(1)[None, None]
    for hidden in inputs[layer]:
        for block in gptj.transformer.h[layer:]:
            hidden = block(hidden, attention_mask=mask, position_ids=places)[0]
        found += gptj.lm_head(gptj.transformer.ln_f(hidden[:, -1])).argmax(-1).tolist()
    return found


@torch.no_grad()
def reference(gptj: GPTJForCausalLM, edit: Edit, ids: Tensor) -> list[int]:
    """Returns the predictions of a cell as the LASER code has them: one prompt at a time."""
    edited = copy.deepcopy(gptj)
    handle = find_matrices(edited)[find_matrices(edited).select(edit.layer, edit.matrix)[0]]
    U, S, V = torch.svd_lowrank(handle.read(), q=edit.rank or 1, niter=2)
    handle.write(U @ torch.diag(S) @ V.T)
    found = []
    for row in ids:
        log_probs = edited(row[None]).logits[0].log_softmax(-1)
        found.append(int(log_probs[-1].sort(descending=True).indices[0]))
    return found


def tenth(space: Space) -> dict[int, list[Edit]]:
    """Returns a seeded tenth of the grid, as many cells of every layer as of any other but one."""
    draw, found = random.Random(0), {}
    per_layer, rest = divmod(len(space.edits) // SHARE, LAYERS)
    for layer in range(LAYERS):
        cells = [edit for edit in space.edits if edit.layer == layer]
        found[layer] = sorted(draw.sample(cells, per_layer + (layer < rest)), key=cells.index)
    return found


def speed(gptj: GPTJForCausalLM) -> dict[str, float]:
    """Returns the ratios of ours, floor and reference over the grid."""
    matrices, data = find_matrices(gptj), examples()
    ids = torch.tensor([[int(word[1:]) for word in example.prompt.split()] for example in data.examples])
    space = Space.of(matrices, "all", "all", rhos="code")
    inputs, per_layer = inputs_of(gptj, ids), len(space.edits) / LAYERS
    ours_svd, floor_svd = factorizations(matrices)
    with scorer_of(gptj, matrices, data, 2.0) as scorer:
        base = seconds(scorer.score, None)
        check(scorer, gptj, inputs)
        ours, least = cells(scorer, gptj, tenth(space), inputs)
    chosen = random.Random(1).sample(space.edits, REFERENCE_CELLS)
    cell = sum(seconds(reference, gptj, edit, ids) for edit in chosen) / REFERENCE_CELLS
    for layer in range(LAYERS):
        print(f"layer {layer:2d}: {ours[layer]:.3f} s a cell, floor {least[layer]:.3f} s")
    print(f"{len(matrices)} factorizations {ours_svd:.1f} s, floor {floor_svd:.1f} s; base {base:.1f} s")
    print(f"reference: {cell:.1f} s a cell")
    whole = base + ours_svd + per_layer * sum(ours)
    late = base + ours_svd * len(LATE) / LAYERS + per_layer * sum(ours[layer] for layer in LATE)
    return {
        "overhead_vs_floor": round(whole / (floor_svd + per_layer * sum(least)), 3),
        "speedup_vs_reference": round(cell * len(space.edits) / whole, 2),
        "speedup_vs_reference_late": round(cell * per_layer * len(LATE) / late, 2),
    }


def factorizations(matrices: MatrixMap) -> tuple[float, float]:
    """Returns the time of one factorization a matrix: kept in the cache for later runs, and as it is."""
    factors, kept, plain = FactorCache(), 0.0, 0.0
    for handle in matrices.values():
        plain += seconds(factorize, handle.read())
        kept += seconds(factors.get, handle.read())
    return kept, plain


def cells(
    scorer: LanguageScorer, gptj: GPTJForCausalLM, chosen: dict[int, list[Edit]], inputs: list[list[Tensor]]
) -> tuple[list[float], list[float]]:
    """Returns the mean time of a cell of each layer, ours and the floor's, measured in turns."""
    ours, least = [0.0] * LAYERS, [0.0] * LAYERS
    for layer, edits in chosen.items():
        for edit in edits:
            ours[layer] += seconds(scorer.score, Stack([edit])) / len(edits)
            least[layer] += seconds(floor, gptj, layer, inputs) / len(edits)
    return ours, least


def check(scorer: LanguageScorer, gptj: GPTJForCausalLM, inputs: list[list[Tensor]]) -> None:
    """Stops where ours and the floor predict differently; the first resumed passes are over after it."""
    for layer in range(LAYERS):
        edit = Edit(layer, "fc_in", rank=3)
        with Stack([edit]).applied(gptj):
            expected = [f"w{n}" for n in floor(gptj, layer, inputs)]
        if list(scorer.score(Stack([edit]))["prediction"]) != expected:
            raise SystemExit(f"ours and the floor predict differently at layer {layer}")


def memory(cache_gb: float) -> float:
    """Returns the peak memory of this process beyond that with the model alone, in 1e9 bytes."""
    gptj, data = model(), examples(LONG, FEW)
    matrices = find_matrices(gptj)
    with torch.no_grad():
        gptj(torch.zeros(1, 2, dtype=torch.long))  # loads what every pass needs
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    with scorer_of(gptj, matrices, data, cache_gb) as scorer:
        scorer.score(None)
        for layer in (11, 4, 8):
            for rank in (3, 300):
                scorer.score(Stack([Edit(layer, "fc_in", rank=rank)]))
    return (resident("VmHWM") - before) / 1e9


def resident(name: str) -> int:
    """Returns a figure of this process's memory in bytes; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def growth(gptj: GPTJForCausalLM) -> dict[str, list[float]]:
    """Returns how the cost grows with the number of examples and of cells, over that of the smallest."""
    matrices, data = find_matrices(gptj), examples()
    draw = random.Random(2)
    edits = [Edit(layer, "fc_in", rank=draw.randint(1, WIDTH - 1)) for layer in range(1, LAYERS, 2)]
    draw.shuffle(edits)
    by_examples = []
    with scorer_of(gptj, matrices, data, 2.0) as scorer:
        for n in (50, 100, 200):
            scorer.score(None, range(n))  # records
            run(scorer, edits, n)  # the first pass from each layer is compared with a whole one
            by_examples.append(seconds(run, scorer, edits, n))
        by_cells = [seconds(run, scorer, edits * n, 50) for n in (1, 2, 4)]
    print("time of 6 cells of 50, 100, 200 examples:", " ".join(f"{time:.2f}" for time in by_examples), "s")
    print("time of 6, 12, 24 cells of 50 examples:  ", " ".join(f"{time:.2f}" for time in by_cells), "s")
    return {
        "cost_by_examples_1_2_4": [round(time / by_examples[0], 2) for time in by_examples],
        "cost_by_cells_1_2_4": [round(time / by_cells[0], 2) for time in by_cells],
    }


def run(scorer: LanguageScorer, edits: list[Edit], examples: int) -> None:
    """Scores a cell an edit on the first examples."""
    for edit in edits:
        scorer.score(Stack([edit]), range(examples))


def main() -> None:
    """Prints the measured ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args().memory
    torch.set_num_threads(1)
    if asked is not None:
        print(memory(asked))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LASER_LIT_CACHE"] = folder  # no factors of an earlier run
        gptj = model()
        found = speed(gptj) | growth(gptj)
        peaks = {}
        for cache_gb in CACHE_GB:
            command = [sys.executable, __file__, "--memory", str(cache_gb)]
            peaks[str(cache_gb)] = round(float(subprocess.check_output(command, text=True)), 3)
            print(f"cache_gb {cache_gb}: peak {peaks[str(cache_gb)]:.3f} GB beyond the model")
    print(json.dumps(found | {"peak_gb": peaks}))


if __name__ == "__main__":
    main()
