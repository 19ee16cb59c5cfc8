"""Interventions on a model by forward hooks, at the prompts' tokens alone, while training, scoring and generating."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Variable

from laser_lit.errors import InputError
from laser_lit.reft.generation import Generation
from laser_lit.reft.methods import Delta, LowRankIntervention
from laser_lit.reft.places import Place, token_reader
from laser_lit.reft.positions import Slot
from laser_lit.reft.prompt import given_prompts
from laser_lit.reft.streams import gave, given, with_gave, with_given

Site = tuple[Place, Slot, LowRankIntervention]


@dataclass(frozen=True)
class _Pass:
    """One pass of the model.

    Attributes:
        shape: number of sequences and their length.
        rows: of each slot, which of the batch · length states it works at; empty where the pass holds no prompt.
        deltas: what each site adds.
    """

    shape: tuple[int, int]
    rows: Mapping[Slot, Tensor]
    deltas: Sequence[Delta]


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
        self._sites = list(sites)
        self._pass: _Pass | None = None
        modules = dict(model.named_modules())
        reader = token_reader(model)
        self._names = list(inspect.signature(reader.forward).parameters)
        self._handles = [
            reader.register_forward_pre_hook(self._begin, with_kwargs=True, prepend=True),
            reader.register_forward_hook(self._end, always_call=True),
        ]
        for path, side in dict.fromkeys((place.module, place.side) for place, _, _ in self._sites):
            numbers = [n for n, (place, _, _) in enumerate(self._sites) if (place.module, place.side) == (path, side)]
            if side == "input":
                hook: Any = modules[path].register_forward_pre_hook(partial(self._enters, numbers), with_kwargs=True)
            else:
                hook = modules[path].register_forward_hook(partial(self._leaves, numbers))
            self._handles.append(hook)
        self._generation = Generation(model)

    def detach(self) -> None:
        """Takes the hooks off; calling it again does nothing."""
        for handle in self._handles:
            handle.remove()
        if self._handles:
            self._generation.remove()
        self._handles, self._pass = [], None

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        named = {**dict(zip(self._names, args, strict=False)), **kwargs}
        tokens = next((named[name] for name in ("input_ids", "inputs_embeds") if named.get(name) is not None), None)
        if not isinstance(tokens, Tensor):
            raise InputError("interventions need the model's input_ids or inputs_embeds")
        batch, length = tokens.shape[:2]
        past = _past(named)
        prompt = self._prompt(named, batch, past, length).to(tokens.device)
        if past >= prompt.shape[1]:  # what follows the prompt
            self._pass = _Pass((batch, length), {}, ())
            return
        rows = {}
        for slot in dict.fromkeys(slot for _, slot, _ in self._sites):
            mask = slot.mask(prompt)[:, past : past + length]
            mask = nn.functional.pad(mask, (0, length - mask.shape[1]))  # (batch, length)
            rows[slot] = mask.flatten().nonzero().flatten()  # (n,)
        self._pass = _Pass((batch, length), rows, [edit.delta() for _, _, edit in self._sites])

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forgets the pass but while its gradients are taken: gradient checkpointing then runs parts of it again."""

        def forget() -> None:
            self._pass = None

        def again(now: _Pass | None, gradient: Tensor) -> None:
            self._pass = now
            Variable._execution_engine.queue_callback(forget)  # runs when all gradients are there

        for tensor in _tensors(output):
            if tensor.requires_grad:
                tensor.register_hook(partial(again, self._pass))
        self._pass = None

    def _prompt(self, named: Mapping[str, Any], batch: int, past: int, length: int) -> Tensor:
        """Returns where the prompts' tokens are, counted from the first token of all: (batch, any length) of bools."""
        prompt, generation = given_prompts(), self._generation
        if prompt is None:
            prompt = generation.prompt
        if prompt is None:
            prompt = _attended(named.get("attention_mask"), batch, past + length)
            if generation.running:
                prompt = generation.begins(prompt)
            elif past:
                prompt = prompt[:, :past]
        times, rest = divmod(batch, prompt.shape[0])
        if rest:
            raise InputError(f"prompts of {prompt.shape[0]} sequences were said, and a pass has {batch}")
        return prompt.repeat_interleave(times, 0)  # beams of one prompt follow one another

    def _enters(
        self, numbers: Sequence[int], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        now = self._now(numbers)
        if not now.rows:
            return None
        key, states = given(args, kwargs)
        return with_given(args, kwargs, key, self._edited(states, numbers, now))

    def _leaves(self, numbers: Sequence[int], module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        now = self._now(numbers)
        return with_gave(output, self._edited(gave(output), numbers, now)) if now.rows else None

    def _now(self, numbers: Sequence[int]) -> _Pass:
        if self._pass is None:
            name = self._sites[numbers[0]][0].name
            raise InputError(
                f"{name}: a part of the model runs alone; call the model that interventions are attached to"
            )
        return self._pass

    def _edited(self, states: Tensor | None, numbers: Sequence[int], now: _Pass) -> Tensor:
        """Returns the states with every intervention at this place, one after the other."""
        batch, length = now.shape
        if states is None or states.shape[:-1] not in ((batch, length), (batch * length,)):
            place, shape = self._sites[numbers[0]][0], None if states is None else tuple(states.shape)
            raise InputError(f"{place.name}: hidden states of shape {shape} for {batch} sequences of {length} tokens")
        flat = states.reshape(batch * length, -1)  # (batch · length, width)
        for number in numbers:
            place, slot, edit = self._sites[number]
            rows = now.rows[slot].to(flat.device)
            if not len(rows) and not edit.training:  # in training every parameter has a gradient, as DDP wants it
                continue
            whole = flat.index_select(0, rows)  # (n, width)
            new = edit.apply_delta(place.take(whole), now.deltas[number], self.strength)
            flat = flat.index_copy(0, rows, place.put(whole, new))
        return flat.view(states.shape)


def _attended(mask: Any, batch: int, length: int) -> Tensor:
    """Returns the tokens that a model's attention mask shows, (batch, length) of bools.

    Raises:
        InputError: a mask that does not tell.
    """
    if mask is None:
        return torch.ones(batch, length, dtype=torch.bool)
    if not isinstance(mask, Tensor) or mask.dim() != 2:
        shown = f"of shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else f"of type {type(mask).__name__}"
        raise InputError(
            f"an attention_mask {shown} does not tell which tokens are padding: give one of shape (batch, length), to "
            "generate too, or say where the prompts are with prompts(mask)"
        )
    return mask.bool()


def _past(named: Mapping[str, Any]) -> int:
    """Returns how many tokens a pass finds in its cache."""
    cache = named.get("past_key_values")
    return 0 if cache is None or not hasattr(cache, "get_seq_length") else int(cache.get_seq_length())


def _tensors(output: Any) -> Iterator[Tensor]:
    """Yields the tensors of a model's output, itself, or in dictionaries, tuples and lists."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping | tuple | list):
        for part in output.values() if isinstance(output, Mapping) else output:
            yield from _tensors(part)
