"""General text before and after the edit: perplexity, token KL, and how often the first choice changes."""

from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from laser_lit.data.example import TextSet
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.results.general_text import GeneralText, Interval
from laser_lit.results.stats import Floats, bootstrap_ci
from laser_lit.scoring.batches import Batches, pad_token
from laser_lit.scoring.divergence import Divergence
from laser_lit.scoring.inputs import model_kind
from laser_lit.search.bound import upper_bound
from laser_lit.search.guard_text import GuardText
from laser_lit.tasks.base import Task

TYPED = "analysis.text"
PART = "test"
"""The part of the text that is read: a guard on the same text chooses by the other."""


def general_text(task: Task, config: DictConfig) -> GuardText | None:
    """Returns the text that `analysis.text` names; None where it names none. The model is not run.

    Args:
        task: with a causal language model and its tokenizer.
        config: the whole evaluation config.

    Raises:
        InputError: no such text, too little of it, the very text that is evaluated, or a model that predicts no next
            token.
    """
    typed = config.analysis.text
    if typed.data is None:
        return None
    tokenizer = getattr(task, "tokenizer", None)
    if tokenizer is None or model_kind(task.model) != "causal":
        raise InputError(
            f"{TYPED}.data={typed.data}: {task.id} makes no next-token predictions, of which a perplexity is; leave it "
            f"out with {TYPED}.data=null"
        )
    if isinstance(getattr(task, "examples", None), TextSet) and _same(typed, config.data):
        raise InputError(
            f"{TYPED}.data={typed.data}: that is the text that is evaluated, whose perplexity before and after the "
            "edit is the result itself; name another text"
        )
    return GuardText.of(config, task.model, tokenizer, TYPED, (PART,))


def _same(typed: Any, data: Any) -> bool:
    if typed.data != data.name:
        return False
    return typed.path is None or data.path is None or Path(typed.path).resolve() == Path(data.path).resolve()


def compared_text(task: Task, stack: Stack, text: GuardText, config: DictConfig) -> GeneralText:
    """Returns what an edit changes about the model's predictions on a text; the weights are back afterwards.

    Args:
        task: the one that the text was made for.
        stack: the edits.
        text: as from `general_text`.
        config: the whole evaluation config.
    """
    pad_id = pad_token(getattr(task, "tokenizer", None))
    windows = Batches(text.parts[PART], pad_id=pad_id, batch_size=config.batch_size, side=config.padding)
    found = Divergence(task.model, task.matrices, windows).of(stack)

    def interval(values: Floats) -> Interval:
        ci95 = bootstrap_ci(values, found.windows, seed=config.seed)
        return ci95 or (float(values.mean()), float(values.mean()))

    def perplexity(log_loss: Floats) -> tuple[float, Interval]:
        low, high = np.exp(interval(log_loss)).tolist()
        return float(np.exp(log_loss.mean())), (low, high)

    base, edited = perplexity(found.log_loss), perplexity(found.log_loss + found.change)
    return GeneralText(
        *(text.name, len(np.unique(found.windows)), len(found.windows), max(len(r.tokens) for r in text.parts[PART])),
        *(*base, *edited),
        *(float(found.change.mean()), interval(found.change)),
        *(float(found.kl.mean()), upper_bound(found.kl, found.windows), float(np.quantile(found.kl, 0.99))),
        *(float(found.moved.mean()), interval(found.moved)),
    )
