import numpy as np
import pandas as pd

from laser_lit.report.examples import CLIP, NAMES, examples_payload


def counts(predictions: pd.DataFrame) -> dict[str, int]:
    return pd.Series(examples_payload(predictions)["columns"]["outcome"]).value_counts().to_dict()


def answered(base: list[bool], laser: list[bool]) -> pd.DataFrame:
    ids = [f"e{i}" for i in range(len(base))]
    return pd.DataFrame({"id": ids, "split": "test", "base_correct": base, "laser_correct": laser})


def test_outcomes_follow_correctness():
    table = answered([False, True, True, False], [True, False, True, False])
    payload = examples_payload(table)
    assert payload["columns"]["outcome"] == ["fixed", "broken", "right", "wrong"]
    assert payload["columns"]["laser_correct"] == [1, 0, 1, 0]
    assert payload["variants"] == [{"key": "base", "name": "base"}, {"key": "laser", "name": "LASER"}]
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
    assert [variant["key"] for variant in payload["variants"]] == ["base"]


def test_every_variant_that_was_scored_is_beside_the_base():
    table = answered([True, False], [True, True]).assign(
        reft_correct=[False, True], laser_reft_correct=[True, True], reft_prediction=["a", None], frequency=[3, np.nan]
    )
    payload = examples_payload(table, names=NAMES | {"reft": "LoRA"})
    assert [variant["name"] for variant in payload["variants"]] == ["base", "LASER", "LoRA", "LASER + ReFT"]
    assert payload["columns"]["reft_correct"] == [0, 1]
    assert payload["columns"]["frequency"] == [3.0, None]
    assert payload["columns"]["reft_prediction"] == ["a", None]
    assert payload["searched"] == ["id", "reft_prediction"]


def test_without_laser_the_adapter_is_what_the_outcome_is_of():
    table = answered([True, False], [True, True]).drop(columns="laser_correct").assign(reft_correct=[False, True])
    assert examples_payload(table)["columns"]["outcome"] == ["broken", "fixed"]


def test_beyond_the_limit_flipped_examples_stay_and_the_order_too():
    payload = examples_payload(answered([True] * 6 + [False, True], [True] * 6 + [True, False]), limit=3)
    assert (payload["total"], payload["shown"]) == (8, 3)
    assert payload["columns"]["id"] == ["e0", "e6", "e7"]
