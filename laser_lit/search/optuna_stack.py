"""Stacks as parameters that a sampler can learn from: how many edits, and of each its matrix, layer, kind and rank."""

import math
from typing import Any, Protocol

from laser_lit.edits.edit import Edit
from laser_lit.search.space import Edits, Place, Space, place_of


class Suggests(Protocol):
    """A trial of Optuna's, running or finished."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Returns a whole number in [low, high]."""
        ...

    def suggest_float(self, name: str, low: float, high: float) -> float:
        """Returns a number in [low, high]."""
        ...

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Returns one of the choices."""
        ...


class Stacks:
    """The stacks of a space, each reached by parameters in which near means alike.

    A layer is a number, so that what is learned of one is believed of its neighbours; a rank is its place between the
    lowest and the highest of its matrix on a logarithmic scale, which means the same for matrices of unlike shape. What
    a trial asks for and the space does not have becomes the nearest that it has.
    """

    def __init__(self, space: Space, most: int) -> None:
        """Sorts the candidates.

        Args:
            space: the candidates.
            most: edits of one stack.
        """
        self._candidates = space.by_matrix()
        self._layers: dict[str, dict[int, Place]] = {}
        for place in self._candidates:
            self._layers.setdefault(_name(place), {})[place[1]] = place
        layers = [layer for _, layer, _ in self._candidates]
        self._first, self._last = min(layers), max(layers)
        self._kinds = list(dict.fromkeys(edit.kind for edit in space.edits))
        self._most = min(most, len(self._candidates))

    def of(self, trial: Suggests) -> Edits:
        """Returns the stack that a trial stands for, in an order that does not depend on the trial's.

        No matrix is in it twice: an edit gives way to the nearest layer whose matrix is free, or is left out.

        Args:
            trial: asked for `edits`, and for each of them `matrix`, `layer`, `kind` and `log_rank` with its number.
        """
        stack: dict[Place, Edit] = {}
        for number in range(trial.suggest_int("edits", 1, self._most)):
            places = self._layers[trial.suggest_categorical(f"matrix_{number}", list(self._layers))]
            layer = trial.suggest_int(f"layer_{number}", self._first, self._last)
            kind = trial.suggest_categorical(f"kind_{number}", self._kinds)
            share = 0.0 if kind == "zero" else trial.suggest_float(f"log_rank_{number}", 0.0, 1.0)
            free = [place for place in places.values() if place not in stack]
            if free:
                place = min(free, key=lambda place: (abs(place[1] - layer), place[1]))
                stack[place] = self._nearest(place, kind, share)
        return tuple(sorted(stack.values(), key=lambda edit: (_name(place_of(edit)), place_of(edit)[1])))

    def _nearest(self, place: Place, kind: str, share: float) -> Edit:
        """Returns the candidate whose rank is nearest to a share of the way from the matrix's lowest to its highest."""
        edits = [edit for edit in self._candidates[place] if edit.kind == kind] or self._candidates[place]
        logs = [math.log(edit.rank or 1) for edit in edits]
        wanted = min(logs) + share * (max(logs) - min(logs))
        return min(zip(edits, logs, strict=True), key=lambda pair: abs(pair[1] - wanted))[0]


def _name(place: Place) -> str:
    part, _, matrix = place
    return matrix if part is None else f"{part} {matrix}"
