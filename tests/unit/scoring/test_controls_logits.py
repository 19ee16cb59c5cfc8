import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laser_lit.scoring.controls import AnswerLogits, ControlResult, batch_calibration, token_bias
from laser_lit.scoring.controls import logits as module


def answers(n: int, vocabulary: int, seed: int) -> AnswerLogits:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, vocabulary, generator=generator).mul(3).round(decimals=1)
    return AnswerLogits(logits, torch.randint(vocabulary, (n,), generator=generator))


def loud(n: int, seed: int) -> AnswerLogits:
    """Gold logits stand out, but word 0 is louder by a constant."""
    made = answers(n, 6, seed)
    gold = made.gold.clamp(min=1)
    logits = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed + 1)) * 0.3
    logits[torch.arange(n), gold] += 4
    logits[:, 0] = 8
    return AnswerLogits(logits, gold)


def test_batch_calibration_silences_a_word_that_is_loud_everywhere():
    validation, test = loud(40, 0), loud(60, 2)
    assert not test.shifted(torch.zeros(6))[0].any()
    result = batch_calibration(validation, test)
    assert result.accuracy == 1
    assert result.validation_accuracy == 1
    assert result.fitted == "no label"


def test_batch_calibration_divides_by_the_mean_probability():
    validation, test = answers(30, 5, 0), answers(20, 5, 1)
    p = test.logits.softmax(-1) / validation.logits.softmax(-1).mean(0)
    p /= p.sum(-1, keepdim=True)
    result = batch_calibration(validation, test)
    assert result.correct.tolist() == (p.argmax(-1) == test.gold).tolist()
    expected = -p.gather(1, test.gold[:, None])[:, 0].log()
    np.testing.assert_allclose(result.log_loss, expected, rtol=1e-4, atol=1e-5)


def test_batch_calibration_survives_impossible_words():
    validation, test = loud(20, 0), loud(20, 2)
    for part in (validation, test):
        part.logits[:, 5] = -torch.inf
        part.gold[part.gold == 5] = 1
    result = batch_calibration(validation, test)
    assert np.isfinite(result.log_loss).all()


def test_chunks_change_nothing(monkeypatch):
    validation, test = answers(23, 7, 0), answers(11, 7, 1)
    whole = batch_calibration(validation, test)
    monkeypatch.setattr(module, "CHUNK", 15)
    parts = batch_calibration(validation, test)
    assert whole.correct.tolist() == parts.correct.tolist()
    np.testing.assert_allclose(whole.log_loss, parts.log_loss, rtol=1e-5)


def test_token_bias_lowers_the_loud_word_by_enough():
    result = token_bias(loud(40, 0), loud(60, 2), word=lambda token: f"word{token}")
    assert result.accuracy == 1
    assert result.fitted.startswith("logit of 'word0' -")


def test_token_bias_raises_an_answer_that_is_too_quiet():
    logits = torch.zeros(8, 4)
    logits[:, 1] = 2.0
    made = AnswerLogits(logits, torch.full((8,), 3))
    result = token_bias(made, made)
    assert result.accuracy == 1
    assert result.fitted == "logit of '3' +2.50"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(2, 5), st.integers(0, 10_000))
@example(4, 5, 134)  # two leads that differ by float32's rounding alone
def test_no_token_and_shift_does_better_on_validation(n, vocabulary, seed):
    made = answers(n, vocabulary, seed)
    found = round(token_bias(made, made).validation_accuracy * n)
    best = 0
    sizes = torch.arange(-30, 30, 0.1) + 0.05  # between the logits' tenths
    for token in range(vocabulary):
        shifted = made.logits.repeat(len(sizes), 1, 1)  # (sizes, n, vocabulary)
        shifted[:, :, token] += sizes[:, None]
        best = max(best, int((shifted.argmax(-1) == made.gold).sum(-1).max()))
    assert found == best


def test_the_table_pairs_with_the_base_table():
    base = pd.DataFrame({"id": ["a", "b"], "group": ["g", "h"], "correct": [False, False], "log_loss": [1.0, 2.0]})
    result = ControlResult("x", "", 1.0, np.array([True, False]), np.array([0.5, 0.75]))
    table = result.table(base)
    assert table.to_dict("list") == {
        "id": ["a", "b"],
        "group": ["g", "h"],
        "correct": [True, False],
        "log_loss": [0.5, 0.75],
    }
    assert result.accuracy == pytest.approx(0.5)
