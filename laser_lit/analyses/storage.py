"""Rank reduction against pruning by magnitude, at equal storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from laser_lit.analyses.further import Further
from laser_lit.edits.edit import Edit
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixId, MatrixMap
from laser_lit.results.scored import Scored
from laser_lit.results.storage import Storage, StoragePoint
from laser_lit.tasks.base import SPLITS


@dataclass(frozen=True)
class StoragePlan:
    """What is scored.

    Attributes:
        shares: as typed, one for each set of ranks.
        ranks: by share and matrix.
        shapes: (out, in) of each matrix.
        stacks: low rank and pruned by share.
        whitened: whether the low-rank ones are.
    """

    shares: tuple[float, ...]
    ranks: tuple[tuple[int, ...], ...]
    shapes: tuple[tuple[int, int], ...]
    stacks: tuple[tuple[Stack, Stack], ...]
    whitened: bool

    @classmethod
    def of(cls, shares: Sequence[float], stack: Stack, matrices: MatrixMap) -> "StoragePlan":
        """Returns the stacks that take shares of the storage of each matrix that a stack edits.

        A rank whose factors take no more than the share is chosen, and 1 where even that takes more; shares with the
        same ranks are one.

        Args:
            shares: in (0, 1].
            stack: says which matrices, and how they are decomposed where all of them are whitened.
            matrices: the model's.

        Raises:
            InputError: a matrix whose factors take more than itself at any rank.
        """
        ids = list(stack.by_matrix(matrices))
        shapes = tuple(matrices[id].shape for id in ids)
        for id, shape in zip(ids, shapes, strict=True):
            if sum(shape) > shape[0] * shape[1]:
                raise InputError(f"analysis.storage: factors of {id}, {shape}, take more than the matrix at any rank")
        whitened = stack.calibration is not None and all(edit.decomposition == "whitened" for edit in stack.edits)
        ranks: dict[tuple[int, ...], float] = {}
        for share in sorted(shares):
            ranks.setdefault(tuple(_rank(share, shape) for shape in shapes), share)
        stacks = tuple(_pair(ids, each, stack, whitened) for each in ranks)
        return cls(tuple(ranks.values()), tuple(ranks), shapes, stacks, whitened)


def _rank(share: float, shape: tuple[int, int]) -> int:
    return max(1, int(Decimal(str(share)) * shape[0] * shape[1] / sum(shape)))


def _pair(ids: Sequence[MatrixId], ranks: Sequence[int], stack: Stack, whitened: bool) -> tuple[Stack, Stack]:
    def made(**how: Any) -> Stack:
        edits = [
            Edit(id.layer, id.matrix, rank=rank, part=id.part, expert=id.expert, **how)
            for id, rank in zip(ids, ranks, strict=True)
        ]
        return Stack(edits, svd=stack.svd, cache=stack.cache, calibration=stack.calibration)

    return made(decomposition="whitened") if whitened else made(), made(kind="prune")


def storage(plan: StoragePlan, rows: Sequence[AppliedEdit], further: Further) -> Storage:
    """Returns the scores of both reductions at each amount of storage.

    Args:
        plan: what is scored.
        rows: the run's own stack as resolved.
        further: scores.
    """
    found: dict[str, list[tuple[Scored, Scored]]] = {}
    for split in SPLITS:
        tables = further.tables([stack for pair in plan.stacks for stack in pair], split)
        pairs = zip(tables[::2], tables[1::2], strict=True)
        found[split] = [(further.scored(low, split, pruned), further.scored(pruned, split)) for low, pruned in pairs]
    points = []
    for number, (share, ranks) in enumerate(zip(plan.shares, plan.ranks, strict=True)):
        kept = sum(rank * sum(shape) for rank, shape in zip(ranks, plan.shapes, strict=True))
        low, pruned = ({split: found[split][number][place] for split in SPLITS} for place in (0, 1))
        points.append(StoragePoint(share, kept, ranks, low, pruned))
    numbers = sum(shape[0] * shape[1] for shape in plan.shapes)
    return Storage(len(plan.shapes), numbers, tuple(points), _own(rows), plan.whitened)


def _own(rows: Sequence[AppliedEdit]) -> int | None:
    """Returns the numbers that the factors of a stack's edits have; None where there are edits without such factors."""
    factored = all(row.kind == "low_rank" and row.blocks is None for row in rows)
    if not factored or len({row.name for row in rows}) < len(rows):
        return None
    return sum((row.rank or 0) * sum(row.shape) for row in rows)
