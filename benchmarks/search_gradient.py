"""How near gradient and greedy get to the grid's best on the built-in model, and what a stack adds to a single edit.

    python benchmarks/search_gradient.py [--seeds 5]

One thread; the facts model of each seed (world and training). The grid is 3 layers × 6 matrices × 18 ranks = 324 cells
on validation. `gradient` scores 6 of them; its gap is the grid's best validation accuracy minus that of the cell that
it chooses, points. `greedy` stacks up to three edits; its test accuracy minus that of the grid's best single edit has a
95 % interval over facts. The last line is a JSON object: gradient_gap_points (worst seed), gradient_share_of_cells,
greedy_minus_single_points (mean over seeds).
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder
from laser_lit.config_search import SearchConfig
from laser_lit.data.registry import load_data
from laser_lit.edits.stack import Stack
from laser_lit.lit.facts_training import ensure_facts_model, facts_training
from laser_lit.results.compare import compare
from laser_lit.results.store import ResultsStore
from laser_lit.search import gradient, greedy, grid
from laser_lit.search.cell import Cell
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.rows import Rows
from laser_lit.search.space import Space, describe
from laser_lit.tasks.base import Scorer
from laser_lit.tasks.language import LanguageTask

RANKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 60)
VERIFY = 6
CACHE_GB = 2.0


def config_of(seed: int, output: str) -> DictConfig:
    """Returns the config of an evaluation of a seed's model."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        seeds = (f"data.world.seed={seed}", f"model.facts.seed={seed}")
        return compose("evaluate", [*seeds, "trainer=cpu", "trainer.progress_bar=false", f"paths.output={output}"])


def task_of(seed: int, output: str) -> LanguageTask:
    """Returns the facts task of a seed, its model trained if it is missing."""
    config = config_of(seed, output)
    training = facts_training({**config.model.facts, "world": config.data.world})
    config.model.path = str(ensure_facts_model(training, progress=False))
    return LanguageTask(config, load_data(config.data))


def loop_of(task: LanguageTask, scorer: Scorer, folder: Path) -> Loop:
    """Returns a loop over the whole grid; cells are taken from the folder where they are there."""
    base = task.score(None, "validation")
    rows = Rows.of(base, np.ones(len(base)), 0)
    space = Space.of(task.matrices, ranks=RANKS)
    store = ResultsStore(folder)
    return Loop(scorer, space, Objective("accuracy", rows.weights), rows, task.matrices, store, task.content())


def measured(seed: int) -> dict[str, Any]:
    """Returns what grid, gradient and greedy chose for a seed's model, and what that is worth."""
    with tempfile.TemporaryDirectory() as temporary:
        task = task_of(seed, temporary)
        with task.searching("validation", CACHE_GB) as scorer:
            loops = [loop_of(task, scorer, Path(temporary)) for _ in range(3)]
            single = found(grid.drive(loops[0], SearchConfig(name="grid")))
            few = found(gradient.drive(loops[1], SearchConfig(name="gradient", verify=VERIFY)))
            stack = found(greedy.drive(loops[2], SearchConfig(name="greedy")))
        best, reached = (100 * loops[0].objective.merit(cell)[0] for cell in (single, few))
        tables = [task.score(Stack(cell.edits), "test") for cell in (single, stack)]
        gain = compare(*tables)
        return {
            "seed": seed,
            "grid": describe(single.edits),
            "gradient": describe(few.edits),
            "gap_points": round(best - reached, 3),
            "share": loops[1].cost / len(loops[1].space),
            "greedy": describe(stack.edits),
            "greedy_minus_single": 100 * (gain.accuracy or 0.0),
            "ci95": [100 * bound for bound in gain.ci95 or ()],
        }


def found(cell: Cell | None) -> Cell:
    """Returns the cell that a driver chose.

    Raises:
        SystemExit: it chose none.
    """
    if cell is None:
        raise SystemExit("no candidate beats the base")
    return cell


def measure(seeds: int) -> dict[str, Any]:
    """Returns the named figures over some seeds, and prints a line a seed."""
    rows = []
    for seed in range(seeds):
        rows.append(row := measured(seed))
        low, high = row["ci95"]
        print(
            f"seed {seed}: grid {row['grid']}; gradient {row['gradient']}, gap {row['gap_points']:.2f} points; greedy "
            f"{row['greedy']}, test minus single {row['greedy_minus_single']:+.2f} [{low:+.2f}, {high:+.2f}]",
            flush=True,
        )
    return {
        "gradient_gap_points": max(row["gap_points"] for row in rows),
        "gradient_share_of_cells": round(max(row["share"] for row in rows), 4),
        "greedy_minus_single_points": round(float(np.mean([row["greedy_minus_single"] for row in rows])), 3),
    }


def main() -> None:
    """Measures every seed and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    torch.set_num_threads(1)
    register_schemas()
    print(json.dumps(measure(parser.parse_args().seeds)))


if __name__ == "__main__":
    main()
