"""Perplexity of text: windows in which every token is scored exactly once, and their per-window table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from laser_lit.data.example import TextSet
from laser_lit.errors import InputError
from laser_lit.scoring.request import Protocol, Request, RequestScore
from laser_lit.scoring.tokens import begins_with_bos, ids_of

BLOCKS = 64
"""Groups into which the windows of one running text are cut, so that the statistics have something to resample."""


def encode_windows(
    text: TextSet, tokenizer: Any, scoring: Protocol, max_length: int | None, window: int | None, stride: int | None
) -> list[Request]:
    """Returns one request a window.

    Under "strict" each document's tokens after its first are scored exactly once (the first too where the tokenizer
    has a begin token, which then stands before every window); tokens of a window that were scored before are context.
    Under "paper", which is laserRMT's, the documents are joined by empty lines and cut into windows that share nothing:
    the first token of each is not scored and the tokens after the last whole window are left out.

    Args:
        text: the documents.
        tokenizer: the model's tokenizer.
        scoring: see above.
        max_length: tokens the model takes, or None.
        window: tokens in a window; None: the text's own, or `max_length` where that is less.
        stride: newly scored tokens in a window after the first ("strict" only), in [1, window].

    Raises:
        InputError: a window longer than the model's context, a stride outside [1, window], no text.
    """
    length = min(text.window, max_length or text.window) if window is None else window
    step = length if stride is None else stride
    if length < 2 or (max_length is not None and length > max_length):
        raise InputError(f"window {length}: must lie in [2, {max_length or 'any'}], the tokens the model takes")
    if not 1 <= step <= length:
        raise InputError(f"stride {step}: must lie in [1, {length}], the window's length")
    if scoring == "paper":
        pieces = _paper_windows(text, tokenizer, length)
    else:
        pieces = _strict_windows(text, tokenizer, length, step)
    windows = list(pieces)
    if not windows:
        raise InputError(f"{text.name} is too short for one window of {length} tokens; set a shorter window")
    running = scoring == "paper" or not text.groups
    return [
        Request(i, "window", tuple(tokens), reads, targets, length=len(targets), group=group)
        for i, (tokens, reads, targets, group) in enumerate(_grouped(windows) if running else windows)
    ]


_Window = tuple[list[int], tuple[int, ...], tuple[int, ...], str]


def _grouped(windows: Sequence[_Window]) -> Iterator[_Window]:
    """Yields the windows of a running text with contiguous blocks as groups."""
    blocks = min(BLOCKS, len(windows))
    for i, (tokens, reads, targets, _) in enumerate(windows):
        yield tokens, reads, targets, f"block {i * blocks // len(windows)}"


def _strict_windows(text: TextSet, tokenizer: Any, length: int, step: int) -> Iterator[_Window]:
    front = [tokenizer.bos_token_id] if begins_with_bos(tokenizer) else []
    room = length - len(front)
    groups = text.groups or ("",) * len(text.documents)
    for document, group in zip(text.documents, groups, strict=True):
        ids = ids_of(tokenizer, document, special=False)
        start = begin = 0 if front else 1
        while begin < len(ids):
            end = min(len(ids), room + 1 if begin == start else begin + step)
            first = max(0, end - 1 - room)
            tokens = front + ids[first : end - 1]
            offset = len(front) - first - 1
            reads = tuple(range(begin + offset, end + offset))
            yield tokens, reads, tuple(ids[begin:end]), group
            begin = end


def _paper_windows(text: TextSet, tokenizer: Any, length: int) -> Iterator[_Window]:
    ids = ids_of(tokenizer, "\n\n".join(text.documents))
    for start in range(0, len(ids) - length + 1, length):
        tokens = ids[start : start + length]
        yield tokens[:-1], tuple(range(length - 1)), tuple(tokens[1:]), ""


def window_rows(requests: Sequence[Request], scores: Mapping[int, RequestScore]) -> list[dict[str, object]]:
    """Returns a row a window: mean negative log prob of its tokens, their number, and the share predicted first.

    Args:
        requests: windows, as encoded.
        scores: their scores by number.
    """
    rows = []
    for number, request in enumerate(requests):
        score = scores[number]
        hits = sum(best == target for best, target in zip(score.best, request.targets, strict=True))
        rows.append(
            {
                "id": f"window {request.index}",
                "group": request.group,
                "log_loss": -float(np.mean(score.log_probs)),
                "n_tokens": len(request.targets),
                "top1_tokens": hits,
                "truncated": 0,
            }
        )
    return rows


def mean_log_loss(table: pd.DataFrame, scoring: Protocol = "strict") -> float:
    """Returns the mean negative log prob of a token (nats); its exponential is the perplexity.

    Args:
        table: rows with `log_loss` (mean of the row's tokens) and `n_tokens`.
        scoring: "strict" weights each token alike; "paper" each row, as laserRMT does (the mean of window means).
    """
    weights = np.ones(len(table)) if scoring == "paper" else table["n_tokens"].to_numpy(dtype=float)
    return float(np.average(table["log_loss"].to_numpy(dtype=float), weights=weights))
