import numpy as np
import pandas as pd
import pytest

from laser_lit.results.compare import compare
from laser_lit.results.predictions import predictions_table
from laser_lit.results.record import AppliedEdit, Control, Record, SplitResult, StackSource

WORDS = np.array(["the", "Paris", "Rome", "piano", "violin", "Greek"])


def score(groups: int, right: float, seed: int, split: str) -> pd.DataFrame:
    """Returns an invented table of outcomes in which harder groups are wrong under weaker models."""
    ease = (
        np.random.default_rng(seed).random(groups)[:, None] * 0.5
        + np.random.default_rng(seed).random((groups, 3)) * 0.5
    )
    n = groups * 3
    answer = np.random.default_rng(seed + 1).choice(WORDS[1:], n)
    correct = ease.ravel() > 1 - right
    rows = {
        "id": [f"{split}-{i}" for i in range(n)],
        "group": [f"{split} fact {i // 3}" for i in range(n)],
        "category": np.random.default_rng(seed + 2).choice(["city", "instrument"], n),
        "prompt": [f"Subject{i // 3} </script> plays & <b>lives</b> in “{i % 3}”, that is" for i in range(n)],
        "answer": answer,
        "prediction": np.where(correct, answer, "the"),
        "correct": correct,
        "log_loss": 3 * (1 - ease.ravel()) + 1 - right,
        "n_tokens": 1,
        "f1": None,
        "choice_log_probs": None,
    }
    return pd.DataFrame(rows)


def metrics(table: pd.DataFrame) -> dict[str, object]:
    """Returns the entries that scoring gives."""
    return {
        "accuracy": table["correct"].mean(),
        "balanced_accuracy": table["correct"].mean(),
        "all_paraphrases": table.groupby("group")["correct"].all().mean(),
        "top10": 0.9,
        "f1": None,
        "log_loss": table["log_loss"].mean(),
        "perplexity": np.exp(table["log_loss"].mean()),
        "majority_accuracy": 0.22,
        "commonest_share": (table["prediction"] == "the").mean(),
        "collapsed": False,
        "n": len(table),
        "n_groups": table["group"].nunique(),
    }


@pytest.fixture(scope="session")
def outcomes() -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    sizes = {"validation": (50, 1), "test": (200, 7)}
    return {
        split: (score(groups, 0.57, seed, split), score(groups, 0.77, seed, split))
        for split, (groups, seed) in sizes.items()
    }


@pytest.fixture(scope="session")
def record(outcomes: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Record:
    results = {
        split: SplitResult(metrics(base), metrics(laser), compare(base, laser))
        for split, (base, laser) in outcomes.items()
    }
    return Record(
        task="language",
        model={"id": "facts", "revision": None, "dtype": "float32", "parameters": 1_234_567, "architecture": "gptj"},
        data={
            **{"name": "facts", "revision": "seed 0", "split": "group", "scoring": "strict"},
            **{"n_validation": 150, "n_test": 600, "groups_validation": 50, "groups_test": 200},
        },
        edits=(AppliedEdit(2, "fc_in", "transformer.h.2.mlp.fc_in.weight", 1, 0.015625, "low_rank", 0.9312, d=64),),
        test=results["test"],
        validation=results["validation"],
        stack=StackSource("typed"),
        controls=(
            Control("single-token bias", "−2.5 on “ the”", 0.897, 0.51, 0.9),
            Control("batch calibration", "mean log probs of the prompts", 0.831, 0.70, 0.85),
            Control("pruning at equal storage", "layer 2 fc_in", 0.081, 4.2, 0.09),
            Control("zeroed MLP", "layer 2", 0.495, None, 0.5),
        ),
        test_opened=3,
        seconds={"base": 1.25, "laser": 1.5},
        versions={"laser_lit": "0.1.0", "torch": "2.13.0"},
        git="0123456789abcdef-dirty",
        config={"model": {"name": "facts"}, "laser": {"layer": 2, "matrix": "fc_in"}},
        config_hash="0f1e2d3c4b5a",
    )


@pytest.fixture(scope="session")
def predictions(outcomes: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    return predictions_table(outcomes)
