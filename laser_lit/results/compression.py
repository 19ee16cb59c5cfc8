"""What a search for the smallest model found out besides its choice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Compression:
    """The sizes, the speed and the harm of a stack that saves storage; gains and bounds are of validation.

    Attributes:
        delta: harm that does not count, in the objective's unit.
        matrices: that were tried.
        alone: of them those with a cut that saves storage and is by itself not worse than -delta.
        parameters: of the model.
        parameters_after: with two factors in place of each matrix that was cut and can be stored so.
        taken: of these those that were cut in the end.
        all_gain: objective's gain of all the cuts of `alone` together; None where there is none, or no score.
        all_bound: its one-sided lower 95 % bound.
        gain: of what was chosen; None where nothing was.
        bound: its one-sided lower 95 % bound.
        whole: matrices that were cut and that the model can only store whole (several in one tensor, say).
        speed: seconds of the dense model's forward passes over those of the factored one's; None where the model's
            passes cannot be repeated by themselves, or nothing is stored as factors.
        speed_range: the quartiles of the repeats; single ones are far off where other programs run.
        repeats: whose median `speed` is.
        passes: batches of validation in a repeat.
    """

    delta: float
    matrices: int
    alone: int
    parameters: int
    parameters_after: int
    taken: int = 0
    all_gain: float | None = None
    all_bound: float | None = None
    gain: float | None = None
    bound: float | None = None
    whole: int = 0
    speed: float | None = None
    speed_range: tuple[float, float] | None = None
    repeats: int = 0
    passes: int = 0

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Compression":
        """Returns what a record's entry says.

        Args:
            content: the attributes as JSON has them; entries that are not known are left out.
        """
        known = {name: value for name, value in content.items() if name in cls.__dataclass_fields__}
        if known.get("speed_range"):
            known["speed_range"] = tuple(known["speed_range"])
        return cls(**known)
