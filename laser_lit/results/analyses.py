"""What a record says beyond scores: why the edit does what it does, and what else it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laser_lit.results.compare import Gain
from laser_lit.results.components import Components
from laser_lit.results.composition import Composition
from laser_lit.results.frequency import Frequency
from laser_lit.results.general_text import GeneralText
from laser_lit.results.spectra import Spectra
from laser_lit.results.storage import Storage


@dataclass(frozen=True)
class Mechanism:
    """How much of the edit is one constant added to the base's logits, the same for every question.

    The constant is the mean over validation of (edited − base) logits where the answer is read; no label decides it.

    Attributes:
        gain: of the base with the constant over the base, on test.
        left: of LASER over the base with the constant, on test.
        share: gain in accuracy with the constant over LASER's gain; None where LASER's does not differ from 0 or has
            no interval.
        share_ci95: its interval, bootstrap over groups.
        fixed: test examples that LASER fixes.
        fixed_too: how many of them the constant fixes.
        same: test examples on which LASER and the constant give the same answer.
        lowered: the answers whose logits the constant lowers most, with the shift against the mean over answers, nats.
        raised: those that it raises most.
    """

    gain: Gain
    left: Gain
    share: float | None
    share_ci95: tuple[float, float] | None
    fixed: int
    fixed_too: int
    same: int
    lowered: tuple[tuple[str, float], ...]
    raised: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Mechanism":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        pairs = {name: tuple((word, size) for word, size in content[name]) for name in ("lowered", "raised")}
        gains = {name: Gain.of(content[name]) for name in ("gain", "left")}
        ci95 = content["share_ci95"]
        return cls(**{**content, **pairs, **gains, "share_ci95": None if ci95 is None else (ci95[0], ci95[1])})


@dataclass(frozen=True)
class Analyses:
    """What was analysed; None for what was not.

    Attributes:
        mechanism: whether the edit is a shifted prior.
        spectra: singular values of the edited matrices.
        storage: their ranks against pruning with as many numbers.
        composition: what each edit of a stack adds to those before.
        text: general text before and after the edit.
        frequency: where the facts of the predictions' column `frequency` were counted.
        components: what the higher-order components answer alone.
    """

    mechanism: Mechanism | None = None
    spectra: Spectra | None = None
    storage: Storage | None = None
    composition: Composition | None = None
    text: GeneralText | None = None
    frequency: Frequency | None = None
    components: Components | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Analyses":
        """Returns the entry of a record; analyses of newer versions are left out.

        Args:
            content: the attributes as JSON has them.
        """
        kinds: dict[str, Any] = {
            "mechanism": Mechanism,
            "spectra": Spectra,
            "storage": Storage,
            "composition": Composition,
            "text": GeneralText,
            "frequency": Frequency,
            "components": Components,
        }
        found = {name: content.get(name) for name in kinds}
        return cls(**{name: None if entry is None else _built(kinds[name], entry) for name, entry in found.items()})


def _built(kind: Any, content: Mapping[str, Any]) -> Any:
    """Returns an analysis from the entries that it knows."""
    return kind.of({name: content[name] for name in kind.__dataclass_fields__ if name in content})
