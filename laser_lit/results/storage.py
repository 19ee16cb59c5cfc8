"""What a record says of rank reduction against pruning at equal storage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laser_lit.results.scored import Scored

PARTS = ("low_rank", "pruned")


@dataclass(frozen=True)
class StoragePoint:
    """Both reductions of the edited matrices at one amount of storage.

    Attributes:
        share: of the matrices' numbers, as asked for.
        kept: numbers that the factors have together, and that pruning keeps.
        ranks: of each matrix.
        low_rank: scores by split of the matrices cut to these ranks; `against` is the gain over pruning.
        pruned: scores by split of the same matrices pruned by magnitude.
    """

    share: float
    kept: int
    ranks: tuple[int, ...]
    low_rank: Mapping[str, Scored]
    pruned: Mapping[str, Scored]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "StoragePoint":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        parts = {name: {split: Scored.of(entry) for split, entry in content[name].items()} for name in PARTS}
        return cls(content["share"], content["kept"], tuple(content["ranks"]), **parts)


@dataclass(frozen=True)
class Storage:
    """The edited matrices at several amounts of storage.

    Attributes:
        matrices: how many there are.
        numbers: entries that they have together.
        points: the least storage first.
        own: numbers that the run's own edits keep; None where some of them are not low-rank factors.
        whitened: whether ranks are of the matrices' outputs on the calibration text, as the run's own edits.
    """

    matrices: int
    numbers: int
    points: tuple[StoragePoint, ...]
    own: int | None = None
    whitened: bool = False

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Storage":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        return cls(**{**content, "points": tuple(StoragePoint.of(point) for point in content["points"])})
