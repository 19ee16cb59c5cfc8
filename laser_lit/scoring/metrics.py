"""The numbers of a table of outcomes; never averaged over batches."""

import math

import pandas as pd

from laser_lit.errors import InputError
from laser_lit.scoring.perplexity import mean_log_loss
from laser_lit.scoring.request import Protocol

COLLAPSED = 0.95
"""Share of one and the same prediction above which a model is called collapsed."""


def metrics(table: pd.DataFrame, scoring: Protocol = "strict") -> dict[str, float | int | bool | None]:
    """Returns the metrics of a table of outcomes; None where one does not apply.

    - accuracy: share of correct rows. balanced_accuracy: mean over the gold answers of the share correct among theirs.
    - top5, top10: share whose answer is among the most probable tokens (one-token answers only).
    - log_loss: mean over rows of the answer's negative log prob a token (nats); text: mean over tokens.
    - f1: mean word F1 (generated answers only).
    - all_paraphrases: share of groups whose every row is correct.
    - majority_accuracy: accuracy of always giving the commonest gold answer.
    - commonest_share: share of the commonest prediction. collapsed: that share is above 0.95 though no gold answer is
      that common.
    - p_true_over_new: share of rows whose answer is more probable than the false object (summed log probs).
    - perplexity: exp of the negative log prob a token over all answer tokens, or over the text.
    - token_accuracy: share of a text's tokens that were predicted (text only).
    - n, n_groups, n_truncated: rows, groups, rows whose prompt was cut.

    Args:
        table: from `outcomes`, whole or any part of its rows.
        scoring: as given to `outcomes`; "paper" averages window means in the perplexity of text.

    Raises:
        InputError: the table is empty.
    """
    if table.empty:
        raise InputError("no outcomes to measure: the table has no rows")
    text = table["correct"].isna().all()
    loss = mean_log_loss(table, scoring if text else "strict")
    values = _of_text(table) if text else _of_answers(table)
    return values | {
        "log_loss": loss if text else float(table["log_loss"].mean()),
        "perplexity": math.exp(min(loss, 700.0)),  # e^709 overflows
        "n": len(table),
        "n_groups": int(table["group"].nunique()),
        "n_truncated": int((table["truncated"] > 0).sum()),
    }


_ANSWERS = (
    "accuracy",
    "balanced_accuracy",
    "top5",
    "top10",
    "f1",
    "all_paraphrases",
    "majority_accuracy",
    "commonest_share",
    "collapsed",
    "p_true_over_new",
)


def _of_text(table: pd.DataFrame) -> dict[str, float | int | bool | None]:
    shares = {"token_accuracy": float(table["top1_tokens"].sum() / table["n_tokens"].sum())}
    return dict.fromkeys(_ANSWERS) | shares


def _of_answers(table: pd.DataFrame) -> dict[str, float | int | bool | None]:
    correct = table["correct"].astype(bool)
    gold = table["answer"].str.lower().str.strip()
    majority = float(gold.value_counts(normalize=True).iloc[0])
    commonest = float(table["prediction"].str.lower().str.strip().value_counts(normalize=True).iloc[0])
    return {
        "accuracy": float(correct.mean()),
        "balanced_accuracy": float(correct.groupby(gold).mean().mean()),
        "top5": _mean(table["top5"]),
        "top10": _mean(table["top10"]),
        "f1": _mean(table["f1"]),
        "all_paraphrases": float(correct.groupby(table["group"]).all().mean()),
        "majority_accuracy": majority,
        "commonest_share": commonest,
        "collapsed": commonest > COLLAPSED >= majority,
        "p_true_over_new": _true_over_new(table),
        "token_accuracy": None,
    }


def _mean(column: pd.Series) -> float | None:
    """Returns the mean of a column, or None unless every row has a value."""
    return None if column.isna().any() else float(column.astype(float).mean())


def _true_over_new(table: pd.DataFrame) -> float | None:
    rows = table[table["target_new_log_loss"].notna()]
    if rows.empty:
        return None
    true = rows["log_loss"] * rows["n_tokens"]
    new = rows["target_new_log_loss"] * rows["target_new_tokens"]
    return float((true.astype(float) < new.astype(float)).mean())
