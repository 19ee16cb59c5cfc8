"""Scoring from a model to a table in one call."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import nn

from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches, Side, pad_token
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.inputs import context_length, model_kind
from laser_lit.scoring.request import Protocol
from laser_lit.scoring.requests import encode


def score(
    model: nn.Module,
    tokenizer: Any,
    examples: ExampleSet | TextSet,
    scoring: Protocol = "strict",
    *,
    batch_size: int = 32,
    max_tokens: int | None = None,
    side: Side = "right",
    length_normalize: bool = False,
    stop: Sequence[str] = (),
    window: int | None = None,
    stride: int | None = None,
) -> pd.DataFrame:
    """Returns the table of outcomes of a model on a data set (see `outcomes`).

    Args:
        model: a causal or masked language model in eval mode, on any device.
        tokenizer: the model's tokenizer.
        examples: the data set.
        scoring: "strict" or "paper".
        batch_size: most sequences in a forward pass.
        max_tokens: most tokens in a forward pass, padding included.
        side: where the padding goes; results do not depend on it.
        length_normalize: see `outcomes`.
        stop: see `outcomes`.
        window: see `encode`.
        stride: see `encode`.
    """
    limit = context_length(model)
    requests = encode(examples, tokenizer, model_kind(model), scoring, limit, window=window, stride=stride)
    batches = Batches(requests, pad_token(tokenizer), batch_size, max_tokens, side)
    scores = [score for batch in batches for score in score_batch(model, batch)]
    options = {"tokenizer": tokenizer, "length_normalize": length_normalize, "stop": stop}
    return outcomes(examples, requests, scores, scoring, **options)
