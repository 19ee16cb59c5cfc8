"""How near a race gets to the grid's best, and at what share of its cost, on a small trained model.

    python benchmarks/search_racing.py [--held-out] [--facts]

tinystories-260k, 35 matrices x 11 ranks = 385 cells, log loss on 48 windows of 128 tokens; four texts, ten orders of
the windows, one thread. The grid is scored once a text; races then read their rows from its table through the real
loop, and one race a text is run for real: it has to choose the same, and gives the share of the grid's CPU seconds. The
gap is the best cell of the grid minus the one chosen, nats; the cost counts every row scored, and three rows for each
of the gradient's.

The curve has the mean gap at several budgets of racing, of the driver gradient, of the first cells in the gradient's
order, and of cells drawn at random, which spend the whole budget. --held-out adds eight texts that were first raced on
when every setting was fixed, --facts the built-in models of five seeds under accuracy (gaps in points; fractions in its
curve). Shared data: LASER_LIT_SHARED (default ../shared). The last line is a JSON object of worst and mean figures.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from laser_lit.config_search import SearchConfig
from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.data.facts import FactsConfig, facts_examples
from laser_lit.data.split import split
from laser_lit.edits.stack import Stack
from laser_lit.lit.facts_training import FactsTraining, ensure_facts_model
from laser_lit.models.load import load_model
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches, pad_token
from laser_lit.scoring.loss import log_losses
from laser_lit.scoring.perplexity import encode_windows
from laser_lit.scoring.request import Protocol, Request
from laser_lit.scoring.requests import encode
from laser_lit.search import gradient, racing
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.rows import Rows
from laser_lit.search.space import Edits, Space
from laser_lit.tasks.base import Scorer
from laser_lit.tasks.searching import LanguageScorer, Tabulate

RHOS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
WINDOW, WINDOWS, SEEDS = 128, 48, 10
TEXTS = {
    "alice": ("text/alice_in_wonderland.txt", 3000),
    "gsm8k": ("gsm8k/test.jsonl", 3000),
    "wikitext-2": ("wikitext-2/test.txt", 3000),
    "c4": ("c4/c4_sample.jsonl", 3000),
}
"""Of each: the file and the first character taken."""
HELD_OUT = {
    "gsm8k train": ("gsm8k/train.head.jsonl", 3000),
    "wikitext-2 valid": ("wikitext-2/valid.txt", 3000),
    "shakespeare, later": ("text/tinyshakespeare.txt", 500_000),
    "c4, later": ("c4/c4_sample.jsonl", 1_000_000),
    "truthfulqa": ("truthfulqa/mc_task.json", 3000),
    **{name: (f"llm_adapters/dataset/{name}/test.json", 3000) for name in ("piqa", "winogrande", "ARC-Challenge")},
}
BUDGETS = (0.02, 0.03, 0.05, 0.1, 0.2)
BUDGET, DRAWS = 0.1, 1000


@dataclass(frozen=True)
class Data:
    """Sequences under a model, each a row."""

    model: nn.Module
    matrices: MatrixMap
    tokenizer: Any
    examples: ExampleSet | TextSet
    requests: list[Request]
    scoring: Protocol

    def part(self, rows: Sequence[int]) -> tuple[ExampleSet | TextSet, list[Request]]:
        """Returns some rows; a row has one request."""
        requests = [replace(self.requests[row], index=place) for place, row in enumerate(rows)]
        if isinstance(self.examples, TextSet):
            return self.examples, requests
        return replace(self.examples, examples=tuple(self.examples.examples[row] for row in rows)), requests

    def scorer(self) -> LanguageScorer:
        """Returns what a language task would score a search's stacks with."""
        pad = pad_token(self.tokenizer)

        def prepare(rows: Sequence[int] | None, max_tokens: int | None) -> tuple[Batches, Tabulate]:
            examples, requests = self.part(range(len(self.requests)) if rows is None else rows)
            batches = Batches(requests, pad, 64, max_tokens)
            return batches, lambda scores: outcomes(examples, requests, scores, self.scoring, tokenizer=self.tokenizer)

        def losses(rows: Sequence[int]) -> Iterator[Tensor]:
            examples, requests = self.part(rows)
            return log_losses(self.model, examples, requests, self.scoring, pad_id=pad)

        return LanguageScorer(self.model, self.matrices, prepare, losses, cache_gb=1.0)


class Replay:
    """A scorer that reads what another has scored, and counts the rows that gradients are taken on."""

    def __init__(self, tables: dict[Edits, pd.DataFrame], scorer: LanguageScorer) -> None:
        self.tables, self.scorer, self.gradient_rows = tables, scorer, 0

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        """Returns the table of some rows under a stack."""
        table = self.tables[stack.edits if stack else ()]
        return table if rows is None else table.iloc[list(rows)]

    together = False

    def score_many(self, stacks: Sequence[Stack], rows: Sequence[int] | None = None) -> list[pd.DataFrame]:
        """Returns the tables of some rows under each of several stacks."""
        return [self.score(stack, rows) for stack in stacks]

    def hold(self, stack: Stack | None) -> None:
        """Has nothing to compute once."""

    def losses(self, rows: Sequence[int]) -> Iterator[Tensor]:
        """Yields the real scorer's scalars, and counts the rows."""
        self.gradient_rows += len(rows)
        yield from self.scorer.losses(rows)


class Bench:
    """A grid, scored once, and searches that are compared with it.

    Attributes:
        best: merit of the best cell.
        gaps: how far every cell is behind it, in the space's order.
        seconds: CPU time that the grid took.
    """

    def __init__(self, data: Data, objective: str) -> None:
        self.data, self.objective = data, objective
        self.space = Space.of(data.matrices, rhos=RHOS)
        self.scorer = data.scorer()
        stacks: list[Edits] = [(), *((edit,) for edit in self.space.edits)]
        start = time.process_time()
        self.tables = {edits: self.scorer.score(Stack(edits) if edits else None) for edits in stacks}
        self.seconds = time.process_time() - start
        self.size = len(data.requests)
        merits = np.array([self.merit(edits) for edits in stacks[1:]])
        self.best = float(merits.max())
        self.gaps = self.best - merits

    def merit(self, edits: Edits) -> float:
        """Returns accuracy or minus log loss of a scored stack."""
        table = self.tables[edits]
        return float(table["correct"].mean()) if self.objective == "accuracy" else -float(table["log_loss"].mean())

    def loop(self, scorer: Scorer, seed: int) -> Loop:
        """Returns a loop on the seed's order of rows, which writes nothing down."""
        rows = Rows.of(self.tables[()], np.ones(self.size), seed)
        objective = Objective(self.objective, rows.weights)
        nowhere: Any = SimpleNamespace(pieces=dict, add_piece=lambda *_: None)
        return Loop(scorer, self.space, objective, rows, self.data.matrices, nowhere, {}, seed=seed)

    def gap(self, chosen: Cell | None) -> float:
        """Returns how far a search's choice is behind the grid's best; the base is what is left where it chose none."""
        return self.best - self.merit(chosen.edits if chosen else ())

    def race(self, seed: int, budget: float = BUDGET) -> tuple[float, float]:
        """Returns the gap of a race and its share of the grid's cost, the gradient's among it."""
        replay = Replay(self.tables, self.scorer)
        loop = self.loop(replay, seed)
        chosen = racing.drive(loop, SearchConfig(name="racing", budget=budget))
        cost = loop.cost + racing.BACKWARD * replay.gradient_rows / self.size
        return self.gap(chosen), cost / len(self.space)

    def live_race(self) -> tuple[float, float]:
        """Returns the gap of a race that scores for itself, and the CPU seconds that it takes."""
        start = time.process_time()
        chosen = racing.drive(self.loop(self.scorer, 0), SearchConfig(name="racing", budget=BUDGET))
        return self.gap(chosen), time.process_time() - start

    def gradient_gaps(self, budget: float) -> tuple[float, float]:
        """Returns the gap of the best of the first cells in the gradient's order, and of the driver `gradient`."""
        rows = min(SearchConfig.examples, self.size)
        cells = max(1, int(budget * len(self.space) - racing.BACKWARD * rows / self.size))
        loop = self.loop(Replay(self.tables, self.scorer), 0)
        driven = self.gap(gradient.drive(loop, SearchConfig(name="gradient", verify=cells)))
        order = np.argsort([loop.predicted[edit] for edit in self.space.edits], kind="stable")
        return float(self.gaps[order[:cells]].min()), driven

    def random_gap(self, budget: float) -> float:
        """Returns the mean gap of the best of cells drawn at random."""
        rng = np.random.default_rng(0)
        cells = max(1, int(budget * len(self.space)))
        return float(np.mean([self.gaps[rng.permutation(len(self.gaps))[:cells]].min() for _ in range(DRAWS)]))


def text(model: nn.Module, tokenizer: Any, matrices: MatrixMap, file: Path, start: int) -> Data:
    """Returns the first windows of a text, each a group."""
    content = file.read_text(encoding="utf-8", errors="ignore")[start : start + 4 * WINDOWS * WINDOW]
    examples = TextSet("text", (content,), "", window=WINDOW)
    requests = encode_windows(examples, tokenizer, "paper", None, WINDOW, None)[:WINDOWS]
    requests = [replace(request, group=f"window {row:02d}") for row, request in enumerate(requests)]
    return Data(model, matrices, tokenizer, examples, requests, "paper")


def facts(seed: int) -> Data:
    """Returns the validation split of a built-in model, trained if it is missing."""
    world = FactsConfig(seed=seed)
    model, tokenizer = load_model(str(ensure_facts_model(FactsTraining(seed=seed, world=world), progress=False)))
    examples = facts_examples(world)
    kept = tuple(examples.examples[row] for row in split(examples).validation)
    examples = replace(examples, examples=kept)
    return Data(model, find_matrices(model), tokenizer, examples, encode(examples, tokenizer), "strict")


def texts(chosen: dict[str, tuple[str, int]]) -> dict[str, Bench]:
    """Returns the grids of some texts on tinystories-260k."""
    shared = Path(os.environ.get("LASER_LIT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    model, tokenizer = load_model(str(shared / "checkpoints" / "tinystories-260k"))
    matrices = find_matrices(model)
    found = {}
    for name, (file, start) in chosen.items():
        found[name] = Bench(text(model, tokenizer, matrices, shared / "data" / file, start), "log_loss")
        print(f"{name}: {len(found[name].space)} cells on {found[name].size} rows", flush=True)
    return found


def raced(benches: dict[str, Bench], budget: float = BUDGET) -> tuple[np.ndarray, np.ndarray]:
    """Returns gaps and shares of the cost, (benches, SEEDS) each."""
    found = np.array([[bench.race(seed, budget) for seed in range(SEEDS)] for bench in benches.values()])
    return found[..., 0], found[..., 1]


def curve(benches: dict[str, Bench]) -> list[dict[str, float]]:
    """Returns the gaps of racing, the gradient's order and random cells at several budgets."""
    points = []
    for budget in BUDGETS:
        gaps, shares = raced(benches, budget)
        order, driven = np.mean([bench.gradient_gaps(budget) for bench in benches.values()], axis=0)
        random = np.mean([bench.random_gap(budget) for bench in benches.values()])
        ours = {"budget": budget, "share": shares.mean(), "racing": gaps.mean(), "racing_worst": gaps.max()}
        others = {"gradient": driven, "gradient_order": order, "random": random}
        points.append({name: round(float(value), 4) for name, value in {**ours, **others}.items()})
        print(points[-1], flush=True)
    return points


def figures(benches: dict[str, Bench], prefix: str, unit: str = "nats", scale: float = 1.0) -> dict[str, float]:
    """Returns the share of the cost (the largest of all races) and the worst and mean gap."""
    gaps, shares = raced(benches)
    worst = {name: round(scale * float(row.max()), 4) for name, row in zip(benches, gaps, strict=True)}
    print(f"{prefix}, worst gap, {unit}: {worst}", flush=True)
    return {
        f"{prefix}_share_of_cost": round(float(shares.max()), 4),
        f"{prefix}_mean_share_of_cost": round(float(shares.mean()), 4),
        f"{prefix}_worst_gap_{unit}": round(scale * float(gaps.max()), 4),
        f"{prefix}_mean_gap_{unit}": round(scale * float(gaps.mean()), 5),
    }


def measure(held_out: bool = False, facts_models: bool = False) -> dict[str, Any]:
    """Returns the figures of the last line; of the held-out texts and the built-in models too, if asked for."""
    benches = texts(TEXTS)
    found: dict[str, Any] = figures(benches, "racing")
    shares = []
    for name, bench in benches.items():
        gap, seconds = bench.live_race()
        shares.append(seconds / bench.seconds)
        if gap != bench.race(0)[0]:
            raise SystemExit(f"{name}: a race that scores chooses something else than one that reads")
    found["racing_share_of_seconds"] = round(float(np.mean(shares)), 3)
    found["curve"] = curve(benches)
    if held_out:
        found |= figures(texts(HELD_OUT), "racing_held_out")
    if facts_models:
        models = {f"facts {seed}": Bench(facts(seed), "accuracy") for seed in range(5)}
        found |= figures(models, "racing_facts", "points", 100.0)
        found["facts_curve"] = curve(models)
    return found


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", action="store_true", help="eight more texts")
    parser.add_argument("--facts", action="store_true", help="the built-in models of seeds 0 to 4")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(measure(options.held_out, options.facts)))


if __name__ == "__main__":
    main()
