"""Training text: windows of equal length, packed so that each token's loss counts once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from laser_lit.data.example import TextSet
from laser_lit.data.split import split
from laser_lit.errors import InputError
from laser_lit.lit.finetune import Batch
from laser_lit.scoring.perplexity import BLOCKS
from laser_lit.scoring.tokens import begins_with_bos, ids_of

Tokens = NDArray[np.int32]


class Rows(Protocol):
    """What a training draws its batches from."""

    def __len__(self) -> int: ...

    def batch(self, rows: Sequence[int]) -> Batch:
        """Returns some rows as a batch.

        Args:
            rows: their numbers.
        """
        ...


@dataclass(frozen=True)
class WindowRows:
    """Windows as rows of a training.

    Attributes:
        tokens: (windows, length + 1).
    """

    tokens: Tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Returns some windows as a batch: every token but the first of each has a label."""
        ids = torch.from_numpy(self.tokens[list(rows)].astype(np.int64))  # (batch, length + 1)
        return {"input_ids": ids, "labels": ids}


@dataclass(frozen=True)
class Windows:
    """Windows of a text.

    Attributes:
        train: (windows, length + 1); a model reads the first `length` tokens of a row and predicts the last `length`.
        held_out: the same, of text that is not trained on.
    """

    train: Tokens
    held_out: Tokens

    @property
    def rows(self) -> tuple[Rows, Rows]:
        """What is trained on, and what is held out."""
        return WindowRows(self.train), WindowRows(self.held_out)


def cut_windows(
    text: TextSet, tokenizer: Any, length: int, *, seed: int, holdout: float, limit: int | None = None
) -> Windows:
    """Returns the windows to train on and those held out.

    Documents are joined, with the end-of-text token between them, and cut; a window may hold the end of one and the
    beginning of another. Of documents whole groups are held out; a running text is cut first, and contiguous blocks of
    windows are held out. Where the tokenizer puts a begin token before every text, it stands before every window, as it
    does when text is scored; else a window begins with the last token of the one before. What does not fill a window at
    the end is left out.

    Args:
        text: the data set.
        tokenizer: the model's.
        length: tokens that the model reads, at least 2.
        seed: decides what is held out.
        holdout: share of the groups (of a running text: of 64 blocks) that is held out, in [0, 1).
        limit: keep this many groups, before anything is held out.

    Raises:
        InputError: too little text for a window to train on and, where something is held out, for one to watch.
    """
    if text.groups:
        train, held = (
            _tiled(_joined([text.documents[i] for i in part], tokenizer), tokenizer, length)
            for part in _parts(text.groups, seed, holdout, limit)
        )
    else:
        windows = _tiled(_joined(text.documents, tokenizer), tokenizer, length)
        blocks = min(BLOCKS, len(windows))
        groups = [f"block {i * blocks // len(windows)}" for i in range(len(windows))]
        train, held = (windows[list(part)] for part in _parts(groups, seed, holdout, limit))
    for windows, what in ((train, "to train on"), (held, "to hold out")):
        if not len(windows) and (windows is train or holdout):
            raise InputError(
                f"{text.name} has not one window of {length} tokens {what}; give more text, set a shorter "
                "finetune.window, or hold out another share (finetune.holdout, 0 for nothing)"
            )
    return Windows(train, held)


def _parts(groups: Sequence[str], seed: int, holdout: float, limit: int | None) -> tuple[list[int], list[int]]:
    """Returns the indices to train on and to hold out."""
    if len(set(groups)) < 2:  # nothing can be held out of a single group
        return list(range(len(groups))), []
    parts = split(groups, seed=seed, fraction=holdout or 0.5, limit=limit)
    if holdout:
        return list(parts.test), list(parts.validation)
    return sorted(parts.test + parts.validation), []


def _joined(documents: Iterable[str], tokenizer: Any) -> Tokens:
    """Returns the ids of documents one after the other, without begin tokens."""
    pieces: list[Tokens] = []
    between = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    for document in documents:
        ids = ids_of(tokenizer, document, special=False)
        pieces.append(np.array([*(between if pieces else []), *ids], dtype=np.int32))
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32)


def _tiled(ids: Tokens, tokenizer: Any, length: int) -> Tokens:
    """Returns windows (n, length + 1) whose last `length` tokens tile the ids."""
    if not begins_with_bos(tokenizer):
        if len(ids) <= length:
            return np.empty((0, length + 1), dtype=np.int32)
        return np.lib.stride_tricks.sliding_window_view(ids, length + 1)[::length]
    n = len(ids) // length
    first = np.full((n, 1), tokenizer.bos_token_id, dtype=np.int32)
    return np.concatenate([first, ids[: n * length].reshape(n, length)], axis=1)
