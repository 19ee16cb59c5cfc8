"""Metrics against values worked out by hand."""

import math
from typing import Any

import pandas as pd
import pytest

from laser_lit.errors import InputError
from laser_lit.scoring.answers import COLUMNS
from laser_lit.scoring.metrics import metrics


def table(answers: str, predictions: str, groups: str | None = None, **columns: Any) -> pd.DataFrame:
    rows = pd.DataFrame({"answer": list(answers), "prediction": list(predictions)})
    rows["group"] = list(groups or range(len(rows)))
    rows["correct"] = rows["answer"] == rows["prediction"]
    rows["log_loss"], rows["n_tokens"], rows["truncated"] = 1.0, 1, 0
    for name in set(COLUMNS) - set(rows.columns):
        rows[name] = None
    return rows.assign(**columns)


def test_accuracies() -> None:
    found = metrics(table("aaab", "aabb"))
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["majority_accuracy"] == 0.75
    assert found["commonest_share"] == 0.5
    assert (found["n"], found["n_groups"]) == (4, 4)


def test_a_constant_answer_is_no_better_than_chance_when_balanced() -> None:
    found = metrics(table("aaab", "aaaa"))
    assert (found["accuracy"], found["balanced_accuracy"]) == (0.75, 0.5)


@pytest.mark.parametrize(
    ("answers", "predictions", "collapsed"),
    [
        ("ab" * 10, "a" * 20, True),
        ("ab" * 10, "a" * 19 + "b", False),  # 95 % exactly
        ("a" * 97 + "bcd", "a" * 100, False),  # the classes themselves are that uneven
        ("ab" * 10, "A" * 10 + "a" * 10, True),
    ],
)
def test_collapse(answers: str, predictions: str, collapsed: bool) -> None:
    assert metrics(table(answers, predictions))["collapsed"] is collapsed


def test_all_paraphrases_of_a_group_have_to_be_right() -> None:
    assert metrics(table("aaaaaa", "aabaaa", "112233"))["all_paraphrases"] == pytest.approx(2 / 3)


def test_losses() -> None:
    found = metrics(table("ab", "ab", log_loss=[1.0, 4.0], n_tokens=[3, 1]))
    assert found["log_loss"] == 2.5
    assert found["perplexity"] == pytest.approx(math.exp(7 / 4))
    assert math.isfinite(metrics(table("ab", "ab", log_loss=[1e4, 1e4]))["perplexity"])  # type: ignore[arg-type]


def test_tops_and_f1_only_where_every_row_has_them() -> None:
    found = metrics(table("ab", "ab", top5=[True, False], top10=[True, True], f1=[0.5, 1.0]))
    assert (found["top5"], found["top10"], found["f1"]) == (0.5, 1.0, 0.75)
    mixed = metrics(table("ab", "ab", top5=[True, None], f1=[None, None]))
    assert (mixed["top5"], mixed["top10"], mixed["f1"]) == (None, None, None)


def test_true_over_new_compares_whole_probabilities() -> None:
    rows = table(
        "abc",
        "abc",
        log_loss=[1.0, 2.0, 1.0],
        n_tokens=[3, 1, 1],
        target_new_log_loss=[2.0, 3.0, None],
        target_new_tokens=[1, 1, None],
    )
    assert metrics(rows)["p_true_over_new"] == 0.5  # 3 > 2 nats, 2 < 3 nats, and no false object
    assert metrics(table("ab", "ab"))["p_true_over_new"] is None


def test_cut_prompts_are_counted() -> None:
    assert metrics(table("abc", "abc", truncated=[0, 5, 1]))["n_truncated"] == 2


def test_any_part_of_a_table_has_metrics_but_an_empty_one_has_not() -> None:
    rows = table("aaab", "aabb")
    assert metrics(rows.iloc[2:])["accuracy"] == 0.5
    with pytest.raises(InputError, match="no rows"):
        metrics(rows.iloc[:0])


def test_values_are_plain_numbers() -> None:
    assert {type(v) for v in metrics(table("ab", "ab")).values()} <= {float, int, bool, type(None)}
