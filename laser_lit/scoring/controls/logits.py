"""Controls that only shift logits at the answer's place: the weights stay as they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from laser_lit.scoring.controls.result import ControlResult

CHUNK = 2**24
"""Logits that are worked on at a time (64 MB in float32)."""

_FARTHEST = 1e4
"""Largest shift (nats); keeps tokens of probability 0 out of the arithmetic of infinities."""


@dataclass(frozen=True)
class AnswerLogits:
    """The base model's logits where one-token answers are read.

    Attributes:
        logits: (n, vocabulary) float32; for choice tasks (n, choices).
        gold: (n,) int64, column of the right answer.
        choices: whether columns are choices. Log losses are then NaN: tables have those among all texts, not among the
            choices.
    """

    logits: Tensor
    gold: Tensor
    choices: bool = False

    def shifted(self, shift: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Returns whether the argmax is right (n,) and the log loss (n,), nats, after adding a shift to every row.

        Args:
            shift: (vocabulary,) float32.
        """
        correct, log_loss = [], []
        for logits, gold in self.chunks():
            moved = logits + shift  # (rows, vocabulary)
            correct.append(moved.argmax(-1) == gold)
            of_gold = moved.gather(1, gold[:, None])[:, 0]
            log_loss.append(torch.full_like(of_gold, torch.nan) if self.choices else moved.logsumexp(-1) - of_gold)
        return torch.cat(correct).numpy(), torch.cat(log_loss).double().numpy()

    def best(self, shift: Tensor) -> np.ndarray:
        """Returns the most probable column of every row (n,) after adding a shift, the first of equals.

        Args:
            shift: (vocabulary,) float32.
        """
        return torch.cat([(logits + shift).argmax(-1) for logits, _ in self.chunks()]).numpy()

    def chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields (logits, gold) a few rows at a time."""
        rows = max(1, CHUNK // self.logits.shape[1])
        yield from zip(self.logits.split(rows), self.gold.split(rows), strict=True)


def batch_calibration(validation: AnswerLogits, test: AnswerLogits) -> ControlResult:
    """Returns the result of dividing each token's probability by its mean over the validation prompts, without labels.

    Args:
        validation: what the mean is taken over.
        test: what is reported.

    Source: Zhou et al. 2023, "Batch Calibration", arXiv 2309.17249, section 3, over the whole vocabulary.
    """
    chunks = [logits.log_softmax(-1).logsumexp(0) for logits, _ in validation.chunks()]
    mean = torch.stack(chunks).logsumexp(0) - np.log(len(validation.gold))  # (vocabulary,) log of the mean probability
    return _shifted("batch calibration", "no label", -mean.clamp(min=-_FARTHEST), validation, test)


def token_bias(validation: AnswerLogits, test: AnswerLogits, word: Callable[[int], str] = str) -> ControlResult:
    """Returns the result of the one (token, shift) that gets the most validation answers right.

    The search is exact: for each token every shift that changes an answer is weighed. Only tokens that the model
    predicts (worth lowering) or that are right answers (worth raising) can gain anything. Of equals, the smallest
    shift is taken.

    Args:
        validation: what token and shift are chosen on, with its labels.
        test: what is reported.
        word: what to call a token.
    """
    values, indices = _top_two(validation)
    tokens = torch.unique(torch.cat([indices[:, 0], validation.gold]))
    found = {token: _best_shift(validation, values, indices, token) for token in tokens.tolist()}
    token = max(found, key=lambda token: (found[token][0], -abs(found[token][1])))
    size = found[token][1]
    shift = torch.zeros(validation.logits.shape[1])
    shift[token] = size
    return _shifted("token bias", f"logit of {word(token)!r} {size:+.2f}", shift, validation, test)


def _top_two(answers: AnswerLogits) -> tuple[Tensor, Tensor]:
    """Returns the two largest logits of each row (n, 2) and their tokens (n, 2), the first of equals as argmax does."""
    values, indices = [], []
    for logits, _ in answers.chunks():
        first = logits.max(-1, keepdim=True)
        second = logits.scatter(1, first.indices, -torch.inf).max(-1, keepdim=True)
        values.append(torch.cat([first.values, second.values], 1))
        indices.append(torch.cat([first.indices, second.indices], 1))
    return torch.cat(values), torch.cat(indices)


def _best_shift(answers: AnswerLogits, values: Tensor, indices: Tensor, token: int) -> tuple[int, float]:
    """Returns how many answers are right under the best shift of a token, and that shift.

    Args:
        answers: logits and labels.
        values: (n, 2) the two largest logits of each row.
        indices: (n, 2) their tokens.
        token: the column that is shifted.
    """
    leads = indices[:, 0] == token  # (n,)
    rival = torch.where(leads, indices[:, 1], indices[:, 0])
    lead = answers.logits[:, token] - torch.where(leads, values[:, 1], values[:, 0])
    lead, order = lead.double().clamp(-_FARTHEST, _FARTHEST).sort(descending=True)
    gains = (answers.gold == token)[order].long() - (answers.gold == rival)[order].long()  # of predicting the token
    n_right = (answers.gold == rival).sum() + torch.cat([torch.zeros(1, dtype=torch.long), gains.cumsum(0)])  # (n + 1,)
    edges = torch.cat([lead[:1] + 1, lead, lead[-1:] - 1])  # (n + 2,)
    sizes = -(edges[:-1] + edges[1:]) / 2  # (n + 1,) the k rows of largest lead predict the token
    largest = float(torch.maximum(values.abs().max(), edges.abs().max()))
    possible = edges[:-1] - edges[1:] > 4 * torch.finfo(torch.float32).eps * largest  # a shift between would be rounded
    n_right, sizes = n_right[possible], sizes[possible]
    best = sizes[n_right == n_right.max()]
    return int(n_right.max()), float(best[best.abs().argmin()])


def _shifted(name: str, fitted: str, shift: Tensor, validation: AnswerLogits, test: AnswerLogits) -> ControlResult:
    on_validation, _ = validation.shifted(shift)
    correct, log_loss = test.shifted(shift)
    return ControlResult(name, fitted, float(on_validation.mean()), correct, log_loss)
