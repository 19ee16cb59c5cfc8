"""Trainable interventions on the hidden states of one model: where they are, their parameters, on and off."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from laser_lit.errors import InputError
from laser_lit.models.matrices import find_matrices
from laser_lit.reft.attach import Attachment, Site
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.methods import LowRankIntervention
from laser_lit.reft.places import COMPONENTS, Place, Places
from laser_lit.reft.positions import Positions, Slot


@dataclass(frozen=True)
class Base:
    """The model that interventions were made for.

    Attributes:
        id: folder or hub id; None where nobody said.
        revision: commit on the hub.
        model_type: of its config.
        layers: number of blocks.
        size: of the hidden states.
    """

    model_type: str
    layers: int
    size: int
    id: str | None = None
    revision: str | None = None


class Reft(nn.Module):
    """Low-rank interventions on the hidden states of one architecture, in the order in which they are applied.

    Attributes:
        interventions: as the user said them.
        base: the model that they were made for.
        places: where each of `edits` works.
        slots: at which tokens of a prompt each works.
        edits: their parameters.
        origins: index in `interventions` of the one that each of `edits` belongs to.
    """

    def __init__(
        self,
        interventions: Sequence[Intervention],
        base: Base,
        sites: Sequence[tuple[Intervention, Place, Slot]],
        seed: int,
    ) -> None:
        """Makes random parameters; `Reft.on` finds the places first.

        Args:
            interventions: as the user said them.
            base: the model.
            sites: an entry a set of parameters.
            seed: of the parameters.
        """
        super().__init__()
        self.interventions, self.base = tuple(interventions), base
        self.places = [place for _, place, _ in sites]
        self.slots = [slot for _, _, slot in sites]
        self.origins = [self.interventions.index(said) for said, _, _ in sites]
        generator = torch.Generator().manual_seed(seed)
        made = [_parameters(said, place, generator) for said, place, _ in sites]
        self.edits = nn.ModuleList(made)

    @classmethod
    def on(
        cls,
        model: nn.Module,
        interventions: Sequence[Intervention],
        *,
        seed: int = 0,
        id: str | None = None,
        revision: str | None = None,
    ) -> "Reft":
        """Returns interventions for a model, not yet attached.

        Args:
            model: a causal, masked or classification model of transformers, in any type.
            interventions: at least one; several may be at one place, and are applied in their order.
            seed: of the random parameters.
            id: folder or hub id of the model, to be kept with the parameters.
            revision: commit on the hub.

        Raises:
            InputError: a place that the model does not have, or nothing to do.
        """
        if not interventions:
            raise InputError("no interventions: give at least one")
        places = Places(model, find_matrices(model, editable=False))
        sites = [(said, *site) for said in interventions for site in _sites(said, places)]
        base = Base(*architecture_of(model, places), id, revision)
        return cls(interventions, base, sites, seed)

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters, as the published counts have it (d·r for each R)."""
        return sum(parameter.numel() for parameter in self.parameters())

    def sites(self) -> list[Site]:
        """Returns place, tokens and parameters of each edit, in the order of application."""
        edits = (edit for edit in self.edits if isinstance(edit, LowRankIntervention))
        return list(zip(self.places, self.slots, edits, strict=True))

    def attach(self, model: nn.Module, strength: float = 1.0) -> Attachment:
        """Returns the hooks by which a model has the interventions, until their `detach`.

        The parameters move to the devices of the modules that they work at.

        Args:
            model: of the architecture that the interventions were made for.
            strength: factor of what is added to the states; 0 leaves them as they are.

        Raises:
            InputError: another architecture.
        """
        self.check(model)
        self._follow(model)
        return Attachment(model, self.sites(), strength)

    @contextmanager
    def attached(self, model: nn.Module, strength: float = 1.0) -> Iterator[Attachment]:
        """Attaches the interventions inside the context; afterwards the model is as it was, bit for bit.

        Args:
            model: see `attach`.
            strength: see `attach`.
        """
        attachment = self.attach(model, strength)
        try:
            yield attachment
        finally:
            attachment.detach()

    def _follow(self, model: nn.Module) -> None:
        modules, first = dict(model.named_modules()), next(model.parameters())
        for place, _, edit in self.sites():
            device = next(modules[place.module].parameters(), first).device
            if device.type != "meta":  # offloaded: it says nothing of where the states will be
                edit.to(device)

    def check(self, model: nn.Module) -> None:
        """Raises an error for a model of another architecture than the interventions were made for.

        Raises:
            InputError: says what both are.
        """
        names = dict(model.named_modules())
        missing = [place.module for place in self.places if place.module not in names]
        made = (self.base.model_type, self.base.layers, self.base.size)
        places = Places(model, find_matrices(model, editable=False))
        found = architecture_of(model, places)
        if made != found or missing:
            lacks = f"; it has no {missing[0]}" if missing else ""
            raise InputError(
                f"the interventions were made for {self.base.id or 'a model'} ({_words(*made)}), and this model is "
                f"{_words(*found)}{lacks}: attach them to the model they were trained on"
            )
        named = [said for said in self.interventions if said.component in COMPONENTS]
        here = {place.name: place for said in named for place, _ in _sites(said, places)}
        for place in self.places:
            other = here.get(place.name, place)
            if other != place:
                raise InputError(
                    f"{place.name} has {other.size} entries in this model, and the interventions were made for "
                    f"{place.size} in {place.module}: attach them to the model they were trained on"
                )


def architecture_of(model: Any, places: Places) -> tuple[str, int, int]:
    """Returns type, number of layers and size of the hidden states."""
    return str(model.config.model_type), places.count, places.find("block_output", 0).size


def _words(model_type: str, layers: int, size: int) -> str:
    return f"{model_type}, {layers} layers of size {size}"


def _sites(said: Intervention, places: Places) -> Iterator[tuple[Place, Slot]]:
    """Yields place and tokens of each set of parameters of an intervention, prefixes of all layers first."""
    named = said.component in COMPONENTS
    if named and said.layer is None:
        raise InputError(f"component {said.component}: needs a layer, an index, a list or all")
    if not named and said.layer is not None:
        places.find(said.component, None)  # a misspelt component is told first
        raise InputError(
            f"component {said.component} is a path of its own, so layer {said.layer} would count for nothing"
        )
    layers: list[int | None] = [*places.layers(said.layer)] if named else [None]
    found = [places.find(said.component, layer) for layer in layers]
    for slot in Positions.parse(said.positions).slots(said.share):
        yield from ((place, slot) for place in found)


def _parameters(said: Intervention, place: Place, generator: torch.Generator) -> LowRankIntervention:
    try:
        return LowRankIntervention(
            said.type,
            place.size,
            said.rank,
            act_fn=said.act_fn,
            dropout=said.dropout,
            dtype=said.dtype,
            bias=said.bias,
            generator=generator,
        )
    except InputError as error:
        raise InputError(f"{place.name}: {error}") from error
