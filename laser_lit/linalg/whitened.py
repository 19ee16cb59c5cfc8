"""Truncation of what a matrix puts out on some inputs, instead of the matrix itself: SVD-LLM's whitened SVD."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg.svd import METHODS, WORST_CONDITION, Factors, factorize, largest_entry

RIDGES = (0.0, *(10.0**power for power in range(-15, -2)))
"""Ridges that are tried in turn, in units of the mean diagonal; what needs more is no matrix of second moments."""


@dataclass(frozen=True, eq=False)
class OutputBasis:
    """Where the outputs of a matrix lie: W L = U diag(S) Vh with C = X Xᵀ = L Lᵀ, inputs X.

    Attributes:
        U: (out, r) with orthonormal columns; after `first` fewer than there are singular values.
        S: (d,) all singular values: dropping component i costs S_i² of ‖W X‖².
        ridge: what was added to the diagonal of C to factorize it; 0 where nothing had to be.
        key: what the inputs were, as a `Calibration` names them; empty where that is not known.
    """

    U: Tensor
    S: Tensor
    ridge: float = 0.0
    key: str = ""

    def first(self, rank: int) -> "OutputBasis":
        """Returns the basis of the top components alone, on the CPU, in memory of its own; S stays whole.

        Args:
            rank: how many.
        """
        return replace(self, U=self.U[:, :rank].to("cpu", copy=True).contiguous(), S=self.S.cpu())

    def to(self, device: torch.device | str) -> "OutputBasis":
        """Returns the basis on another device."""
        return replace(self, U=self.U.to(device), S=self.S.to(device))


@dataclass(frozen=True, eq=False)
class WhitenedFactors:
    """W as a sum of components u_i u_iᵀ W, u_i the principal directions of its outputs, the costliest to drop first.

    SVD-LLM writes the truncation as U_k diag(S_k) Vh_k L⁻¹. Since U_kᵀ W L = diag(S_k) Vh_k, that is U_k U_kᵀ W, which
    needs no inverse: a nearly singular C costs no accuracy.

    Attributes:
        W: (out, in) the matrix.
        basis: of its outputs, on the same device.
    """

    W: Tensor
    basis: OutputBasis

    @property
    def S(self) -> Tensor:  # noqa: N802
        """(d,) singular values of W L."""
        return self.basis.S

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in) of W."""
        return self.W.shape[0], self.W.shape[1]

    @property
    def rank_max(self) -> int:
        """The number of components that are there."""
        return self.basis.U.shape[1]

    def low_rank(self, rank: int) -> Tensor:
        """Returns the matrix of at most `rank` components whose outputs on the inputs are nearest to W's, (out, in).

        Args:
            rank: 0 … rank_max.

        Raises:
            InputError: for a rank out of range.

        Source: Wang, Zheng, Wan and Zhang 2024, SVD-LLM (arXiv 2403.07378), theorem 3.2.
        """
        A, B = self._split(rank)
        return (A @ B).to(self.basis.U.dtype)  # (out, in)

    def high_order(self, rank: int) -> Tensor:
        """Returns W without its top `rank` components, (out, in).

        Args:
            rank: 0 … rank_max.

        Raises:
            InputError: for a rank out of range.
        """
        A, B = self._split(rank)
        return (self.W.to(A.dtype) - A @ B).to(self.basis.U.dtype)  # (out, in)

    def thin(self, rank: int) -> tuple[Tensor, Tensor]:
        """Returns U_k (out, rank) and U_kᵀ W (rank, in), whose product is `low_rank(rank)`.

        Args:
            rank: 0 … rank_max.

        Raises:
            InputError: for a rank out of range.
        """
        A, B = self._split(rank)
        return A.to(self.basis.U.dtype), B.to(self.basis.U.dtype)  # (out, rank), (rank, in)

    def output_error(self, rank: int) -> float:
        """Returns ‖(W − low_rank(rank)) X‖ in the Frobenius norm, as the singular values tell it.

        Args:
            rank: 0 … d.

        Source: Wang, Zheng, Wan and Zhang 2024, SVD-LLM (arXiv 2403.07378), theorem 3.2.
        """
        return float(torch.linalg.vector_norm(self.S[rank:], dtype=torch.float64))

    def relative_output_error(self, rank: int, kind: str = "low_rank") -> float:
        """Returns ‖(W − W') X‖ / ‖W X‖ of `low_rank(rank)`, or of `high_order(rank)`; 0 for outputs that vanish.

        Args:
            rank: 0 … d.
            kind: "low_rank" or "high_order".
        """
        whole, dropped = self.output_error(0), self.output_error(rank)
        if whole == 0:
            return 0.0
        share = dropped / whole
        return share if kind == "low_rank" else max(0.0, 1 - share**2) ** 0.5

    def pieces(self) -> tuple[Factors, ...]:
        """Returns the components as U diag(S) Vh with S_i Vh_i = u_iᵀ W: rows of length 1, not orthogonal."""
        A, B = self._split(self.rank_max)
        norms = torch.linalg.vector_norm(B, dim=1)  # (r,)
        rows = B / norms.clamp_min(torch.finfo(B.dtype).tiny)[:, None]  # (r, in)
        dtype = self.basis.U.dtype
        return (Factors(A.to(dtype), norms.to(dtype), rows.to(dtype), "whitened"),)

    def _split(self, rank: int) -> tuple[Tensor, Tensor]:
        """Returns U_k and U_kᵀ W in float64 (mps has none)."""
        if not 0 <= rank <= self.rank_max:
            raise InputError(f"rank {rank} for a {self.shape[0]} by {self.shape[1]} matrix: 0 … {self.rank_max}")
        wide = torch.float32 if self.W.device.type == "mps" else torch.float64
        A = self.basis.U[:, :rank].to(wide).contiguous()  # (out, rank)
        return A, A.mT @ self.W.to(wide)  # (rank, in)


def whitened_factors(W: Tensor, C: Tensor, method: str = "auto", name: str = "matrix") -> WhitenedFactors:
    """Returns W decomposed by what its components contribute to its outputs.

    Args:
        W: (out, in), any floating dtype.
        C: (in, in) second moments X Xᵀ of the inputs.
        method: as of `output_basis`.
        name: what errors call the matrix.

    Raises:
        InputError: as `output_basis`.
    """
    return WhitenedFactors(W, output_basis(W, C, method, name))


@torch.inference_mode(False)
@torch.no_grad()
def output_basis(W: Tensor, C: Tensor, method: str = "auto", name: str = "matrix") -> OutputBasis:
    """Returns the principal directions of a matrix's outputs, computed in float64, kept in W's type, at least float32.

    A C that rounding has left singular gets the smallest of RIDGES that lets it be factorized: where there were no
    inputs, the components are then ordered as a plain SVD would.

    Args:
        W: (out, in), any floating dtype.
        C: (in, in) second moments X Xᵀ of the inputs.
        method: "exact" (LAPACK on W L), "gram" (eigenvectors of its Gram matrix), or "auto" (gram, then exact where the
            matrix is tall and ill-conditioned, so that gram's U would not be orthonormal).
        name: what errors call the matrix.

    Raises:
        InputError: the shapes do not fit, numbers that are not finite, inputs that vanish, a C that is far from
            positive semidefinite, or a randomized method.
    """
    if method not in METHODS or method == "randomized":
        raise InputError(f"svd method {method} for {name}: whitened takes auto, exact or gram")
    largest_entry(W, name)
    device = torch.device("cpu") if W.device.type == "mps" else W.device
    wide = W.detach().to(device, torch.float64)  # (out, in)
    L, ridge = cholesky(C.to(device, torch.float64), W.shape[1], name)  # (in, in)
    M = wide @ L  # (out, in)
    del L, wide
    tall = W.shape[0] > W.shape[1]
    factors = factorize(M, "gram" if method == "auto" else method, dtype=torch.float64, name=name)
    if method == "auto" and tall and float(factors.S[0]) > WORST_CONDITION * float(factors.S[-1]):
        factors = factorize(M, "exact", dtype=torch.float64, name=name)
    dtype = torch.float64 if W.dtype == torch.float64 else torch.float32
    return OutputBasis(factors.U.to(W.device, dtype), factors.S.to(W.device, dtype), ridge)


def cholesky(C: Tensor, width: int, name: str = "matrix") -> tuple[Tensor, float]:
    """Returns the lower Cholesky factor of C plus a ridge on its diagonal, and that ridge, the smallest that is needed.

    Args:
        C: (in, in) float64, of which the lower triangle counts.
        width: in.
        name: what errors call the matrix.

    Raises:
        InputError: another shape, numbers that are not finite, a trace of 0, or RIDGES that are all too small.
    """
    if tuple(C.shape) != (width, width):
        raise InputError(f"second moments of {tuple(C.shape)} for {name}, which takes {width} inputs: must be square")
    mean = float(C.diagonal().mean())
    if not abs(mean) < float("inf"):
        raise InputError(f"the second moments of {name} are not finite: the model overflows on the calibration text")
    if mean <= 0:
        raise InputError(f"the inputs of {name} vanish on the calibration text: calibrate on text that reaches it")
    for share in RIDGES:
        L, failed = torch.linalg.cholesky_ex(_with_ridge(C, share * mean))
        if not int(failed) and bool(torch.isfinite(L.diagonal()).all()):
            return L, share * mean
    raise InputError(
        f"the second moments of {name} are far from positive semidefinite, which no X Xᵀ is: sum x xᵀ in float64"
    )


def output_norm(D: Tensor, C: Tensor) -> float:
    """Returns ‖D X‖ in the Frobenius norm, from the second moments alone.

    Args:
        D: (out, in).
        C: (in, in) X Xᵀ.
    """
    D, C = D.double(), C.double()
    return max(0.0, float(((D @ C) * D).sum())) ** 0.5


def _with_ridge(C: Tensor, ridge: float) -> Tensor:
    if ridge == 0:
        return C
    raised = C.clone()
    raised.diagonal().add_(ridge)
    return raised
