"""What a record says of the singular values of the edited matrices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spectrum:
    """The singular values that an edit chose among, thinned out for a figure where there are many.

    Attributes:
        edit: place in the record's edits, from 0.
        components: numbers of the components shown, from 1, ascending.
        values: their singular values; in blocks the root of the sum of the blocks' squares.
        energy: share of the sum of all squares that the edit keeps, in [0, 1].
        effective_rank: exp(entropy) of all singular values over their sum.
        edge: where pure noise of this shape would end (Marchenko and Pastur, sigma from the median); None where the
            values are not those of the matrix itself.
        above: singular values above the edge; None without one.
        outputs: whether they are of the matrix's outputs on the calibration text.
    """

    edit: int
    components: tuple[int, ...]
    values: tuple[float, ...]
    energy: float
    effective_rank: float
    edge: float | None = None
    above: int | None = None
    outputs: bool = False

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Spectrum":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        return cls(**{**content, "components": tuple(content["components"]), "values": tuple(content["values"])})


@dataclass(frozen=True)
class Spectra:
    """The spectra of a stack.

    Attributes:
        shown: in the order of the edits.
        left_out: how many other edits keep a rank, and are not shown.
    """

    shown: tuple[Spectrum, ...]
    left_out: int = 0

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Spectra":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        return cls(tuple(Spectrum.of(entry) for entry in content["shown"]), content["left_out"])
