"""What a record holds beside the base: LASER, an adapter, and both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laser_lit.results.compare import Gain
from laser_lit.results.record import Record


@dataclass(frozen=True)
class Variant:
    """One way in which the model was scored.

    Attributes:
        name: "base", "LASER", "ReFT", "LASER + LoRA" and so on.
        metrics: on one split.
        gain: over the base; None for the base itself.
    """

    name: str
    metrics: Mapping[str, Any]
    gain: Gain | None = None


def variants(record: Record, split: str = "test") -> list[Variant]:
    """Returns the base and what was done to it, the most edited one last; empty where the split was not scored.

    Args:
        record: of the run.
        split: "validation" or "test".
    """
    result = record.test if split == "test" else record.validation
    if result is None:
        return []
    found = [Variant("base", result.base)]
    if result.laser is not None:
        found.append(Variant("LASER", result.laser, result.gain))
    if record.reft is not None:
        own = record.reft.test if split == "test" else record.reft.validation
        found.append(Variant(record.reft.kind, own.reft, own.gain))
        if own.laser_reft is not None:
            found.append(Variant(f"LASER + {record.reft.kind}", own.laser_reft, own.laser_reft_gain))
    return found
