"""The constant that stands in for an edit: exact where the edit is one, worthless where it is not."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.analyses.mechanism import mean_shift, mechanism
from laser_lit.results.analyses import Analyses
from laser_lit.results.record import jsonable
from laser_lit.scoring.controls import AnswerLogits

N, WORDS = 120, 7


def outcomes(answers: AnswerLogits, split: str) -> pd.DataFrame:
    best = answers.logits.argmax(-1)
    losses = answers.logits.logsumexp(-1) - answers.logits.gather(1, answers.gold[:, None])[:, 0]
    rows = {"id": [f"{split}{i}" for i in range(len(best))], "group": [f"{split}{i // 2}" for i in range(len(best))]}
    return pd.DataFrame(rows).assign(
        prediction=[str(token) for token in best.tolist()],
        correct=(best == answers.gold).numpy(),
        log_loss=losses.double().numpy(),
    )


def world(change, seed=0):
    """Returns the base's logits by split, the edited ones of validation, and the tables of both."""
    rng = torch.Generator().manual_seed(seed)
    base, edited = {}, {}
    for split in ("validation", "test"):
        logits = torch.randn(N, WORDS, generator=rng)
        gold = logits[:, 1:].argmax(-1) + 1
        logits[: N // 2, 0] = 6.0  # the generic word, said by the base to half of the questions
        base[split] = AnswerLogits(logits, gold)
        edited[split] = AnswerLogits(change(logits, gold), gold)
    tables = {split: (outcomes(base[split], split), outcomes(edited[split], split)) for split in base}
    return base, edited, tables


def constant(logits, gold):
    return logits - 5.0 * torch.eye(WORDS)[0] + 2.0


def knowing(logits, gold):
    """Raises the right answer of half of the questions, each another one: no constant."""
    return torch.where(torch.arange(N)[:, None] < N // 2, 9.0 * torch.nn.functional.one_hot(gold, WORDS), logits)


def test_an_edit_that_is_a_constant_is_reproduced_whole():
    base, edited, tables = world(constant)
    found = mechanism(base, edited["validation"], tables)
    result = found.mechanism
    assert result.gain.accuracy > 0.3
    assert result.share == pytest.approx(1.0)
    assert result.share_ci95 == pytest.approx((1.0, 1.0))
    assert result.left.accuracy == pytest.approx(0.0)
    assert result.left.log_loss == pytest.approx(0.0, abs=1e-5)
    assert result.fixed == result.fixed_too > 0
    assert result.same == N
    assert result.lowered[0][0] == "0"
    assert result.lowered[0][1] == pytest.approx(-5.0 * (1 - 1 / WORDS), abs=1e-5)
    for split, table in found.tables.items():
        pd.testing.assert_series_equal(table["correct"], tables[split][1]["correct"])
        assert table["prediction"].tolist() == tables[split][1]["prediction"].tolist()


def test_an_edit_that_knows_each_answer_is_not():
    base, edited, tables = world(knowing)
    result = mechanism(base, edited["validation"], tables).mechanism
    assert result.share is not None
    assert result.left.accuracy > 0
    assert result.share < 0.95
    low, high = result.share_ci95
    assert low < result.share < high


def test_choices_have_no_log_loss_that_could_be_compared_with_the_tables():
    base, edited, tables = world(constant)
    base = {split: dataclasses.replace(answers, choices=True) for split, answers in base.items()}
    found = mechanism(base, edited["validation"], tables)
    assert found.mechanism.share == pytest.approx(1.0)
    assert found.mechanism.gain.log_loss is None
    assert found.mechanism.left.log_loss is None
    assert found.tables["test"]["log_loss"].isna().all()


def test_an_edit_without_effect_has_no_share():
    base, edited, tables = world(lambda logits, gold: logits)
    result = mechanism(base, edited["validation"], tables).mechanism
    assert result.share is None
    assert result.share_ci95 is None
    assert result.fixed == 0
    assert result.gain.accuracy == 0


def test_what_was_judged_right_by_other_rules_stays_right():
    base, edited, tables = world(lambda logits, gold: logits)
    before, after = tables["test"]
    alias = before.assign(correct=True)
    found = mechanism(base, edited["validation"], {**tables, "test": (alias, after)})
    assert found.tables["test"]["correct"].all()


@given(shift=st.lists(st.floats(-20, 20, width=32), min_size=WORDS, max_size=WORDS), seed=st.integers(0, 5))
def test_the_mean_shift_is_the_constant_up_to_its_mean(shift, seed):
    logits = torch.randn(9, WORDS, generator=torch.Generator().manual_seed(seed))
    gold = torch.zeros(9, dtype=torch.long)
    moved = torch.tensor(shift)
    found = mean_shift(AnswerLogits(logits, gold), AnswerLogits(logits + moved, gold))
    np.testing.assert_allclose(found, moved - moved.mean(), atol=1e-5)


def test_answers_that_are_ruled_out_do_not_move():
    logits = torch.zeros(3, WORDS)
    logits[:, 2] = -torch.inf
    found = mean_shift(AnswerLogits(logits, torch.zeros(3).long()), AnswerLogits(logits, torch.zeros(3).long()))
    assert found.abs().max() == 0


def test_the_record_keeps_it():
    base, edited, tables = world(knowing)
    analyses = Analyses(mechanism=mechanism(base, edited["validation"], tables).mechanism)
    content = json.loads(json.dumps(jsonable(dataclasses.asdict(analyses))))
    assert Analyses.of(content) == analyses
    assert Analyses.of({}) == Analyses()
    later = {**content, "mechanism": {**content["mechanism"], "of_a_later_version": 1}, "another": {}}
    assert Analyses.of(later) == analyses
