import numpy as np
import pandas as pd

from laser_lit.report.examples import CLIP, examples_payload


def counts(predictions: pd.DataFrame) -> dict[str, int]:
    return pd.Series(examples_payload(predictions)["columns"]["outcome"]).value_counts().to_dict()


def answered(base: list[bool], laser: list[bool]) -> pd.DataFrame:
    ids = [f"e{i}" for i in range(len(base))]
    return pd.DataFrame({"id": ids, "split": "test", "base_correct": base, "laser_correct": laser})


def test_outcomes_follow_correctness():
    table = answered([False, True, True, False], [True, False, True, False])
    payload = examples_payload(table)
    assert payload["columns"]["outcome"] == ["fixed", "broken", "right", "wrong"]
    assert list(payload["outcomes"]) == ["fixed", "broken", "wrong", "right"]
    assert "prompt" not in payload["columns"]


def test_flipped_examples_equal_those_of_the_gain(record, predictions):
    test = counts(predictions[predictions["split"] == "test"])
    assert test["fixed"] == record.test.gain.fixed
    assert test.get("broken", 0) == record.test.gain.broken
    assert sum(counts(predictions).values()) == len(predictions)


def test_text_goes_by_log_loss_and_infinities_become_null():
    table = answered([True] * 3, [True] * 3).assign(
        base_correct=None, laser_correct=None, base_log_loss=[1.0, 1.0, 1.0], laser_log_loss=[0.5, np.inf, 1.0]
    )
    payload = examples_payload(table)
    assert payload["columns"]["outcome"] == ["lower", "higher", "same"]
    assert payload["columns"]["laser_log_loss"] == [0.5, None, 1.0]


def test_long_texts_are_cut_and_say_so():
    table = answered([True, True], [True, True]).assign(prompt=["x" * (CLIP + 1_234), "y" * CLIP])
    first, second = examples_payload(table)["columns"]["prompt"]
    assert first == "x" * CLIP + " … (1,234 more characters)"
    assert second == "y" * CLIP


def test_a_run_without_edits_is_right_or_wrong():
    payload = examples_payload(answered([True, False], [True, True]).drop(columns="laser_correct"))
    assert payload["columns"]["outcome"] == ["right", "wrong"]
    assert set(payload["outcomes"]) == {"right", "wrong"}


def test_beyond_the_limit_flipped_examples_stay_and_the_order_too():
    payload = examples_payload(answered([True] * 6 + [False, True], [True] * 6 + [True, False]), limit=3)
    assert (payload["total"], payload["shown"]) == (8, 3)
    assert payload["columns"]["id"] == ["e0", "e6", "e7"]
