"""What a record says about interventions, or a LoRA: which, and what they gain alone and together with the edits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laser_lit.results.compare import Gain


@dataclass(frozen=True)
class ReftSplit:
    """Interventions on one split; base and LASER stand in the record's own entries.

    Attributes:
        reft: every metric under the interventions alone.
        gain: of `reft` over the base.
        laser_reft: every metric under the edits and the interventions; None for a run without edits, as what follows.
        laser_reft_gain: of both over the base.
        over_laser: gain of both over the edits alone.
        over_reft: gain of both over the interventions alone.
    """

    reft: Mapping[str, Any]
    gain: Gain
    laser_reft: Mapping[str, Any] | None = None
    laser_reft_gain: Gain | None = None
    over_laser: Gain | None = None
    over_reft: Gain | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "ReftSplit":
        """Returns the split of a record's entry.

        Args:
            content: the attributes as JSON has them.
        """
        gains = {
            name: None if content[name] is None else Gain.of(content[name])
            for name in ("laser_reft_gain", "over_laser", "over_reft")
        }
        return cls(dict(content["reft"]), Gain.of(content["gain"]), content["laser_reft"], **gains)


@dataclass(frozen=True)
class ReftResult:
    """Interventions that were evaluated, or a LoRA.

    Attributes:
        kind: "ReFT" or "LoRA".
        path: the folder, as typed.
        content: hash of all that they do at strength 1.
        types: "loreft", "lora" and the like.
        parameters: number of trained ones.
        strength: factor of what they add.
        test: what is reported.
        validation: the split that may have chosen or trained them.
        made_for: folder or hub id of the model that they were trained on; None where the folder does not say.
        about: what else the folder says of them.
    """

    kind: str
    path: str
    content: str
    types: tuple[str, ...]
    parameters: int
    strength: float
    test: ReftSplit
    validation: ReftSplit
    made_for: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "ReftResult":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them; entries that are not known are left out.
        """
        known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        splits = {name: ReftSplit.of(content[name]) for name in ("test", "validation")}
        return cls(**{**known, **splits, "types": tuple(content["types"])})
