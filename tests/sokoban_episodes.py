"""Invented results of `task=sokoban`: levels that are played by given letters, the record of their run."""

import numpy as np
import pandas as pd
from sokoban_boards import random_board

from laser_lit.results.compare import compare
from laser_lit.results.predictions import predictions_table
from laser_lit.results.record import AppliedEdit, Record, SplitResult, StackSource
from rl.sokoban.rules import ACTIONS, from_text, is_solved, step, to_text

EASY = "######\n#@ $.#\n######"
PLAYS = {"fixed": ("LL", "RR"), "broken": ("RR", "LRL"), "solved": ("RR", "LRR"), "failed": ("LRLR", "L")}
"""Letters under base and LASER that bring the easy level to each outcome."""


def boards_of(text, letters):
    """Returns the board before the first action and after each, as text."""
    boards = [from_text(text)]
    for letter in letters:
        boards.append(step(boards[-1], ACTIONS.index(letter)).board)
    return [to_text(board) for board in boards]


def _table(levels, split, variant):
    prompts = [text for text, *_ in levels]
    letters = [level[1 + variant] for level in levels]
    solved = [is_solved(from_text(boards_of(*play)[-1])) for play in zip(prompts, letters, strict=True)]
    return pd.DataFrame(
        {
            "id": [f"{split}-{row}" for row in range(len(levels))],
            "group": [f"{split}-room-{row}" for row in range(len(levels))],
            "correct": solved,
            "log_loss": 1.0 - 0.1 * variant,
            "prompt": prompts,
            "answer": ["RR" if text == EASY else "" for text in prompts],
            "prediction": letters,
            "return": [10.0 * won - 0.1 * len(play) for won, play in zip(solved, letters, strict=True)],
            "steps": [len(play) for play in letters],
            "optimal_steps": pd.array([2 if text == EASY else None for text in prompts], dtype="Int64"),
        }
    )


def episodes_tables(random=6, repeats=1, seed=0):
    """Returns tables of base and LASER by split: the easy level brought to each outcome, and others unsolved."""
    rng = np.random.default_rng(seed)
    levels = [(EASY, *play) for play in PLAYS.values()] * repeats
    wanted = len(levels) + random
    while len(levels) < wanted:
        begin, *plays = ("".join(rng.choice(list(ACTIONS), int(rng.integers(1, 40)))) for _ in range(3))
        board = to_text(random_board(rng, 6, 7, int(rng.integers(1, 4))))
        start = boards_of(board, begin)[-1]  # the player may stand on a target
        if all("$" in boards_of(start, letters)[-1] for letters in plays):
            levels.append((start, *plays))
    return {split: (_table(levels, split, 0), _table(levels, split, 1)) for split in ("validation", "test")}


def episodes_predictions(**wanted):
    """Returns predictions.parquet's table of `episodes_tables`."""
    return predictions_table(episodes_tables(**wanted))


def episodes_record(**wanted):
    """Returns the record of `episodes_tables`."""
    results = {
        split: SplitResult(_metrics(base), _metrics(laser), compare(base, laser))
        for split, (base, laser) in episodes_tables(**wanted).items()
    }
    n = results["test"].base["n"]
    return Record(
        task="sokoban",
        model={"id": "sokoban", "revision": None, "dtype": "float32", "parameters": 1000, "architecture": "policy"},
        data={"name": "rooms", "revision": None, "n_validation": n, "n_test": n},
        edits=(AppliedEdit(1, "fc_in", "encoder.h.1.mlp.c_fc.weight", 2, 0.1, "low_rank", 0.5, d=20),),
        test=results["test"],
        validation=results["validation"],
        config_hash="0123456789abcdef",
        stack=StackSource("typed"),
        config={"task": {"name": "sokoban", "report": "rl.report.sokoban.REPORT"}},
    )


def _metrics(table):
    return {
        **{"accuracy": float(table["correct"].mean()), "log_loss": float(table["log_loss"].mean())},
        **{"return": float(table["return"].mean()), "n": len(table), "n_groups": len(table)},
    }
