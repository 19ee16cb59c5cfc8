"""Rows in blocks, each with a subspace of its own: low rank in every block, up to K times as much in the whole."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg.svd import Factors, factorize

Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class BlockFactors:
    """W as blocks of rows below each other, each factorized by itself; component i is the i-th of every block.

    Attributes:
        blocks: factors of each, all of one shape.
    """

    blocks: tuple[Factors, ...]

    @property
    def S(self) -> Tensor:  # noqa: N802
        """(r,): the root of the sum of squares of the blocks' i-th singular values, which component i costs to drop."""
        return torch.linalg.vector_norm(torch.stack([block.S for block in self.blocks]), dim=0)

    @property
    def shape(self) -> Shape:
        """(out, in) of W."""
        rows, columns = self.blocks[0].shape
        return rows * len(self.blocks), columns

    @property
    def rank_max(self) -> int:
        """The number of components of each block."""
        return min(block.rank_max for block in self.blocks)

    def low_rank(self, rank: int) -> Tensor:
        """Returns the blocks' best approximations with at most `rank` components each, (out, in).

        Args:
            rank: 0 … rank_max.

        Raises:
            InputError: for a rank out of range.

        Source: Sreeram, Maalouf, Sharma and Rus 2025, Compress to Impress (arXiv 2510.20800).
        """
        return torch.cat([block.low_rank(rank) for block in self.blocks])  # (out, in)

    def high_order(self, rank: int) -> Tensor:
        """Returns W without the top `rank` components of each block, (out, in).

        Args:
            rank: 0 … rank_max.

        Raises:
            InputError: as `Factors.high_order`.
        """
        return torch.cat([block.high_order(rank) for block in self.blocks])  # (out, in)

    def pieces(self) -> tuple[Factors, ...]:
        """Returns the factors of each block of rows, from the top."""
        return self.blocks


def block_factors(
    W: Tensor, count: int, name: str = "matrix", factor: Callable[[Tensor, str], Factors] | None = None
) -> Factors | BlockFactors:
    """Returns the factors of blocks of contiguous rows; of a single block, the plain factors of the matrix.

    Args:
        W: (out, in), any floating dtype.
        count: how many blocks, a divisor of out.
        name: what errors call the matrix.
        factor: a matrix and its name -> its factors; None factorizes it in float32, or float64 as W.

    Raises:
        InputError: a count that does not divide the rows, or as `factorize`.
    """
    factor = factor or _factorize
    rows = block_rows((W.shape[0], W.shape[1]), count, name)
    if count == 1:
        return factor(W, name)
    return BlockFactors(tuple(factor(block, f"{name}, block {n}") for n, block in enumerate(W.split(rows))))


def block_rows(shape: Shape, count: int, name: str = "matrix") -> int:
    """Returns the rows of each of some blocks of equal size.

    Args:
        shape: (out, in) of the matrix.
        count: how many.
        name: what errors call the matrix.

    Raises:
        InputError: a count that does not divide the rows.
    """
    out = shape[0]
    if count < 1 or out % count:
        divisors = [n for n in range(1, out + 1) if out % n == 0]
        near = sorted(sorted(divisors, key=lambda n: abs(n - count))[:3])
        raise InputError(
            f"{count} blocks for {name}: its {out} rows must divide evenly; near {count} these do: "
            f"{', '.join(map(str, near))}"
        )
    return out // count


def _factorize(W: Tensor, name: str) -> Factors:
    return factorize(W, dtype=torch.float64 if W.dtype == torch.float64 else torch.float32, name=name)
