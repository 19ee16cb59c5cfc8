"""Orthonormal columns that stay orthonormal under any optimizer, as a product of Householder reflections."""

import torch
from torch import Tensor, nn

from laser_lit.errors import InputError


class OrthonormalBasis(nn.Module):
    """A trainable R (d, r) with orthonormal columns, whatever its parameter holds.

    R = B Q: B is a fixed orthogonal matrix whose first r columns are the R that the training began with, and Q the
    first r columns of minus a product of r reflections, whose vectors are the columns of `weight` below its diagonal.
    At `weight` = 0, Q is the first r columns of the identity. A reflection is orthogonal for every vector, so no step,
    decay or rounding of `weight` can take R off the manifold; decay pulls R back to where it began.

    A product of reflections is I - V T Vᵀ with a small triangular T (compact WY), so that R costs two thin products.

    Attributes:
        weight: (d, r); its entries on and above the diagonal count for nothing and have no gradient.
        base: (d, k), k >= r; the reflections whose product is B, below the diagonal, up to signs.
        signs: (k,); B's first k columns are those of the product times these.

    Source: torch.nn.utils.parametrizations.orthogonal with orthogonal_map="householder", whose parameter this is;
    compact WY: Schreiber and Van Loan 1989.
    """

    weight: nn.Parameter
    base: Tensor
    signs: Tensor

    def __init__(self, size: int, rank: int, generator: torch.Generator | None = None) -> None:
        """Begins with a random basis.

        Args:
            size: d.
            rank: r, in [1, d].
            generator: on the CPU; None takes torch's own.

        Raises:
            InputError: a rank out of range.
        """
        super().__init__()
        if not 1 <= rank <= size:
            raise InputError(f"rank {rank}: must lie in [1, {size}], the size of the states")
        self.weight = nn.Parameter(torch.zeros(size, rank))
        self._set(torch.randn(size, rank, generator=generator))

    @classmethod
    def of(cls, R: Tensor, completed: Tensor | None = None) -> "OrthonormalBasis":
        """Returns a basis that begins at a matrix.

        Args:
            R: (d, r) with orthonormal columns.
            completed: (d, d) orthogonal, its first r columns R: the coordinates of the training; None takes any.

        Raises:
            InputError: columns that are not orthonormal within 1e-3.
        """
        basis = cls(*R.shape)
        basis._set(R if completed is None else completed)
        error = float((basis().detach() - R.float()).norm())
        if not error < 1e-3:
            raise InputError(f"a basis of shape {tuple(R.shape)} is not orthonormal: it is {error:.1e} away from one")
        return basis

    def forward(self) -> Tensor:
        """Returns R (d, r), in float32 or better, differentiable in `weight`."""
        kind = torch.promote_types(self.weight.dtype, torch.float32)
        Q = -_reflected(self.weight.to(kind), torch.eye(*self.weight.shape, dtype=kind, device=self.weight.device))
        k = self.signs.numel()
        signed = torch.cat([Q[:k] * self.signs.to(kind)[:, None], Q[k:]])  # (d, r)
        return _reflected(self.base.to(kind), signed)

    def _set(self, M: Tensor) -> None:
        """Takes the orthogonal factor of M (d, k) with the signs that make it M where M is orthonormal."""
        packed, tau = torch.geqrf(M.detach().double())
        signs = packed.diagonal().sign()
        signs = torch.where(signs == 0, torch.ones_like(signs), signs)
        # LAPACK leaves out a reflection that nothing is left for; here it would still turn its own axis round
        signs = torch.where(tau == 0, -signs, signs)
        self.register_buffer("base", packed.tril(-1).float())
        self.register_buffer("signs", signs.float())


def _reflected(A: Tensor, X: Tensor) -> Tensor:
    """Returns H₁ … H_k X, where H_i reflects along column i of A (d, k) below the diagonal, with 1 on it; X (d, r)."""
    V = A.tril(-1) + torch.eye(*A.shape, dtype=A.dtype, device=A.device)  # (d, k)
    V = V / V.detach().abs().amax(0)  # the same reflections; squares of large entries would overflow
    G = V.mT @ V  # (k, k)
    inverse = G.triu(1) + torch.diag(G.diagonal() / 2)  # T⁻¹ (k, k)
    return X - V @ torch.linalg.solve_triangular(inverse, V.mT @ X, upper=True)
