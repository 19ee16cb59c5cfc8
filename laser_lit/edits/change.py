"""What one edit makes of one matrix."""

from dataclasses import dataclass

import torch
from torch import Tensor

from laser_lit.edits.decompose import Calibration, Decomposer, Decomposition
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.linalg.blocks import BlockFactors
from laser_lit.linalg.cache import FactorCache
from laser_lit.linalg.rank import rank_from_rho, rho_of
from laser_lit.linalg.rules import rank_from_rule
from laser_lit.linalg.svd import Svd
from laser_lit.linalg.whitened import OutputBasis, WhitenedFactors
from laser_lit.models.matrices import MatrixHandle


@dataclass(frozen=True, eq=False)
class Change:
    """The new matrix and how much of the old one it keeps.

    Attributes:
        W: (out, in); the very tensor that was given where everything is kept.
        rank: kept components (high_order: dropped ones); for prune only where the amount came as a rank; 0 for zero.
        rho: the share typed, else rank over the full rank; of the entries for prune.
        thin: (out, k) and (k, in) whose product is W, for low_rank below full rank; None otherwise, and in blocks.
        output_error: of a whitened matrix, see `AppliedEdit`.
        basis: of a whitened matrix, as much of it as the rank needs.
    """

    W: Tensor
    rank: int | None
    rho: float
    thin: tuple[Tensor, Tensor] | None = None
    output_error: float | None = None
    basis: OutputBasis | None = None


class Changer:
    """Computes changes, each matrix factorized once."""

    def __init__(self, cache: FactorCache, svd: Svd, calibration: Calibration | None = None) -> None:
        """Keeps where factors are found and how they are made.

        Args:
            cache: of the factors.
            svd: how matrices are factorized.
            calibration: what whitened edits are calibrated on.
        """
        self.svd = svd
        self.decomposer = Decomposer(cache, svd, calibration)

    def change(
        self,
        W: Tensor,
        edit: Edit,
        name: str,
        handle: MatrixHandle | None = None,
        basis: OutputBasis | None = None,
    ) -> Change:
        """Returns what an edit makes of a matrix.

        Args:
            W: (out, in), finite.
            edit: its layer and matrix are not looked at.
            name: what errors call the matrix.
            handle: where the matrix stands in the model, for whitened edits.
            basis: what a whitened edit projected on when it was done before; None computes it.

        Raises:
            InputError: for an amount that the matrix cannot have.
        """
        if edit.kind == "zero":
            return Change(torch.zeros_like(W), 0, 0.0)
        if edit.kind == "prune":
            return self._prune(W, edit, name)
        if basis is not None:
            return self._truncate(W, edit, name, handle, WhitenedFactors(W, basis.to(W.device)))
        return self._truncate(W, edit, name, handle)

    def _truncate(
        self, W: Tensor, edit: Edit, name: str, handle: MatrixHandle | None, known: Decomposition | None = None
    ) -> Change:
        d = edit.full_rank((W.shape[0], W.shape[1]), name)
        rank = self._rank(W, edit, d, name, handle)
        rho = rank / d if edit.amount in ("rank", "rule") else float(edit.share(name))
        if edit.kind == "high_order" and rank == d:
            raise InputError(f"rank {rank} for {name}: high_order would leave nothing of {d}; kind=zero does that")
        if rank == d:
            return Change(W, rank, rho)
        factors = known or self.decomposer.components(W, edit, name, handle, rank)
        new = factors.high_order(rank) if edit.kind == "high_order" else factors.low_rank(rank)
        if isinstance(factors, BlockFactors):
            return Change(new, rank, rho)
        thin = None if edit.kind == "high_order" else factors.thin(rank)
        if isinstance(factors, WhitenedFactors):
            error = factors.relative_output_error(rank, edit.kind)
            return Change(new, rank, rho, thin, error, factors.basis.first(rank))
        return Change(new, rank, rho, thin)

    def _rank(self, W: Tensor, edit: Edit, d: int, name: str, handle: MatrixHandle | None = None) -> int:
        if edit.rank is not None:
            if edit.rank > d:
                side = f"the full rank {edit.how}" if edit.blocks else "the smaller side"
                raise InputError(f"rank {edit.rank} for {name}: must lie in 1 … {d}, {side} of {tuple(W.shape)}")
            return edit.rank
        if edit.rule is None:
            return rank_from_rho(edit.share(name), d, name)
        if self.svd.method == "randomized":
            raise InputError(
                f"rule {edit.rule} for {name} needs all singular values: use svd method auto, exact or gram"
            )
        S = self.decomposer.components(W, edit, name, handle).S
        return rank_from_rule(edit.rule, S.double(), (W.shape[0], W.shape[1]), name)

    def _prune(self, W: Tensor, edit: Edit, name: str) -> Change:
        if edit.amount in ("rank", "rule"):
            rank = self._rank(W, edit, min(W.shape), name)
            kept = rank * sum(W.shape)
            if kept > W.numel():
                most = W.numel() // sum(W.shape)
                raise InputError(
                    f"rank {rank} for {name}: factors of that rank have {kept} entries, the matrix {W.numel()}; "
                    f"prune takes ranks up to {most}"
                )
            return Change(prune(W, kept), rank, kept / W.numel())
        share = edit.share(name)
        kept = rank_from_rho(share, W.numel(), name)
        exact = rank_from_rho(float(share), W.numel(), name) == kept
        return Change(prune(W, kept), None, float(share if exact else rho_of(kept, W.numel())))


def prune(W: Tensor, kept: int) -> Tensor:
    """Returns the matrix with all but its entries of largest magnitude set to 0.

    Of entries of equal magnitude the first in reading order stay, so that exactly `kept` positions stay.

    Args:
        W: (out, in), finite.
        kept: 1 … out·in positions.
    """
    if kept == W.numel():
        return W
    size = W.reshape(-1).abs()  # (out·in,)
    size = size if size.dtype in (torch.float32, torch.float64) else size.float()
    threshold = size.kthvalue(size.numel() - kept + 1).values
    keep = size > threshold
    ties = (size == threshold).nonzero()[: kept - int(keep.sum()), 0]
    keep[ties] = True
    return torch.where(keep.view(W.shape), W, torch.zeros_like(W))
