"""Second moments of what enters each matrix of a model on some text: what whitened edits are calibrated on."""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.errors import InputError
from laser_lit.models.content import content_hash
from laser_lit.models.matrices import MatrixHandle
from laser_lit.scoring.batches import Batch, collate
from laser_lit.scoring.inputs import context_length, input_device, model_inputs, model_kind
from laser_lit.scoring.request import Request
from laser_lit.scoring.requests import encode

TOKENS = 131072
MEMORY_GB = 4.0
PASS_TOKENS = 8192
"""Most tokens in a forward pass."""
CHUNK = 2**24
"""Entries of the inputs that are turned into float64 at a time."""

NO_TEXT = "there is no text to calibrate whitened edits on"

Sequences = Sequence[tuple[int, ...]]


def calibrate(
    model: nn.Module,
    tokenizer: Any,
    texts: str | Sequence[str] | TextSet | ExampleSet,
    tokens: int = TOKENS,
    *,
    seed: int = 0,
    memory_gb: float = MEMORY_GB,
) -> "Calibration":
    """Returns what whitened edits of a model are calibrated on: `Stack(edits, calibration=calibrate(…))`.

    Args:
        model: a causal or masked language model in eval mode, without edits.
        tokenizer: the model's.
        texts: documents, or a data set as `load_data` returns it.
        tokens: how many are read at least, if there are as many, in whole windows drawn at random.
        seed: of the draw.
        memory_gb: most memory for second moments at a time, in 1e9 bytes, but one matrix's at least.

    Raises:
        InputError: no text, or a model that does not read text.
    """
    if not isinstance(texts, TextSet | ExampleSet):
        documents = (texts,) if isinstance(texts, str) else tuple(texts)
        if not any(text.strip() for text in documents):
            raise InputError(NO_TEXT)
        texts = TextSet("calibration text", documents, "")
    requests = encode(texts, tokenizer, model_kind(model), max_length=context_length(model))
    return Calibration(model, drawn([request.tokens for request in requests], tokens, seed), memory_gb)


def drawn(sequences: Sequences, tokens: int, seed: int) -> list[tuple[int, ...]]:
    """Returns sequences drawn at random, each once, in their order, until they have as many tokens as asked for.

    Args:
        sequences: token ids.
        tokens: at least 1.
        seed: of the draw.

    Raises:
        InputError: fewer than one token.
    """
    if tokens < 1:
        raise InputError(f"calibration tokens {tokens}: must be at least 1")
    each = list(dict.fromkeys(tuple(ids) for ids in sequences if ids))
    order = np.random.default_rng(seed).permutation(len(each))
    sizes = np.cumsum([len(each[place]) for place in order])
    kept = order[: 1 + int(np.searchsorted(sizes, tokens))]
    return [each[place] for place in sorted(kept.tolist())]


class Calibration:
    """The inputs of a model's matrices on some text, as it is without edits.

    Matrices that fit memory together are read in one pass of the text, which is passed again for others. Sequences of
    one length make a batch, so that no padding is ever among the inputs.

    Attributes:
        key: a hash of the model's weights and of the text.
    """

    def __init__(self, model: nn.Module, sequences: Sequences, memory_gb: float = MEMORY_GB) -> None:
        """Hashes the weights; the model is not run yet.

        Args:
            model: a language model in eval mode, without edits.
            sequences: token ids that it is given.
            memory_gb: most memory for second moments at a time, in 1e9 bytes, but one matrix's at least.

        Raises:
            InputError: no text, a negative memory, a model in training mode or one that is no language model.
        """
        model_kind(model)
        if not memory_gb >= 0:
            raise InputError(f"calibration memory_gb {memory_gb}: must be at least 0; one matrix is read at least")
        if model.training:
            raise InputError("the model is in training mode, where dropout is random; call model.eval() first")
        if not sequences:
            raise InputError(NO_TEXT)
        self._model = model
        self._batches = _batches(sequences)
        self._weights = content_hash(model)
        self._memory = memory_gb * 1e9
        self._expected: dict[str, MatrixHandle] = {}
        self._found: dict[str, Tensor] = {}
        digest = xxhash.xxh3_128(self._weights.encode())
        for ids in sequences:
            digest.update(repr(ids).encode())
        self.key: str = digest.hexdigest()

    def expect(self, handles: Sequence[MatrixHandle]) -> None:
        """Says which matrices will be asked for, so that those that fit memory together are read in one pass.

        Args:
            handles: in the order in which they will be.
        """
        for handle in handles:
            if handle.name not in self._found and _why_unseen(self._model, handle) is None:
                self._expected.setdefault(handle.name, handle)

    def covariance(self, handle: MatrixHandle) -> Tensor:
        """Returns the second moments X Xᵀ of a matrix's inputs, (in, in) in float64, where they were summed up.

        Matrices of one tensor (q, k and v of a fused one, say) have the same.

        Args:
            handle: of the matrix.

        Raises:
            InputError: a matrix whose inputs cannot be seen or that no token reaches, or a model with other weights
                than it had when this was made.
        """
        if handle.name not in self._found:
            unseen = _why_unseen(self._model, handle)
            if unseen is not None:
                raise InputError(f"decomposition whitened of {handle.id}: {unseen}")
            self._found = {}  # before others take its place
            group = self._group(handle)
            self._found = self._read(group)
            for read in group:
                self._expected.pop(read.name, None)
        return _checked(self._found.get(handle.name), handle)

    def _group(self, handle: MatrixHandle) -> list[MatrixHandle]:
        """Returns the matrix and those expected after it, then before it, as far as they fit memory together."""
        names = list(self._expected)
        start = names.index(handle.name) if handle.name in names else 0
        others = [self._expected[name] for name in names[start:] + names[:start] if name != handle.name]
        group, left = [handle], self._memory - 2 * _bytes(handle)  # one for the product of a batch
        for other in others:
            left -= _bytes(other)
            if left < 0:
                break
            group.append(other)
        return group

    @torch.inference_mode(False)
    @torch.no_grad()
    def _read(self, group: Sequence[MatrixHandle]) -> dict[str, Tensor]:
        modules = {handle.name: _owners(self._model, handle) for handle in group}
        if content_hash(self._model) != self._weights:
            raise InputError(
                "whitened edits are calibrated on the model as it is without edits, and its weights have changed since "
                "then: take the edits back first, or make a new calibration"
            )
        sums = _Sums()
        run = getattr(self._model, "base_model", self._model)  # nobody looks at the logits
        with _watched(modules, sums):
            for batch in self._batches:
                run(**model_inputs(self._model, batch.to(input_device(self._model))))
        return sums.found


class _Sums:
    """Adds up x xᵀ of what enters each watched weight; of a tensor that several are handed in turn it is taken once."""

    def __init__(self) -> None:
        self.found: dict[str, Tensor] = {}  # (in, in) by the weight's name
        self._last: tuple[weakref.ref[Tensor], Tensor] | None = None

    def add(self, name: str, x: Tensor) -> None:
        """Adds the inputs (…, in) of a weight."""
        if self._last is None or self._last[0]() is not x:
            self._last = None  # frees the product before
            self._last = weakref.ref(x), _product(x)
        product = self._last[1]
        if name in self.found:
            self.found[name].add_(product)
        else:
            self.found[name] = product.clone()


def _checked(found: Tensor | None, handle: MatrixHandle) -> Tensor:
    where = f"{handle.id} ({handle.name})"
    if found is None:
        raise InputError(f"{where}: no token of the calibration text reaches it; take other text")
    if len(found) != handle.shape[1]:
        raise InputError(f"{where} takes {handle.shape[1]} inputs, its layer is given {len(found)}")
    return found


def _product(x: Tensor) -> Tensor:
    """Returns x xᵀ (in, in) in float64 of inputs (…, in), summed over all but the last dimension."""
    rows = x.detach().reshape(-1, x.shape[-1])  # (tokens, in)
    device = torch.device("cpu") if x.device.type == "mps" else x.device
    found = torch.zeros(x.shape[-1], x.shape[-1], dtype=torch.float64, device=device)
    for part in rows.split(max(1, CHUNK // rows.shape[1])):
        wide = part.to(device, torch.float64)
        found.addmm_(wide.T, wide)
    return found


@contextmanager
def _watched(modules: dict[str, list[nn.Module]], sums: _Sums) -> Iterator[None]:
    """Adds up what enters the modules of each weight while the context is open."""
    hooks = []
    try:
        for name, own in modules.items():
            for module in own:

                def see(_: nn.Module, args: tuple[Any, ...], name: str = name) -> None:
                    sums.add(name, args[0])

                hooks.append(module.register_forward_pre_hook(see))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _owners(model: nn.Module, handle: MatrixHandle) -> list[nn.Module]:
    """Returns the modules that have a weight: several where it is tied."""
    return [module for module in model.modules() if any(p is handle.parameter for p in module._parameters.values())]


def _why_unseen(model: nn.Module, handle: MatrixHandle) -> str | None:
    """Returns why the inputs of a matrix cannot be seen; None where they can."""
    owners = _owners(model, handle)
    if not owners:
        return f"{handle.name} is no matrix of the model that the text was to be read by"
    if not handle.layout.stacked and all(isinstance(module, nn.Linear | Conv1D) for module in owners):
        return None
    kind = "holds stacked experts" if handle.layout.stacked else f"is in a {type(owners[0]).__name__}"
    return f"{handle.name} {kind}, whose inputs cannot be seen from outside; take decomposition svd or blocks there"


def _bytes(handle: MatrixHandle) -> int:
    return 8 * handle.shape[1] ** 2


def _batches(sequences: Sequences) -> list[Batch]:
    """Returns the sequences in batches of one length, the longest first."""
    by_length: dict[int, list[Request]] = {}
    for number, ids in enumerate(sequences):
        by_length.setdefault(len(ids), []).append(Request(number, "window", tuple(ids), (0,)))
    batches = []
    for length, requests in sorted(by_length.items(), reverse=True):
        size = max(1, PASS_TOKENS // length)
        for start in range(0, len(requests), size):
            part = requests[start : start + size]
            batches.append(collate(part, [request.index for request in part], pad_id=0))
    return batches
