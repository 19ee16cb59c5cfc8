"""What was done to one matrix, for records and manifests."""

from dataclasses import dataclass

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

    @property
    def d(self) -> int:
        """The smaller side of the matrix: its full rank."""
        return min(self.shape)

    @classmethod
    def of(
        cls, handle: MatrixHandle, kind: str, rank: int | None, rho: float, relative_error: float, content: str
    ) -> "AppliedEdit":
        """Returns the row of an edit of a handle's matrix."""
        id = handle.id
        return cls(
            id.layer, id.matrix, id.part, id.expert, handle.name, handle.shape, kind, rank, rho, relative_error, content
        )
