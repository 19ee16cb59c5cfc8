import dataclasses

import numpy as np
import pandas as pd
import pytest

from laser_lit.results.cells import COLUMNS, LATER
from laser_lit.results.compare import compare
from laser_lit.results.predictions import predictions_table
from laser_lit.results.record import AppliedEdit, Control, Record, SplitResult, StackSource
from laser_lit.results.search_record import SearchRecord

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


_ENDS = {"low": -0.03, "high": 0.03, "bound": -0.025}


def invented_cells(layers: int, ranks: tuple[int, ...], parts: tuple[str | None, ...] = (None,)) -> pd.DataFrame:
    """Returns the cells of a grid in which low ranks of late feed-forward matrices help and those of attention harm."""
    rng = np.random.default_rng(0)
    rows = []
    for part in parts:
        for layer in range(layers):
            for matrix in ("fc_out", "q_proj", "k_proj", "v_proj", "out_proj", "fc_in"):
                depth = (layer + 1) / layers if matrix.startswith("fc") else -0.6
                for rank in ranks:
                    gain = 0.2 * depth * (1 - rank / 64) + rng.normal(0, 0.01)
                    p = float(np.exp(-abs(gain) * 60))
                    place = {"layer": layer, "matrix": matrix, "part": part, "kind": "low_rank", "rank": float(rank)}
                    where = f"{part} layer" if part else "layer"
                    rows.append(
                        {
                            **place,
                            **{"driver": "grid", "step": 0, "edits": f"{where} {layer} {matrix} rank {rank}"},
                            **{"rho": rank / 64, "n": 150, "complete": True, "seconds": 0.1, "error": None},
                            **{"accuracy": 0.5 + gain, "log_loss": 2 - 3 * gain, "gain_accuracy": gain},
                            **{"gain_log_loss": 3 * gain, "p": p, "p_adjusted": min(1.0, 8 * p)},
                            **{f"gain_accuracy_{end}": gain + move for end, move in _ENDS.items()},
                            **{f"gain_log_loss_{end}": 3 * (gain + move) for end, move in _ENDS.items()},
                            **{"p_adjusted_other": min(1.0, 1e6 * p), "not_worse": bool(gain - 0.025 > -0.05)},
                            "predicted": -2 * gain + rng.normal(0, 0.1),
                        }
                    )
    return pd.DataFrame(rows, columns=[*COLUMNS, *LATER])


@pytest.fixture(scope="session")
def cells() -> pd.DataFrame:
    """A grid of 3 × 6 × 4 cells, of which one failed and two were given up."""
    table = invented_cells(3, (1, 6, 12, 51))
    scores = ["accuracy", "log_loss", "gain_accuracy", "gain_log_loss", "p", "p_adjusted"]
    judged = [*LATER]
    table.loc[[5, 7, 9], judged[:-1]] = np.nan
    table["not_worse"] = table["not_worse"].astype(object)
    table.loc[[5, 7, 9], "not_worse"] = None
    table.loc[5, scores] = np.nan
    table.loc[5, ["n", "complete", "error"]] = [0, False, "LinAlgError: <b>did not converge</b>"]
    table.loc[[7, 9], ["p", "p_adjusted"]] = np.nan
    table.loc[[7, 9], ["n", "complete"]] = [20, False]
    return table


@pytest.fixture(scope="session")
def searched(record: Record) -> Record:
    """The record of a search that chose the edit."""
    curves = (
        {"driver": "grid", "cost": [1.0, 2.0, 40.0, 70.0], "merit": [0.61, 0.63, 0.75, 0.87]},
        {"driver": "racing", "cost": [1.5, 3.0, 7.0], "merit": [0.64, 0.84, 0.87]},
    )
    search = SearchRecord(
        **{"driver": "grid", "objective": "accuracy", "candidates": 72, "tried": 72, "scored": 69, "cost": 69.3},
        **{"failed": 1, "delta": 0.05},
        **{"base": record.validation.base["accuracy"], "chosen": record.validation.laser["accuracy"]},
        **{"adjusted_p": 0.004, "improving": 9, "detectable": 0.031, "curves": curves},
        path=({"edits": "layer 2 fc_in rank 1", "validation": 0.87, "gain": 0.19},),
    )
    return dataclasses.replace(record, search=search)


@pytest.fixture(scope="session")
def in_vain(searched: Record) -> Record:
    """The record of a search that chose nothing."""
    search = dataclasses.replace(searched.search, chosen=None, adjusted_p=None, improving=0, detectable=None, path=())
    base = [SplitResult(result.base) for result in (searched.test, searched.validation)]
    return dataclasses.replace(
        searched, search=search, edits=(), stack=None, controls=(), test=base[0], validation=base[1]
    )
