"""One factorization of a weight matrix: every rank is a slice of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from laser_lit.errors import InputError, unknown_name

METHODS = ("auto", "exact", "gram", "randomized")
WORST_CONDITION = 5e4
"""Largest S[0] / S[-1] that "auto" leaves to the Gram matrix: the long side is orthogonal to 2^-53 of its square."""


@dataclass(frozen=True)
class Svd:
    """How matrices are factorized.

    Attributes:
        method: "exact" (LAPACK on the tall orientation), "gram" (eigenvectors of the float64 Gram matrix of the short
            side: faster, and more exact than float32 LAPACK unless S[0] / S[-1] is large), "auto" (for float32 factors
            gram, then exact where that ratio is above WORST_CONDITION; for float64 exact) or "randomized".
        seed: of the randomized method.
        oversampling: columns that the randomized method draws beyond the rank.
        n_iter: power iterations of the randomized method.
    """

    method: str = "auto"
    seed: int = 0
    oversampling: int = 10
    n_iter: int = 4

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("svd method", self.method, METHODS)
        for name in ("oversampling", "n_iter", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise InputError(f"svd {name} {value!r}: must be a whole number, 0 or more")

    @classmethod
    def of(cls, given: "Svd | Mapping[str, Any] | str | None") -> "Svd":
        """Returns the options that were given as such, as their fields, as a method's name, or as None.

        Raises:
            InputError: for unknown fields or values.
        """
        if given is None or isinstance(given, Svd):
            return given or cls()
        if isinstance(given, str):
            return cls(given)
        if not isinstance(given, Mapping):
            raise InputError(f"svd {given!r}: name a method ({', '.join(METHODS)}) or give method, seed, …")
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise unknown_name("svd option", name, known)
        return cls(**given)


@dataclass(frozen=True, eq=False)
class Factors:
    """W = U diag(S) Vh, singular values descending; the entry of largest magnitude in each column of U is positive.

    Attributes:
        U: (out, r) with orthonormal columns.
        S: (r,).
        Vh: (r, in) with orthonormal rows.
        method: what computed them: "exact", "gram" or "randomized".
        error: ||W - U diag(S) Vh|| / ||W|| in the Frobenius norm where components were left out (r < min(out, in));
            None where all are there.
    """

    U: Tensor
    S: Tensor
    Vh: Tensor
    method: str
    error: float | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Returns the shape (out, in) of W."""
        return self.U.shape[0], self.Vh.shape[1]

    @property
    def rank_max(self) -> int:
        """Returns the number of components that are there: min(out, in), or fewer after a truncation."""
        return len(self.S)

    def low_rank(self, rank: int) -> Tensor:
        """Returns the best approximation of W with at most `rank` components, (out, in).

        Args:
            rank: 0 … rank_max.

        Raises:
            InputError: for a rank out of range.

        Source: Eckart and Young 1936.
        """
        self._check(rank)
        return _product(self.U[:, :rank], self.S[:rank], self.Vh[:rank])  # (out, in)

    def thin(self, rank: int) -> tuple[Tensor, Tensor]:
        """Returns U diag(S) (out, rank) and Vh (rank, in), whose product is `low_rank(rank)`; Vh is a view.

        Args:
            rank: 0 … rank_max.

        Raises:
            InputError: for a rank out of range.
        """
        self._check(rank)
        return self.U[:, :rank] * self.S[:rank], self.Vh[:rank]  # (out, rank), (rank, in)

    def high_order(self, rank: int) -> Tensor:
        """Returns W without its top `rank` components, (out, in).

        Args:
            rank: 0 … rank_max.

        Raises:
            InputError: for a rank out of range, and where the small components are not there to be added up.
        """
        self._check(rank)
        if self.error is not None:
            raise InputError(f"only {self.rank_max} of {min(self.shape)} components are there: use an exact method")
        return _product(self.U[:, rank:], self.S[rank:], self.Vh[rank:])  # (out, in)

    def relative_error(self, rank: int) -> float:
        """Returns ||W - low_rank(rank)|| / ||W|| in the Frobenius norm; 0 for a zero matrix.

        Args:
            rank: 0 … rank_max.
        """
        self._check(rank)
        if float(self.S[0]) == 0:
            return 0.0
        squares = (self.S.double() / self.S[0]).square()  # of ratios, which neither overflow nor vanish
        total = float(squares.sum())
        left_out = (self.error or 0.0) ** 2
        return (left_out + (1 - left_out) * float(squares[rank:].sum()) / total) ** 0.5

    def to(self, device: torch.device | str) -> "Factors":
        """Returns the factors on another device."""
        return replace(self, U=self.U.to(device), S=self.S.to(device), Vh=self.Vh.to(device))

    def _check(self, rank: int) -> None:
        if not 0 <= rank <= self.rank_max:
            raise InputError(f"rank {rank} for a {self.shape[0]} by {self.shape[1]} matrix: 0 … {self.rank_max}")


@torch.inference_mode(False)
@torch.no_grad()
def factorize(
    W: Tensor,
    method: str = "auto",
    *,
    rank: int | None = None,
    seed: int = 0,
    oversampling: int = 10,
    n_iter: int = 4,
    dtype: torch.dtype = torch.float32,
    name: str = "matrix",
) -> Factors:
    """Returns the singular value decomposition of a matrix, computed in `dtype` or better on its device, reproducibly.

    Args:
        W: (out, in), any floating dtype.
        method: see `Svd`.
        rank: components to keep; None keeps all. The randomized method needs it.
        seed: of the randomized method.
        oversampling: columns drawn beyond `rank`.
        n_iter: power iterations.
        dtype: of the factors, float32 or float64.
        name: what errors call the matrix.

    Raises:
        InputError: for a wrong argument, for anything but a non-empty matrix of finite floating-point numbers, and for
            singular values that `dtype` cannot hold.
    """
    options = Svd(method, seed, oversampling, n_iter)
    scale = largest_entry(W, name)
    d = min(W.shape)
    _check_rank(rank, d, method, name)
    if dtype not in (torch.float32, torch.float64):
        raise InputError(f"dtype {dtype}: factors are float32 or float64")
    U, S, Vh, used = _factorize(W.detach(), options, rank or d, dtype, scale)
    U, S, Vh = (part.to(W.device, dtype).contiguous() for part in (U, S, Vh))
    if not float(S[0]) < float("inf"):
        raise InputError(f"{name} has entries up to {scale:.1e}: its singular values overflow {dtype}")
    factors = Factors(U, S, Vh, used)
    return factors if len(S) == d else replace(factors, error=_error(W, factors, scale))


def _check_rank(rank: int | None, d: int, method: str, name: str) -> None:
    if rank is None and method == "randomized":
        raise InputError(f"randomized factorization of {name}: name the rank to find, 1 … {d}")
    if rank is not None and not 1 <= rank <= d:
        raise InputError(f"rank {rank} for {name}: must lie in 1 … {d}")


def largest_entry(W: Tensor, name: str = "matrix") -> float:
    """Returns the largest magnitude in a matrix.

    Args:
        W: (out, in), any floating dtype.
        name: what errors call the matrix.

    Raises:
        InputError: for anything but a non-empty matrix of finite floating-point numbers.
    """
    if W.ndim != 2 or W.numel() == 0:
        raise InputError(f"{name} has shape {tuple(W.shape)}: only non-empty matrices can be factorized")
    if not W.is_floating_point():
        raise InputError(f"{name} holds {W.dtype}: only floating-point weights can be factorized; load it unquantized")
    scale = float(torch.maximum(W.max(), -W.min()))
    if not scale < float("inf"):
        bad = int(W.numel() - torch.isfinite(W).sum())
        raise InputError(f"{name} has {bad} NaN or infinite entries of {W.numel()}: check the checkpoint it came from")
    return scale


def _factorize(
    W: Tensor, options: Svd, rank: int, dtype: torch.dtype, scale: float
) -> tuple[Tensor, Tensor, Tensor, str]:
    """Returns the top `rank` components as U, S, Vh with their signs fixed, and the method that was used."""
    wide = W.shape[0] < W.shape[1]
    tall = W.mT if wide else W  # LAPACK takes five times as long for the wide orientation
    tall = tall.to("cpu") if tall.device.type == "mps" else tall  # mps has neither float64 nor eigh
    left, S, right, used = _factorize_tall(tall, options, rank, torch.promote_types(W.dtype, dtype), scale)
    U, Vh = (right, left.mT) if wide else (left, right.mT)
    return *_signed(U[:, :rank], S[:rank], Vh[:rank]), used


def _factorize_tall(
    W: Tensor, options: Svd, rank: int, dtype: torch.dtype, scale: float
) -> tuple[Tensor, Tensor, Tensor, str]:
    """Returns left (rows, r), S (r,), right (columns, r) and the method used, of a matrix with rows >= columns."""
    if options.method == "randomized":
        left, S, right = _randomized(W, scale, options, rank)
        return left.to(dtype), S, right.to(dtype), "randomized"
    auto = options.method == "auto" and dtype == torch.float32
    if scale > 0 and (auto or options.method == "gram"):
        left, S, right = _gram(W, scale)
        if not auto or float(S[0]) <= WORST_CONDITION * float(S[-1]):
            return left.to(dtype), S, right.to(dtype), "gram"
    left, S, rightT = torch.linalg.svd(W.to(dtype), full_matrices=False)
    return left, S, rightT.mT, "exact"


def _scaled(W: Tensor, scale: float) -> Tensor:
    """Returns W / scale in float64: no square overflows, and neither autocast nor TF32 touches products of it."""
    return W.to(torch.float64, copy=True).div_(scale or 1.0)


def _gram(W: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    W = _scaled(W, scale)  # (rows, columns)
    right = torch.linalg.eigh(W.mT @ W).eigenvectors.flip(1)  # (columns, columns)
    left = W @ right  # (rows, columns)
    del W  # one large matrix less while the columns of the other are put in order
    S = torch.linalg.vector_norm(left, dim=0)  # (columns,); more exact than roots of the eigenvalues
    S, order = S.sort(descending=True, stable=True)
    left = left[:, order].div_(S.clamp_min(torch.finfo(S.dtype).tiny))
    return left, S * scale, right[:, order]


def _randomized(W: Tensor, scale: float, options: Svd, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Source: Halko, Martinsson and Tropp 2011, algorithms 4.4 (subspace iteration) and 5.1."""
    W = _scaled(W, scale)  # (rows, columns)
    columns = min(rank + options.oversampling, W.shape[1])
    generator = torch.Generator().manual_seed(options.seed)  # on the CPU, so that every device draws the same
    start = torch.randn(W.shape[1], columns, generator=generator, dtype=torch.float64)
    Q = torch.linalg.qr(W @ start.to(W)).Q  # (rows, columns drawn)
    for _ in range(options.n_iter):
        Q = torch.linalg.qr(W @ torch.linalg.qr(W.mT @ Q).Q).Q
    right, S, leftT = torch.linalg.svd(W.mT @ Q, full_matrices=False)
    return (Q @ leftT.mT)[:, :rank], S[:rank] * scale, right[:, :rank]


def _signed(U: Tensor, S: Tensor, Vh: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    largest = U.gather(0, U.abs().argmax(dim=0, keepdim=True))  # (1, r)
    sign = torch.where(largest < 0, -1.0, 1.0).to(U)
    return U * sign, S, Vh * sign.mT


def _product(U: Tensor, S: Tensor, Vh: Tensor) -> Tensor:
    """Returns U diag(S) Vh, multiplied in float64 so that neither autocast nor TF32 coarsens it (mps has neither)."""
    wide = S.dtype if S.device.type == "mps" else torch.float64
    return ((U * S).to(wide) @ Vh.to(wide)).to(S.dtype)  # (out, in)


def _error(W: Tensor, factors: Factors, scale: float) -> float:
    if scale == 0:
        return 0.0
    wanted = W.detach().to(factors.S.dtype)
    residual = torch.linalg.vector_norm((wanted - factors.low_rank(factors.rank_max)) / scale, dtype=torch.float64)
    return float(residual / torch.linalg.vector_norm(wanted / scale, dtype=torch.float64))
