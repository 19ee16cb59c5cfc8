"""Where one (out, in) matrix lies inside a stored tensor; needs no model, only the tensor."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from laser_lit.errors import InputError


class Shaped(Protocol):
    """What has a shape: a tensor in memory, or the description of one on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""


@dataclass(frozen=True)
class Layout:
    """The part of a stored tensor that is one matrix.

    Attributes:
        axes: what the axes of the stored tensor mean: "out", "in" and, for stacked experts, "expert".
        shares: relative numbers of rows of the matrices that are fused along "out", in stored order.
        position: which of the fused matrices this one is.
        groups: into how many equal blocks "out" is cut before each block holds its part of every fused matrix
            (1 when the fused matrices simply follow one another).
    """

    axes: tuple[str, ...] = ("out", "in")
    shares: tuple[int, ...] = (1,)
    position: int = 0
    groups: int = 1

    @property
    def stacked(self) -> bool:
        """Whether the stored tensor has an axis of experts."""
        return "expert" in self.axes

    def experts(self, stored: Shaped) -> int | None:
        """Returns how many experts the stored tensor holds; None when it has no such axis."""
        return stored.shape[self.axes.index("expert")] if self.stacked else None

    def region(self, stored: Tensor, expert: int | None = None) -> Tensor:
        """Returns a view of the matrix in the stored tensor, (out, in) or (groups, out / groups, in).

        Args:
            stored: the tensor with one dimension an entry of `axes`.
            expert: index along the axis of experts; only for stacked tensors.

        Raises:
            InputError: the tensor does not have the dimensions or divide into the shares that the layout says.
        """
        if stored.dim() != len(self.axes):
            raise InputError(f"a tensor of shape {tuple(stored.shape)} was described as ({', '.join(self.axes)})")
        axes = list(self.axes)
        if "expert" in axes:
            if expert is None:
                raise InputError("stacked experts: name the expert")
            axis = axes.index("expert")
            stored = stored.select(axis, expert)
            axes.pop(axis)
        block = stored if axes == ["out", "in"] else stored.T  # (out, in)
        if len(self.shares) == 1:
            return block
        start, stop = self.rows(block.shape[0])
        grouped = block.unflatten(0, (self.groups, -1))[:, start:stop]  # (groups, out / groups, in)
        return grouped if self.groups > 1 else grouped[0]

    def matrix(self, stored: Tensor, expert: int | None = None) -> Tensor:
        """Returns the matrix as (out, in); a view where the storage allows one, else a copy."""
        region = self.region(stored, expert)
        return region.reshape(-1, region.shape[-1])  # (out, in)

    def rows(self, out: int) -> tuple[int, int]:
        """Returns first and last row (exclusive) of this matrix inside each group.

        Args:
            out: rows of all fused matrices together.

        Raises:
            InputError: they do not divide into the shares.
        """
        unit, rest = divmod(out, sum(self.shares))
        if rest or any(share * unit % self.groups for share in self.shares):
            raise InputError(
                f"{out} fused rows do not divide into shares {list(self.shares)} of {self.groups} group(s): "
                "the architecture file does not fit this model"
            )
        start = sum(self.shares[: self.position]) * unit // self.groups
        return start, start + self.shares[self.position] * unit // self.groups
