"""Which tokens of a pass are its prompts, where a caller says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

from laser_lit.errors import InputError

_PROMPT: ContextVar[Tensor | None] = ContextVar("laser_lit_prompt", default=None)


@contextmanager
def prompts(mask: Tensor) -> Iterator[None]:
    """Says where the prompts are, for every pass inside the context; without it all that is attended to is prompt.

    Args:
        mask: (batch, length) of bools, over the tokens from the first one on; tokens beyond it are no prompt.

    Raises:
        InputError: a mask of another shape.
    """
    if mask.dim() != 2 or not len(mask):
        raise InputError(f"prompts: a mask of shape {tuple(mask.shape)}; must be (batch, length)")
    token = _PROMPT.set(mask.bool())
    try:
        yield
    finally:
        _PROMPT.reset(token)


def given_prompts() -> Tensor | None:
    """Returns the mask of the context; None outside of one."""
    return _PROMPT.get()
