"""The built-in model under LASER: the greedy stack of three edits, the controls, and the gain by frequency of the fact.

    python benchmarks/facts_greedy.py --seed 0 --noise 0.40 --distractor generic --threads 1

Each step of the path tries every layer × matrix × rho of the LASER code's grid on top of the edits so far, one edit a
matrix, and keeps the one of highest validation accuracy, of equals the lower log loss, if that beats the stack so far:
the paper's rule, without the test of chance that search=greedy asks of a later edit. Nothing looks at the test split
but the numbers that are printed. The last line is a JSON object.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from laser_lit.data.example import ExampleSet
from laser_lit.data.facts import FactsConfig, build_world, facts_examples
from laser_lit.data.split import split
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.lit.facts_folder import COUNTS
from laser_lit.lit.facts_training import FactsTraining, ensure_facts_model
from laser_lit.models.load import load_model
from laser_lit.models.matrices import find_matrices
from laser_lit.results.compare import compare
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches, pad_token
from laser_lit.scoring.controls import (
    AnswerLogits,
    ControlResult,
    batch_calibration,
    mlp_ablations,
    pruned_twin,
    token_bias,
)
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.requests import encode
from laser_lit.search.space import Space


@dataclass(frozen=True)
class Part:
    """One split, encoded."""

    examples: ExampleSet
    requests: list[Any]
    batches: list[Any]


class Bench:
    """The model with both splits."""

    def __init__(self, folder: Path, examples: ExampleSet) -> None:
        self.model, self.tokenizer = load_model(str(folder))
        self.matrices = find_matrices(self.model)
        halves = split(examples)
        self.parts = {
            "validation": self._part(examples, halves.validation),
            "test": self._part(examples, halves.test),
        }

    def _part(self, examples: ExampleSet, rows: tuple[int, ...]) -> Part:
        kept = ExampleSet(examples.name, examples.scoring, tuple(examples.examples[i] for i in rows), examples.revision)
        requests = encode(kept, self.tokenizer, "causal", "strict", None)
        return Part(kept, requests, list(Batches(requests, pad_token(self.tokenizer), 1024)))

    def score(self, name: str, stack: Stack | None = None) -> pd.DataFrame:
        """Returns the table of a split under a stack."""
        part = self.parts[name]
        with (stack or Stack([])).applied(self.matrices):
            scores = [score for batch in part.batches for score in score_batch(self.model, batch)]
        return outcomes(part.examples, part.requests, scores, "strict", tokenizer=self.tokenizer)

    def logits(self, name: str, stack: Stack | None = None) -> AnswerLogits:
        """Returns the logits where the answers of a split are read, under a stack."""
        part = self.parts[name]
        with (stack or Stack([])).applied(self.matrices):
            scores = [score for batch in part.batches for score in score_batch(self.model, batch, keep_logits=True)]
        rows = [score.logits for score in sorted(scores, key=lambda score: score.number) if score.logits is not None]
        return AnswerLogits(torch.stack(rows), torch.tensor([request.targets[0] for request in part.requests]))


def merit(table: pd.DataFrame) -> tuple[float, float]:
    """Returns (accuracy, minus log loss): what the search maximises, in this order."""
    return float(table["correct"].mean()), -float(table["log_loss"].mean())


def greedy(bench: Bench, steps: int) -> list[Edit]:
    """Returns the greedy path, chosen on validation."""
    taken: list[Edit] = []
    so_far = merit(bench.score("validation"))
    for _ in range(steps):
        left = Space.of(bench.matrices).without(taken).edits
        found = {edit: merit(bench.score("validation", Stack([*taken, edit]))) for edit in left}
        best = max(found, key=lambda edit: found[edit])
        if found[best] <= so_far:
            break
        taken.append(best)
        so_far = found[best]
    return taken


def path_rows(bench: Bench, path: list[Edit], base: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns a row a step: the edit, accuracies and log loss so far, and the gain over the base on test."""
    rows = []
    for step in range(1, len(path) + 1):
        stack = Stack(path[:step])
        test = bench.score("test", stack)
        gain = compare(base, test)
        rows.append(
            {
                "edit": {key: getattr(path[step - 1], key) for key in ("layer", "matrix", "rank")},
                "validation": merit(bench.score("validation", stack))[0],
                "test": merit(test)[0],
                "log_loss": -merit(test)[1],
                "gain": gain.accuracy,
                "ci95": gain.ci95,
                "p": gain.p,
                "fixed": gain.fixed,
                "broken": gain.broken,
            }
        )
    return rows


def controls(bench: Bench, first: Edit) -> list[ControlResult]:
    """Returns the controls beside the first edit, and what zeroing its matrix does."""
    validation, test = bench.logits("validation"), bench.logits("test")
    word = bench.tokenizer.convert_ids_to_tokens
    results = [batch_calibration(validation, test), token_bias(validation, test, word)]
    results += mlp_ablations(bench.model, bench.matrices, bench.score)
    zero = Stack([Edit(first.layer, first.matrix, kind="zero")])
    for name, stack in {
        "pruned to equal storage": pruned_twin(Stack([first]), bench.matrices),
        "same matrix zeroed": zero,
    }.items():
        if stack is not None:
            on_test = bench.score("test", stack)
            results.append(
                ControlResult(
                    name,
                    "",
                    merit(bench.score("validation", stack))[0],
                    on_test["correct"].to_numpy(bool),
                    on_test["log_loss"].to_numpy(float),
                )
            )
    return results


def suppression(bench: Bench, first: Edit, distractors: dict[str, str]) -> dict[str, float]:
    """Returns what the first edit does to each fact's distractor, and to the other words without it, on test."""
    words = [distractors[example.group] for example in bench.parts["test"].examples.examples]
    ids = torch.tensor(bench.tokenizer.convert_tokens_to_ids(words))[:, None]  # (n, 1)
    found, others = {}, []
    for name, stack in {"base": None, "laser": Stack([first])}.items():
        answers = bench.logits("test", stack)
        found[f"says_distractor_{name}"] = float((answers.logits.argmax(-1) == ids[:, 0]).float().mean())
        others.append(answers.logits.scatter(1, ids, -torch.inf).argmax(-1))
        found[f"right_without_distractor_{name}"] = float((others[-1] == answers.gold).float().mean())
    return found | {"same_best_other_word": float((others[0] == others[1]).float().mean())}


def quintiles(base: pd.DataFrame, laser: pd.DataFrame, counts: dict[str, dict[str, int]]) -> list[dict[str, float]]:
    """Returns accuracy of base and LASER on fifths of the test prompts, by how often the true fact was told."""
    told = base["group"].map(lambda fact: counts[fact]["true"]).to_numpy()
    right, after = base["correct"].to_numpy(float), laser["correct"].to_numpy(float)
    return [
        {
            "told_from": int(told[rows].min()),
            "told_to": int(told[rows].max()),
            "base": float(right[rows].mean()),
            "laser": float(after[rows].mean()),
            "errors_fixed": float(after[rows][right[rows] == 0].mean()),
        }
        for rows in np.array_split(np.argsort(told, kind="stable"), 5)
    ]


def report(found: dict[str, Any]) -> None:
    """Prints the tables."""
    print(f"base            validation {found['base_validation']:.1%}  test {found['base']:.1%}")
    for step in found["path"]:
        edit = " ".join(f"{key} {value}" for key, value in step["edit"].items())
        low, high = step["ci95"]
        print(
            f"+ {edit:26s} validation {step['validation']:.1%}  test {step['test']:.1%}  gain {step['gain']:+.1%} "
            f"[{low:+.1%}, {high:+.1%}]  p {step['p']:.1g}  log loss {step['log_loss']:.3f}"
        )
    for name, control in found["controls"].items():
        print(f"{name:26s} validation {control['validation']:.1%}  test {control['test']:.1%}  {control['fitted']}")
    print(", ".join(f"{name} {value:.1%}" for name, value in found["suppression"].items()))
    for row in found["quintiles"]:
        print(
            f"told {row['told_from']:4d} to {row['told_to']:5d} times: {row['base']:.1%} -> {row['laser']:.1%} "
            f"({row['laser'] - row['base']:+.1%}), {row['errors_fixed']:.0%} of the errors fixed"
        )


def main() -> None:
    """Trains the model if it is missing, searches, prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of world and training")
    parser.add_argument("--noise", type=float, default=FactsConfig.noise)
    parser.add_argument("--distractor", default=FactsConfig.distractor)
    parser.add_argument("--steps", type=int, default=3, help="edits of the path")
    parser.add_argument("--threads", type=int, default=0, help="0: as PyTorch chooses")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    world = FactsConfig(seed=options.seed, noise=options.noise, distractor=options.distractor)
    folder = ensure_facts_model(FactsTraining(seed=options.seed, world=world), progress=False)
    bench = Bench(folder, facts_examples(world))
    base = bench.score("test")
    path = greedy(bench, options.steps)
    counts = json.loads((folder / COUNTS).read_text(encoding="utf-8"))
    found = {
        "options": vars(options),
        "base_validation": merit(bench.score("validation"))[0],
        "base": merit(base)[0],
        "base_log_loss": -merit(base)[1],
        "path": path_rows(bench, path, base),
        "controls": {
            result.name: {"fitted": result.fitted, "validation": result.validation_accuracy, "test": result.accuracy}
            for result in controls(bench, path[0])
        },
        "suppression": suppression(bench, path[0], {fact.id: fact.distractor for fact in build_world(world).facts}),
        "quintiles": quintiles(base, bench.score("test", Stack(path[:1])), counts),
    }
    report(found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
