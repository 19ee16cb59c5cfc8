"""The mechanism test: is what the edit does one constant added to the base's logits, the same for every question?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from laser_lit.results.analyses import Mechanism
from laser_lit.results.compare import compare
from laser_lit.results.stats import ratio_ci
from laser_lit.scoring.controls import AnswerLogits

NAMED = 5
"""Answers that are named of those that the constant moves most, each way."""


@dataclass(frozen=True)
class Shifted:
    """What the constant did.

    Attributes:
        mechanism: for the record.
        tables: by split, a row an example (id, group, prediction, correct, log_loss) of the base with the constant.
    """

    mechanism: Mechanism
    tables: dict[str, pd.DataFrame]


def mean_shift(base: AnswerLogits, edited: AnswerLogits) -> Tensor:
    """Returns the mean over prompts of (edited − base) logits, (answers,) float32, less its own mean over answers.

    An answer that is ruled out under either (a logit of −inf) is not moved.

    Args:
        base: of the validation split.
        edited: of the same prompts in the same order.
    """
    total = torch.zeros(base.logits.shape[1], dtype=torch.float64)
    for (before, _), (after, _) in zip(base.chunks(), edited.chunks(), strict=True):
        total += (after - before).double().nan_to_num(0.0, 0.0, 0.0).sum(0)
    mean = total / len(base.gold)
    return (mean - mean.mean()).float()


def mechanism(
    base: dict[str, AnswerLogits],
    edited: AnswerLogits,
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]],
    word: Callable[[int], str] = str,
    seed: int = 0,
) -> Shifted:
    """Returns how much of the edit one constant reproduces.

    Args:
        base: logits of the base by split.
        edited: logits under the edit, of validation.
        tables: outcomes of base and edit by split, rows in the order of the logits.
        word: what to call an answer.
        seed: of the resampling.
    """
    shift = mean_shift(base["validation"], edited)
    shifted = {split: _table(base[split], shift, tables[split][0], word) for split in tables}
    before, after = tables["test"]
    between = shifted["test"]
    gain, whole = compare(before, between, seed=seed), compare(before, after, seed=seed)
    gains = between["correct"].to_numpy(float) - before["correct"].to_numpy(float)
    lasers = after["correct"].to_numpy(float) - before["correct"].to_numpy(float)
    told = whole.ci95 is not None and (whole.ci95[0] > 0 or whole.ci95[1] < 0)
    order = shift.argsort().tolist()
    return Shifted(
        Mechanism(
            gain=gain,
            left=compare(between, after, seed=seed),
            share=float(gains.sum() / lasers.sum()) if told else None,
            share_ci95=ratio_ci(gains, lasers, before["group"], seed=seed) if told else None,
            fixed=int((lasers > 0).sum()),
            fixed_too=int(((lasers > 0) & (gains > 0)).sum()),
            same=int((between["prediction"].astype(str) == after["prediction"].astype(str)).sum()),
            lowered=_named(order, shift, word),
            raised=_named(order[::-1], shift, word),
        ),
        shifted,
    )


def _table(base: AnswerLogits, shift: Tensor, outcomes: pd.DataFrame, word: Callable[[int], str]) -> pd.DataFrame:
    """Returns the outcomes of the base with the shift; an answer that stays is as right as it was judged to be."""
    correct, log_loss = base.shifted(shift)
    before, after = base.best(torch.zeros_like(shift)), base.best(shift)
    stays = before == after
    words = {token: word(token) for token in np.unique(after[~stays]).tolist()}
    predictions = outcomes["prediction"].astype(object).to_numpy().copy()
    predictions[~stays] = [words[token] for token in after[~stays].tolist()]
    return outcomes[["id", "group"]].assign(
        prediction=predictions,
        correct=np.where(stays, outcomes["correct"].to_numpy(bool), correct),
        log_loss=log_loss,
    )


def _named(order: list[int], shift: Tensor, word: Callable[[int], str]) -> tuple[tuple[str, float], ...]:
    return tuple((word(token), float(shift[token])) for token in order[:NAMED])
