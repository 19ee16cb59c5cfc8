"""What a record says about the search that chose its edits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laser_lit.results.compression import Compression


@dataclass(frozen=True)
class SearchRecord:
    """How the edits were chosen on validation; the cells themselves are in cells.parquet beside the record.

    Attributes:
        driver: as typed after `search=`.
        objective: "accuracy" or "log_loss", on validation.
        candidates: single edits that the search could choose from.
        tried: stacks that were scored in full or in part, or failed.
        scored: stacks scored on all of validation.
        cost: what was scored, in stacks on all of validation.
        failed: stacks that could not be scored.
        base: objective of the base, higher is better; of log loss its negative.
        chosen: objective of the chosen stack; None where nothing was chosen.
        adjusted_p: max-T adjusted p of the chosen stack on validation.
        improving: stacks that gain with an adjusted p of at most .05.
        detectable: smallest gain on test, in the objective's unit, that its size could have shown (80 % power,
            two-sided 5 %); None where it is not known.
        path: accepted steps of a greedy search: edits in words, validation objective, gain of the step.
        guard: what the guard said of the chosen stack; None without a guard.
        curves: best objective so far against cost, of every search on this model and data in the results folder:
            driver, cost, merit.
        delta: harm that does not count, in the objective's unit; None in records of older versions.
        compression: of a search for the smallest model; None for others.
    """

    driver: str
    objective: str
    candidates: int
    tried: int
    scored: int
    cost: float
    failed: int
    base: float
    chosen: float | None = None
    adjusted_p: float | None = None
    improving: int = 0
    detectable: float | None = None
    path: tuple[Mapping[str, Any], ...] = ()
    guard: Mapping[str, Any] | None = None
    curves: tuple[Mapping[str, Any], ...] = field(default_factory=tuple)
    delta: float | None = None
    compression: Compression | None = None

    def __post_init__(self) -> None:
        if isinstance(self.compression, Mapping):  # as result.json has it
            object.__setattr__(self, "compression", Compression.of(self.compression))
