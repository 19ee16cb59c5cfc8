"""At which tokens an intervention works: the first and the last ones of each prompt, as masks."""

import re
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from laser_lit.errors import InputError, unknown_name

Share = Literal["all", "ends", "none"]
SHARES = ("all", "ends", "none")


@dataclass(frozen=True)
class Slot:
    """The tokens of a prompt that one set of parameters works at.

    Attributes:
        first: first and last rank (exclusive) from the prompt's beginning, from 0; None is none of them.
        last: the same from the prompt's end.
    """

    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None

    def mask(self, prompt: Tensor) -> Tensor:
        """Returns where the slot's tokens are, (batch, length) of bools.

        A prompt of n tokens has at most n // 2 first and n // 2 last ones, so that no token is both, and a short prompt
        has fewer than asked for.

        Args:
            prompt: (batch, length) of bools, where the prompts' tokens are; padding may stand anywhere.

        Source: ReFT's positions (pyreft's get_intervention_locations).
        """
        rank = prompt.cumsum(1) - 1  # (batch, length)
        count = prompt.sum(1, keepdim=True)  # (batch, 1)
        half = count // 2
        found = torch.zeros_like(prompt)
        for ranks, span in ((rank, self.first), (count - 1 - rank, self.last)):
            if span is not None:
                found |= prompt & (ranks >= span[0]) & (ranks < span[1]) & (ranks < half)
        return found


@dataclass(frozen=True)
class Positions:
    """How many tokens at each end of a prompt.

    Attributes:
        first: of the beginning.
        last: of the end.
    """

    first: int = 0
    last: int = 0

    @classmethod
    def parse(cls, text: str) -> "Positions":
        """Returns what "f7+l7", "f1" or "l1" means.

        Raises:
            InputError: anything else.
        """
        found = re.fullmatch(r"(?:f(\d+))?\+?(?:l(\d+))?", text)
        first, last = (int(number or 0) for number in found.groups()) if found else (0, 0)
        if not found or first + last == 0 or str(cls(first, last)) != text:
            raise InputError(
                f"positions {text!r}: must be like f7+l7 (the first and the last 7 tokens of the prompt), f7 or l1"
            )
        return cls(first, last)

    def __str__(self) -> str:
        return "+".join(f"{end}{n}" for end, n in (("f", self.first), ("l", self.last)) if n)

    def slots(self, share: Share) -> list[Slot]:
        """Returns the tokens of each set of parameters.

        Args:
            share: "all" (one set), "ends" (one for the first tokens, one for the last), "none" (one a position).

        Raises:
            InputError: another word.
        """
        if share not in SHARES:
            raise unknown_name("share", share, SHARES)
        first = (0, self.first) if self.first else None
        last = (0, self.last) if self.last else None
        if share == "all":
            return [Slot(first, last)]
        if share == "ends":
            return [slot for slot in (Slot(first=first), Slot(last=last)) if slot != Slot()]
        return [Slot(first=(i, i + 1)) for i in range(self.first)] + [
            Slot(last=(i, i + 1)) for i in reversed(range(self.last))
        ]
