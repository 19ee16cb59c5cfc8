"""The mean log loss of a data set as differentiable scalars, equal to that of the table of outcomes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from laser_lit.data.example import Example, ExampleSet, TextSet
from laser_lit.errors import InputError
from laser_lit.scoring.batches import Batch, Batches, Side
from laser_lit.scoring.forward import read_logits
from laser_lit.scoring.inputs import input_device
from laser_lit.scoring.request import Protocol, Request

MAX_TOKENS = 2**11
"""Most tokens of a micro-batch, padding included: all activations of a 6B model in half precision stay near 8 GB."""
MAX_LOGITS = 2**26
"""Most logits of a micro-batch of text, where every position is read (256 MB in float32, three times over)."""


def log_losses(
    model: nn.Module,
    examples: ExampleSet | TextSet,
    requests: Sequence[Request],
    scoring: Protocol = "strict",
    *,
    pad_id: int = 0,
    side: Side = "right",
    max_tokens: int | None = None,
) -> Iterator[Tensor]:
    """Yields a differentiable scalar a micro-batch; their sum is the mean `log_loss` of the table of outcomes (nats).

    Text counts every token alike under "strict" and every window alike under "paper", as the table's mean does. Each
    scalar's graph is the caller's to free, so that only one micro-batch's activations live at a time.

    Args:
        model: a causal or masked language model in eval mode.
        examples: the data set.
        requests: what `encode` returned for it, or those of some rows of a text.
        scoring: as given to `encode`.
        pad_id: see `pad_token`.
        side: where the padding goes.
        max_tokens: most tokens of a micro-batch; None: as many as `MAX_TOKENS` and `MAX_LOGITS` allow.

    Raises:
        InputError: no request gives a log loss.
    """
    gold = gold_requests(examples, requests)
    weights = _weights(gold, by_token=isinstance(examples, TextSet) and scoring == "strict")
    budget = _budget(model, gold) if max_tokens is None else max_tokens
    for batch in Batches(gold, pad_id, len(gold), budget, side):
        yield _weighted(model, batch, [weights[number] for number in batch.numbers])


def gold_requests(examples: ExampleSet | TextSet, requests: Sequence[Request]) -> list[Request]:
    """Returns the requests that the log loss of a row comes from, one a row, each with its gold targets alone.

    Args:
        examples: the data set.
        requests: what `encode` returned for it.

    Raises:
        InputError: there is none.
    """
    found = list(requests)
    if isinstance(examples, ExampleSet):
        found = [gold for request in requests if (gold := _gold(examples.examples[request.index], request))]
    if not found:
        raise InputError(f"{examples.name}: no row has a log loss to differentiate")
    return found


def _gold(example: Example, request: Request) -> Request | None:
    """Returns the request reduced to the gold answer's tokens; None where it says nothing of the gold answer."""
    if request.role == "token":  # a false object's token may follow
        return replace(request, reads=request.reads[:1], targets=request.targets[:1])
    if request.role == "choices":
        gold = example.golds[0]
        return replace(request, reads=(request.reads[gold],), targets=(request.targets[gold],))
    if request.role.startswith("choice "):
        return request if request.role == f"choice {example.golds[0]}" else None
    return request if request.role in ("answer", "greedy") else None


def _weights(gold: Sequence[Request], by_token: bool) -> list[float]:
    """Returns what each request's summed log prob counts in the mean."""
    if by_token:
        return [1 / sum(len(request.targets) for request in gold)] * len(gold)
    return [1 / (request.length * len(gold)) for request in gold]


def _budget(model: Any, gold: Sequence[Request]) -> int:
    read = max(len(request.targets) / len(request.tokens) for request in gold)  # logits a token of the longest row
    vocabulary = int(model.config.get_text_config().vocab_size)
    return max(1, min(MAX_TOKENS, int(MAX_LOGITS / (read * vocabulary))))


@torch.inference_mode(False)
@torch.enable_grad()
def _weighted(model: nn.Module, batch: Batch, weights: Sequence[float]) -> Tensor:
    """Returns the weighted sum of negative log probs of the batch's targets, taken in float32 or better."""
    moved = batch.to(input_device(model))
    logits = read_logits(model, moved)  # (R, vocabulary)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    slots, targets = moved.slots.to(logits.device), moved.targets.to(logits.device)
    log_probs = logits[slots, targets] - logits.logsumexp(-1)[slots]  # (T,)
    counts = torch.tensor([len(request.targets) for request in batch.requests])
    each = torch.tensor(weights, dtype=logits.dtype).repeat_interleave(counts).to(logits.device)  # (T,)
    return -(each * log_probs).sum()
