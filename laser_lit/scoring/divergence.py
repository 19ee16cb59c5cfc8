"""How far an edited model's next-token predictions are from the base's, token by token, on one text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixMap
from laser_lit.scoring.batches import Batch, Batches
from laser_lit.scoring.inputs import input_device, model_inputs, model_kind

MAX_LOGITS = 2**26
"""Most logits in one forward pass, the base's among them; a batch that has more is passed in parts."""
CHUNK = 2**22
"""Logits turned into float64 log probs at a time."""
KEPT_GB = 1.0
"""Most memory for the base's hidden states, in 1e9 bytes; a longer text is compared in pieces."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TokenDivergence:
    """What an edit changes about each token of a text, window after window.

    Attributes:
        windows: (T,) number of the window (of the request) that a token is in.
        kl: (T,) KL divergence of the edited from the base's distribution over the next token, nats.
        change: (T,) the edited model's log loss of the token minus the base's, nats; its mean is the change of the log
            perplexity.
        log_loss: (T,) the base's log loss of the token, nats.
        moved: (T,) 1 where the most probable token is another one, else 0.
    """

    windows: NDArray[np.int64]
    kl: Floats
    change: Floats
    log_loss: Floats
    moved: Floats


class Divergence:
    """Compares edited models with the base on one text.

    Of the base, only the hidden states before the head are kept (on the CPU), which are smaller than its predictions by
    the size of the vocabulary over that of the hidden states. Every comparison hands them to the head beside the edited
    model's, so that the base's predictions are exact, and scaled and capped as the model itself does it.
    """

    def __init__(self, model: nn.Module, matrices: MatrixMap, batches: Batches, kept_gb: float = KEPT_GB) -> None:
        """Plans the passes; nothing is computed yet.

        Args:
            model: a causal language model in eval mode.
            matrices: the model's, on which stacks act.
            batches: windows of text, whose targets are the tokens beside their reads.
            kept_gb: most memory, in 1e9 bytes, for the base's hidden states; where the text needs more, it is compared
                in pieces and the base is passed again each time.

        Raises:
            InputError: a masked or sequence-to-sequence model, one in training mode, or no windows of text.
        """
        if model_kind(model) != "causal":
            raise InputError(
                f"{type(model).__name__} predicts masked tokens: token KL on running text needs a causal model"
            )
        if model.training:
            raise InputError("the model is in training mode, where dropout is random; call model.eval() first")
        if not batches.requests or any(request.role != "window" for request in batches.requests):
            raise InputError("token KL is taken on windows of text: encode a TextSet that holds at least one")
        self._model: Any = model
        self._matrices = matrices
        self._pieces = _pieces(_parts(batches, self._vocabulary), self._most_reads(kept_gb))
        self._base: list[Tensor] | None = None

    @property
    def _vocabulary(self) -> int:
        return int(self._model.config.get_text_config().vocab_size)

    def _most_reads(self, kept_gb: float) -> int:
        head = self._model.get_output_embeddings()
        width = int(head.weight.shape[-1]) * head.weight.element_size()
        return max(1, int(kept_gb * 1e9 / width))

    @torch.no_grad()
    def of(self, stack: Stack | None) -> TokenDivergence:
        """Returns how far a stack takes the model from the base; the weights are back afterwards.

        Args:
            stack: the edits; None compares the base with itself.

        Raises:
            InputError: the edits do not fit the model, or its logits are not finite numbers.
        """
        found: list[tuple[NDArray[np.int64], Tensor]] = []
        for piece in self._pieces:
            base = self._states(piece)
            with (stack or Stack([])).applied(self._matrices):
                for batch, states in zip(piece, base, strict=True):
                    found.append((_window_of(batch), self._compared(batch, states)))
        windows = np.concatenate([numbers for numbers, _ in found])
        values = torch.cat([rows for _, rows in found]).numpy()  # (T, 4)
        order = np.argsort(windows, kind="stable")
        return TokenDivergence(windows[order], *values[order].T)

    def _states(self, piece: Sequence[Batch]) -> list[Tensor]:
        """Returns the base's hidden states of each batch, computed once where the whole text is one piece."""
        if self._base is not None:
            return self._base
        states = []
        for batch in piece:
            moved = batch.to(input_device(self._model))
            with _at_head(self._model, moved, None) as seen:
                self._model(**model_inputs(self._model, moved))
            states.append(_reached(seen, self._model).cpu())
        if len(self._pieces) == 1:
            self._base = states
        return states

    def _compared(self, batch: Batch, base: Tensor) -> Tensor:
        """Returns what a `TokenDivergence` says of each token of a batch, (T, 4) float64 on the CPU."""
        moved = batch.to(input_device(self._model))
        with _at_head(self._model, moved, base) as seen:
            logits = self._model(**model_inputs(self._model, moved)).logits[0]  # (2T, vocabulary)
        _reached(seen, self._model)
        edited, original = logits.split(len(base))  # (T, vocabulary) each
        size = max(1, CHUNK // logits.shape[-1])
        targets = moved.targets.to(logits.device).split(size)
        chunks = zip(original.split(size), edited.split(size), targets, strict=True)
        return torch.cat([_divergences(*chunk) for chunk in chunks])


def _divergences(base: Tensor, edited: Tensor, targets: Tensor) -> Tensor:
    """Returns KL, change, log loss and moved of a `TokenDivergence` from logits (T, vocabulary), as (T, 4)."""
    wide = torch.float32 if base.device.type == "mps" else torch.float64
    p, q = base.to(wide).log_softmax(-1), edited.to(wide).log_softmax(-1)  # (T, vocabulary)
    difference = p - q
    kl = (p.exp() * difference).sum(-1).clamp(min=0.0)  # rounding alone can make it negative
    change, log_prob = (values.gather(1, targets[:, None])[:, 0] for values in (difference, p))
    moved = (base.argmax(-1) != edited.argmax(-1)).to(wide)
    found = torch.stack([kl, change, -log_prob, moved], dim=1)  # (T, 4)
    if not bool(torch.isfinite(found).all()):
        raise InputError("the model's logits are not finite numbers; its weights hold NaN or overflow in this dtype")
    return found.cpu().double()


@contextmanager
def _at_head(model: Any, batch: Batch, base: Tensor | None) -> Iterator[list[Tensor]]:
    """Yields a list that gets the hidden states (T, d) at the reads, and decides what the head is given.

    Args:
        model: the language model.
        batch: on the model's input device.
        base: (T, d) states that the head is given after the model's own; without them the head is given a single
            position, since nobody looks at its logits.
    """
    seen: list[Tensor] = []

    def gather(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not args or args[0].shape[:2] != batch.input_ids.shape:
            return None
        hidden = args[0]  # (B, L, d)
        states = hidden[batch.rows.to(hidden.device), batch.columns.to(hidden.device)]  # (T, d)
        seen.append(states)
        given = states[:1] if base is None else torch.cat([states, base.to(hidden.device)])
        return (given.unsqueeze(0), *args[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(gather)
    try:
        yield seen
    finally:
        handle.remove()


def _reached(seen: list[Tensor], model: nn.Module) -> Tensor:
    if not seen:
        raise InputError(f"{type(model).__name__} computes its logits outside its output embeddings; no token KL of it")
    return seen[0]


def _window_of(batch: Batch) -> NDArray[np.int64]:
    return np.repeat(np.array(batch.numbers), [len(request.targets) for request in batch.requests])


def _parts(batches: Batches, vocabulary: int) -> Iterator[Batch]:
    """Yields the batches in parts with at most MAX_LOGITS logits of edited model and base together."""
    for batch in batches:
        longest = max(len(request.reads) for request in batch.requests)
        size = max(1, MAX_LOGITS // (2 * longest * vocabulary))
        for start in range(0, len(batch.numbers), size):
            yield batch.part(start, start + size) if size < len(batch.numbers) else batch


def _pieces(parts: Iterator[Batch], most: int) -> list[list[Batch]]:
    """Returns consecutive batches that read at most `most` positions together, one batch at least."""
    pieces: list[list[Batch]] = []
    reads = 0
    for batch in parts:
        reads += len(batch.rows)
        if not pieces or reads > most:
            pieces.append([])
            reads = len(batch.rows)
        pieces[-1].append(batch)
    return pieces
