"""Batches of requests of like length, padded to the right or left, with masks and positions."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, overload

import torch
from torch import Tensor

from laser_lit.errors import InputError, unknown_name
from laser_lit.scoring.request import Request

Side = Literal["right", "left"]


@dataclass(frozen=True)
class Batch:
    """Requests as padded tensors; `to(device)` moves them, as Lightning does by itself.

    Attributes:
        numbers: positions of the requests in the list that `encode` returned.
        requests: the requests themselves, in the batch's order.
        side: where the padding stands.
        pad_id: id of the padding.
        input_ids: (B, L).
        attention_mask: (B, L), 1 where there is a token.
        position_ids: (B, L), from 0 at the first token; 0 on padding.
        rows: (R,) row of each position whose logits are read, every position once.
        columns: (R,) its column.
        slots: (T,) which of the R positions each target belongs to, request after request.
        targets: (T,) ids looked up.
        firsts: (B,) which of the R positions each request reads first.
    """

    numbers: tuple[int, ...]
    requests: tuple[Request, ...]
    side: Side
    pad_id: int
    input_ids: Tensor = field(repr=False)
    attention_mask: Tensor = field(repr=False)
    position_ids: Tensor = field(repr=False)
    rows: Tensor = field(repr=False)
    columns: Tensor = field(repr=False)
    slots: Tensor = field(repr=False)
    targets: Tensor = field(repr=False)
    firsts: Tensor = field(repr=False)

    @property
    def max_new_tokens(self) -> int:
        """Tokens to generate, 0 for a batch whose logits are read."""
        return self.requests[0].max_new_tokens

    @property
    def prompt_mask(self) -> Tensor:
        """Where a causal model's prompts are, (B, L) of bools: each sequence up to the first position that is read.

        An answer that is teacher forced begins after it. A prompt that is to be continued is prompt as a whole; of a
        window of text it is what is not scored, and the one token that the first scored one is predicted from.
        """
        attended = self.attention_mask.bool()
        if self.max_new_tokens:
            return attended
        places = torch.arange(attended.shape[1], device=attended.device)  # (L,)
        return attended & (places <= self.columns[self.firsts, None])

    def to(self, device: torch.device | str) -> "Batch":
        """Returns the batch with its tensors on the device."""
        names = ("input_ids", "attention_mask", "position_ids", "rows", "columns", "slots", "targets", "firsts")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def part(self, start: int, stop: int) -> "Batch":
        """Returns the batch of the requests from `start` to before `stop`, on the CPU."""
        return collate(self.requests[start:stop], self.numbers[start:stop], self.pad_id, self.side)


def collate(requests: Sequence[Request], numbers: Sequence[int], pad_id: int, side: Side = "right") -> Batch:
    """Returns the requests as one batch.

    Args:
        requests: at least one; either all generate, as many tokens each, or none does.
        numbers: position of each in the list that `encode` returned.
        pad_id: id of the padding, any that the model has an embedding for.
        side: "right" or "left"; requests that generate are always padded on the left.
    """
    if len({request.max_new_tokens for request in requests}) != 1:
        raise InputError("a batch holds requests that generate equally many tokens, or none")
    side = "left" if requests[0].max_new_tokens else side
    width = max(len(request.tokens) for request in requests)
    ids = torch.full((len(requests), width), pad_id)  # (B, L)
    mask = torch.zeros_like(ids)
    rows: list[int] = []
    columns: list[int] = []
    slots: list[int] = []
    targets: list[int] = []
    firsts: list[int] = []
    for row, request in enumerate(requests):
        length = len(request.tokens)
        start = width - length if side == "left" else 0
        ids[row, start : start + length] = torch.tensor(request.tokens)
        mask[row, start : start + length] = 1
        firsts.append(len(rows))
        unique = {read: len(rows) + i for i, read in enumerate(dict.fromkeys(request.reads))}
        rows += [row] * len(unique)
        columns += [start + read for read in unique]
        slots += [unique[read] for read, _ in zip(request.reads, request.targets, strict=False)]
        targets += request.targets
    positions = (mask.cumsum(1) - 1).clamp(min=0) * mask  # (B, L)
    places = [torch.tensor(values, dtype=torch.long) for values in (rows, columns, slots, targets, firsts)]
    return Batch(tuple(numbers), tuple(requests), side, pad_id, ids, mask, positions, *places)


class Batches(Sequence[Batch]):
    """Every request once, in batches of like length, the longest first; the same each time.

    A sequence of batches, so that `DataLoader(batches, batch_size=None)` works as it stands.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        pad_id: int,
        batch_size: int = 32,
        max_tokens: int | None = None,
        side: Side = "right",
    ) -> None:
        """Plans the batches; nothing is padded before it is asked for.

        Args:
            requests: as `encode` returned them.
            pad_id: see `pad_token`.
            batch_size: most requests in a batch.
            max_tokens: most tokens in a batch, padding included; a longer single request stands alone.
            side: where the padding goes.

        Raises:
            InputError: a batch size or token budget below 1, or an unknown side.
        """
        if batch_size < 1 or (max_tokens is not None and max_tokens < 1):
            raise InputError(f"batch_size {batch_size}, max_tokens {max_tokens}: must be at least 1")
        if side not in ("right", "left"):
            raise unknown_name("padding side", side, ("right", "left"))
        self.requests = requests
        self.pad_id = pad_id
        self.side = side
        self._plan = _plan(requests, batch_size, max_tokens)

    def __len__(self) -> int:
        return len(self._plan)

    @overload
    def __getitem__(self, item: int) -> Batch: ...
    @overload
    def __getitem__(self, item: slice) -> list[Batch]: ...
    def __getitem__(self, item: int | slice) -> Batch | list[Batch]:
        if isinstance(item, slice):
            return [self[i] for i in range(len(self))[item]]
        numbers = self._plan[item]
        return collate([self.requests[n] for n in numbers], numbers, self.pad_id, self.side)

    def shard(self, rank: int, world: int) -> "Batches":
        """Returns the batches of one process; those of all processes are every batch once, none twice.

        Args:
            rank: this process, in [0, world).
            world: number of processes.
        """
        if not 0 <= rank < world:
            raise InputError(f"rank {rank} of {world}: must lie in [0, {world})")
        part = object.__new__(Batches)
        part.requests, part.pad_id, part.side = self.requests, self.pad_id, self.side
        part._plan = self._plan[rank::world]
        return part


def _plan(requests: Sequence[Request], batch_size: int, max_tokens: int | None) -> list[list[int]]:
    """Returns the numbers of the requests of each batch."""
    order = sorted(range(len(requests)), key=lambda n: (requests[n].max_new_tokens, -len(requests[n].tokens), n))
    plan: list[list[int]] = []
    for number in order:
        if plan and _joins(requests, plan[-1], number, batch_size, max_tokens):
            plan[-1].append(number)
        else:
            plan.append([number])
    return plan


def _joins(requests: Sequence[Request], batch: list[int], number: int, batch_size: int, max_tokens: int | None) -> bool:
    longest = requests[batch[0]]
    if len(batch) >= batch_size or longest.max_new_tokens != requests[number].max_new_tokens:
        return False
    width = len(longest.tokens) + longest.max_new_tokens
    return max_tokens is None or (len(batch) + 1) * width <= max_tokens


def pad_token(tokenizer: object) -> int:
    """Returns the id to pad with: the tokenizer's padding token, else its end token, else 0 (it is never attended)."""
    for name in ("pad_token_id", "eos_token_id"):
        value = getattr(tokenizer, name, None)
        if value is not None:
            return int(value)
    return 0
