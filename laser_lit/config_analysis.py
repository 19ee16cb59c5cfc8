"""The shape of `analysis=`: what is looked at beside the scores, for the report."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class AnalysisConfig:
    """Which analyses a run makes of the edits that it applies.

    Attributes:
        name: as typed after `analysis=`.
        mechanism: how much of the edit is a constant added to the logits; null does it where the controls can be had.
    """

    name: str = MISSING
    mechanism: bool | None = None
