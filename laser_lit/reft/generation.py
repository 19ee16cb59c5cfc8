"""What `model.generate` began with, for as long as it runs: a hook sees its passes and not what they are for."""

from functools import update_wrapper
from typing import Any

from torch import Tensor, nn

from laser_lit.errors import InputError

_NAME = "generate"
_INPUTS = ("inputs_embeds", "inputs", "input_ids")


class Generation:
    """A model's `generate` that remembers where the prompts are; the model's own one lies under it.

    Attributes:
        running: whether it runs.
        prompt: where the prompts' tokens are (batch, length), once that is known; None while it does not run.
    """

    def __init__(self, model: nn.Module) -> None:
        """Puts itself in the place of a model's `generate`; a model without one keeps none."""
        self.running = False
        self.prompt: Tensor | None = None
        self._length: int | None = None
        self._of = vars(model)
        self._before = self._of.get(_NAME)
        self._own: Any = getattr(model, _NAME, None)
        if self._own is not None:
            update_wrapper(self, self._own, updated=())
            self._of[_NAME] = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what the model's own one returns."""
        before = self.running, self.prompt, self._length
        named = [kwargs.get(name) for name in _INPUTS]
        given = next((inputs for inputs in (named[0], *args[:1], *named[1:]) if isinstance(inputs, Tensor)), None)
        self._length = None if given is None else given.shape[1]
        mask = kwargs.get("attention_mask")
        self.running, self.prompt = True, mask.bool() if isinstance(mask, Tensor) and mask.dim() == 2 else None
        try:
            return self._own(*args, **kwargs)
        finally:
            self.running, self.prompt, self._length = before

    def begins(self, shown: Tensor) -> Tensor:
        """Returns where the prompts' tokens are, and keeps it, where transformers made the mask itself.

        Args:
            shown: what the first pass attends to (batch, length); candidates that were looked up may follow the prompt.

        Raises:
            InputError: the first pass does not hold all of the prompt.
        """
        if self._length is not None and shown.shape[1] < self._length:
            raise InputError(
                f"generation begins with {shown.shape[1]} of a prompt's {self._length} tokens (prefill_chunk_size), "
                "which does not tell where the prompt ends: give generate an attention_mask"
            )
        self.prompt = shown[:, : self._length]
        return self.prompt

    def remove(self) -> None:
        """Gives the place back; from below others that were put over it, too."""
        above = self._of.get(_NAME)
        if above is self:
            if self._before is None:
                del self._of[_NAME]
            else:
                self._of[_NAME] = self._before
        while isinstance(above, Generation):
            if above._before is self:
                above._before, above._own = self._before, self._own
            above = above._before
