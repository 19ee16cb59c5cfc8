"""What was done to one matrix, for records and manifests."""

from dataclasses import dataclass, field
from typing import Any

from laser_lit.linalg.blocks import block_rows
from laser_lit.linalg.whitened import OutputBasis
from laser_lit.models.matrix import MatrixHandle


@dataclass(frozen=True)
class AppliedEdit:
    """One edit of one matrix, as resolved.

    Attributes:
        layer: from 0.
        matrix: one of MATRICES.
        part: encoder, decoder or cross; None for models without parts.
        expert: index of the expert; None for dense matrices.
        name: the parameter's name in memory.
        shape: (out, in).
        kind: low_rank, high_order, prune or zero.
        rank: kept components (dropped ones for high_order); 0 for zero; None for prune unless a rank set the amount.
        rho: the share typed, else rank over min(out, in); of the entries for prune.
        relative_error: Frobenius distance to the original over its Frobenius norm, before the cast to the stored type.
        content: hash of the original matrix.
        decomposition: what components are, where they are not those of a plain SVD: whitened or blocks.
        blocks: how many blocks of rows have a subspace each.
        calibration: what the inputs of a whitened matrix were, as `Calibration.key` names them.
        output_error: of a whitened matrix ‖(W − W') X‖ / ‖W X‖ on these inputs X, as the singular values tell it.
        basis: what the outputs of a whitened matrix were projected on, to do the same again without the inputs.
    """

    layer: int
    matrix: str
    part: str | None
    expert: int | None
    name: str
    shape: tuple[int, int]
    kind: str
    rank: int | None
    rho: float
    relative_error: float
    content: str
    decomposition: str | None = None
    blocks: int | None = None
    calibration: str | None = None
    output_error: float | None = None
    basis: OutputBasis | None = field(default=None, repr=False, compare=False)

    @property
    def d(self) -> int:
        """The full rank: of the matrix its smaller side, in blocks that of each block."""
        return min(block_rows(self.shape, self.blocks or 1), self.shape[1])

    @classmethod
    def of(
        cls,
        handle: MatrixHandle,
        kind: str,
        rank: int | None,
        rho: float,
        relative_error: float,
        content: str,
        **decomposed: Any,
    ) -> "AppliedEdit":
        """Returns the row of an edit of a handle's matrix; `decomposed` are the fields after `content`."""
        id = handle.id
        place = (id.layer, id.matrix, id.part, id.expert, handle.name, handle.shape)
        return cls(*place, kind, rank, rho, relative_error, content, **decomposed)
