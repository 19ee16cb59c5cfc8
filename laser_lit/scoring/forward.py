"""Scores of a batch, with logits computed only where they are read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.reft.prompt import prompts
from laser_lit.scoring.batches import Batch
from laser_lit.scoring.generate import continuations
from laser_lit.scoring.inputs import input_device, is_masked, model_inputs
from laser_lit.scoring.request import RequestScore

MAX_LOGITS = 2**27
"""Most logits in one forward pass (512 MB in float32); a batch that reads more is passed in parts."""
CHUNK = 2**24
"""Logits turned into float32 log probs at a time."""
TOP = 10

Run = Callable[[Batch, Callable[[], Tensor]], Tensor]
"""Returns what a forward pass of a batch returns, given the pass, which it may also replace parts of."""


def score_batch(
    model: nn.Module, batch: Batch, *, keep_logits: bool = False, run: Run | None = None
) -> list[RequestScore]:
    """Returns the scores of a batch, a score a request, in the batch's order.

    The model's own head computes the logits (with its soft cap or scale), but only of the positions that are read.
    Log probs are taken in float32 on the model's device; only they, and a few ids, come to the CPU.

    Args:
        model: a causal or masked language model in eval mode.
        batch: from `Batches`; on any device.
        keep_logits: also return the logits at each request's first read.
        run: what runs the forward passes; None runs them as they are. Batches that generate are not asked of it.

    Raises:
        InputError: a model in training mode, a sequence-to-sequence model, or logits that are not numbers.
    """
    _check(model)
    # Not inference_mode: GPT-J caches a table in its forward pass, which later training could then not use.
    with torch.no_grad():
        if batch.max_new_tokens:
            new = continuations(model, batch.to(input_device(model)))
            return [RequestScore(n, generated=ids) for n, ids in zip(batch.numbers, new, strict=True)]
        size = max(1, len(batch.numbers) * MAX_LOGITS // max(1, logits_of(model, batch)))
        if size >= len(batch.numbers):
            return _score(model, batch, keep_logits, run)
        parts = [batch.part(start, start + size) for start in range(0, len(batch.numbers), size)]
        return [score for part in parts for score in _score(model, part, keep_logits, run)]


def _check(model: Any) -> None:
    if getattr(model.config, "is_encoder_decoder", False):
        raise InputError("sequence-to-sequence models are not scored; use a causal or a masked language model")
    if model.training:
        raise InputError("the model is in training mode, where dropout makes scores random; call model.eval() first")


def logits_of(model: Any, batch: Batch) -> int:
    """Returns how many logits a pass of a batch computes."""
    positions = batch.rows.numel() if model.get_output_embeddings() is not None else batch.input_ids.numel()
    return positions * model.config.get_text_config().vocab_size


def _score(model: Any, batch: Batch, keep_logits: bool, run: Run | None) -> list[RequestScore]:
    moved = batch.to(input_device(model))
    logits = run(moved, lambda: read_logits(model, moved)) if run else read_logits(model, moved)  # (R, vocabulary)
    norms, best = _normalizers(logits)  # (R,), (R,)
    slots, targets = moved.slots.to(logits.device), moved.targets.to(logits.device)
    log_probs = logits[slots, targets].float() - norms[slots]  # (T,)
    _refuse_nan(norms)
    kept = moved.firsts.to(logits.device)  # (B,)
    top = logits[kept].float().topk(min(TOP, logits.shape[-1]))  # (B, 10)
    return _scores(
        batch,
        log_probs.tolist(),
        best.tolist(),
        (top.values - norms[kept, None]).tolist(),
        top.indices.tolist(),
        list(logits[kept].float().cpu()) if keep_logits else [None] * len(kept),
    )


def _scores(
    batch: Batch,
    log_probs: list[float],
    best: list[int],
    top_values: list[list[float]],
    top_ids: list[list[int]],
    logits: list[Any],
) -> list[RequestScore]:
    scores: list[RequestScore] = []
    target = read = 0
    for row, (number, request) in enumerate(zip(batch.numbers, batch.requests, strict=True)):
        n = len(request.targets)
        unique = {position: read + i for i, position in enumerate(dict.fromkeys(request.reads))}
        window = request.role == "window"
        scores.append(
            RequestScore(
                number,
                tuple(log_probs[target : target + n]),
                tuple(best[unique[position]] for position in request.reads),
                () if window else tuple(top_ids[row]),
                () if window else tuple(top_values[row]),
                logits=logits[row],
            )
        )
        target, read = target + n, read + len(unique)
    return scores


def read_logits(model: Any, batch: Batch) -> Tensor:
    """Returns the logits (R, vocabulary) at the positions that the batch reads, in the model's dtype.

    Interventions that are attached work at the prompts' tokens; to a masked model, all of a sequence is prompt.

    Args:
        model: the language model.
        batch: on the model's input device.
    """
    prompt = batch.attention_mask.bool() if is_masked(model) else batch.prompt_mask
    with prompts(prompt), _only_reads(model, batch) as gathered:
        logits = model(**model_inputs(model, batch)).logits
    if gathered:
        return logits[0]
    return logits[batch.rows.to(logits.device), batch.columns.to(logits.device)]


@contextmanager
def _only_reads(model: Any, batch: Batch) -> Iterator[list[bool]]:
    """Hands the model's head the read positions alone, as (1, R, d), while the context is open.

    Hooks that others put on the head before see all positions and stay in place. The list that is yielded is filled
    once the head was reached; a head that is not a module leaves it empty, and the caller indexes full logits.
    """
    gathered: list[bool] = []

    def gather(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not args or args[0].shape[:2] != batch.input_ids.shape:
            return None
        hidden = args[0]  # (B, L, d)
        gathered.append(True)
        rows, columns = batch.rows.to(hidden.device), batch.columns.to(hidden.device)
        return (hidden[rows, columns].unsqueeze(0), *args[1:])  # (1, R, d)

    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(gather) if head is not None else None
    try:
        yield gathered
    finally:
        if handle is not None:
            handle.remove()


def _normalizers(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Returns log-sum-exp (R,) in float32 and the most probable token (R,) of each row."""
    rows = max(1, CHUNK // logits.shape[-1])
    norms, best = [], []
    for chunk in logits.split(rows):
        norms.append(torch.logsumexp(chunk.float(), dim=-1))
        best.append(chunk.argmax(dim=-1))
    return torch.cat(norms), torch.cat(best)


def _refuse_nan(norms: Tensor) -> None:
    if not bool(torch.isfinite(norms).all()):
        raise InputError("the model's logits are not finite numbers; its weights hold NaN or overflow in this dtype")
