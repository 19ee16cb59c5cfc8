"""Interventions on a model by forward hooks, at the prompts' tokens alone, while training, scoring and generating."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.reft.methods import Delta, LowRankIntervention
from laser_lit.reft.places import Place
from laser_lit.reft.positions import Slot
from laser_lit.reft.prompt import given_prompts
from laser_lit.reft.streams import gave, given, with_gave, with_given

Site = tuple[Place, Slot, LowRankIntervention]
_GENERATE = "generate"


class Attachment:
    """The hooks of one set of interventions on one model.

    Which tokens are prompt: those of `prompts(…)` where the pass runs inside of it; in `model.generate` the tokens that
    generation began with; else all that the attention mask shows. Tokens that follow a cache are prompt only where
    `prompts` says so. Everything that depends on the parameters alone (the bases) is computed once a pass, before the
    first block.
    """

    def __init__(self, model: nn.Module, sites: Sequence[Site], strength: float = 1.0) -> None:
        """Hooks the model; the user's own hooks stay.

        Args:
            model: with every place's module.
            sites: place, tokens and parameters, in the order of application.
            strength: factor of what is added.
        """
        self.strength = strength
        self._model, self._sites = model, list(sites)
        self._rows: dict[Slot, Tensor] = {}
        self._deltas: list[Delta] = []
        self._length = (0, 0)
        self._generating = False
        self._began_with: Tensor | None = None
        modules = dict(model.named_modules())
        self._handles = [model.register_forward_pre_hook(self._begin, with_kwargs=True, prepend=True)]
        for path, side in dict.fromkeys((place.module, place.side) for place, _, _ in self._sites):
            numbers = [n for n, (place, _, _) in enumerate(self._sites) if (place.module, place.side) == (path, side)]
            if side == "input":
                hook: Any = modules[path].register_forward_pre_hook(partial(self._enters, numbers), with_kwargs=True)
            else:
                hook = modules[path].register_forward_hook(partial(self._leaves, numbers))
            self._handles.append(hook)
        self._wrap_generate()

    def detach(self) -> None:
        """Takes the hooks off; calling it again does nothing."""
        for handle in self._handles:
            handle.remove()
        if self._handles and hasattr(self._model, _GENERATE):
            if self._own_generate is None:
                vars(self._model).pop(_GENERATE, None)
            else:
                vars(self._model)[_GENERATE] = self._own_generate
        self._handles, self._rows, self._deltas = [], {}, []

    def _wrap_generate(self) -> None:
        """Has `model.generate` say what it began with; hooks see its passes, not what they are for."""
        self._own_generate = vars(self._model).get(_GENERATE)
        original = getattr(self._model, _GENERATE, None)
        if original is None:
            return

        def generate(*args: Any, **kwargs: Any) -> Any:
            before = self._generating, self._began_with
            self._generating, self._began_with = True, None
            try:
                return original(*args, **kwargs)
            finally:
                self._generating, self._began_with = before

        vars(self._model)[_GENERATE] = generate

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tokens = next(
            (value for value in (kwargs.get("input_ids"), kwargs.get("inputs_embeds"), *args[:1]) if value is not None),
            None,
        )
        if not isinstance(tokens, Tensor):
            raise InputError("interventions need the model's input_ids or inputs_embeds")
        length = tokens.shape[1]
        self._length = (tokens.shape[0], length)
        past, self._rows = _past(kwargs), {}
        prompt = self._prompt(tokens, kwargs, past)
        if past >= prompt.shape[1]:  # what follows the prompt
            return
        for slot in dict.fromkeys(slot for _, slot, _ in self._sites):
            mask = slot.mask(prompt)[:, past : past + length]
            mask = nn.functional.pad(mask, (0, length - mask.shape[1]))  # (batch, length)
            self._rows[slot] = mask.flatten().nonzero().flatten()  # (n,)
        self._deltas = [edit.delta() for _, _, edit in self._sites]

    def _prompt(self, tokens: Tensor, kwargs: Mapping[str, Any], past: int) -> Tensor:
        """Returns where the prompts' tokens are, counted from the first token of all: (batch, any length) of bools."""
        batch, length = tokens.shape[0], tokens.shape[1]
        prompt = given_prompts()
        if prompt is None and self._generating:
            prompt = self._began_with
        if prompt is None:
            seen: Any = kwargs.get("attention_mask")
            plain = isinstance(seen, Tensor) and seen.dim() == 2
            prompt = seen.bool() if plain else torch.ones(batch, past + length, dtype=torch.bool)
            if past and not self._generating:
                prompt = prompt[:, :past]
            if self._generating:
                self._began_with = prompt
        times, rest = divmod(batch, prompt.shape[0])
        if rest:
            raise InputError(f"prompts of {prompt.shape[0]} sequences were said, and a pass has {batch}")
        return prompt.repeat_interleave(times, 0).to(tokens.device)  # beams of one prompt follow one another

    def _enters(
        self, numbers: Sequence[int], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not self._rows:
            return None
        key, states = given(args, kwargs)
        return with_given(args, kwargs, key, self._edited(states, numbers))

    def _leaves(self, numbers: Sequence[int], module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return with_gave(output, self._edited(gave(output), numbers)) if self._rows else None

    def _edited(self, states: Tensor | None, numbers: Sequence[int]) -> Tensor:
        """Returns the states with every intervention at this place, one after the other."""
        batch, length = self._length
        if states is None or states.shape[:-1] not in ((batch, length), (batch * length,)):
            place, shape = self._sites[numbers[0]][0], None if states is None else tuple(states.shape)
            raise InputError(f"{place.name}: hidden states of shape {shape} for {batch} sequences of {length} tokens")
        flat = states.reshape(batch * length, -1)  # (batch · length, width)
        for number in numbers:
            place, slot, edit = self._sites[number]
            rows = self._rows[slot].to(flat.device)
            if not len(rows) and not edit.training:  # in training every parameter has a gradient, as DDP wants it
                continue
            whole = flat.index_select(0, rows)  # (n, width)
            new = edit.apply_delta(place.take(whole), self._deltas[number], self.strength)
            flat = flat.index_copy(0, rows, place.put(whole, new))
        return flat.view(states.shape)


def _past(kwargs: Mapping[str, Any]) -> int:
    """Returns how many tokens a pass finds in its cache."""
    cache = kwargs.get("past_key_values")
    return 0 if cache is None or not hasattr(cache, "get_seq_length") else int(cache.get_seq_length())
