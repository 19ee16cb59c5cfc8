"""All singular values of a matrix, without its singular vectors."""

import torch
from torch import Tensor

from laser_lit.linalg.svd import largest_entry

WORST_CONDITION = 1e6
"""Largest S[0] / S[-1] that is left to the Gram matrix: up to here rounding, which moves the eigenvalues S² by about
2^-53·S[0]², moves no singular value by more than some 1e-11·S[0]. Square weights of 4096 have a ratio of about 1e5."""

_SLAB = 1 << 22  # entries of the matrix that are in float64 at once
_BLOCKS = 8  # of the Gram matrix a side; those above the diagonal are not computed


def singular_values(W: Tensor, name: str = "matrix", device: torch.device | str | None = None) -> Tensor:
    """Returns all singular values (d,) in float64 on the CPU, descending.

    They are the roots of the eigenvalues of the float64 Gram matrix of the short side. Where the condition number turns
    out above WORST_CONDITION, LAPACK's singular values of the tall orientation are taken instead, so that small and
    vanishing values are right too.

    Args:
        W: (out, in), any floating dtype; it is not changed.
        name: what errors call the matrix.
        device: where to compute; None is where the matrix is.

    Raises:
        InputError: for anything but a non-empty matrix of finite floating-point numbers.
    """
    scale = largest_entry(W.detach(), name)
    W = W.detach().to(device or W.device)
    W = W.to("cpu") if W.device.type == "mps" else W  # mps has neither float64 nor eigenvalues
    W = W if W.shape[0] <= W.shape[1] else W.mT  # (d, N)
    if scale == 0:
        return torch.zeros(len(W), dtype=torch.float64)
    S = torch.linalg.eigvalsh(_gram(W, scale)).flip(0).clamp_min(0).sqrt()  # (d,)
    if float(S[0]) > WORST_CONDITION * float(S[-1]):
        tall = W.mT.to(torch.float64, copy=True).div_(scale)  # LAPACK takes five times as long for the wide one
        S = torch.linalg.svdvals(tall)
    return S.cpu() * scale


def _gram(W: Tensor, scale: float) -> Tensor:
    """Returns the lower triangle, in blocks, of W Wᵀ / scale²: half the work, and no second matrix in float64."""
    d = len(W)
    G = torch.zeros(d, d, dtype=torch.float64, device=W.device)
    height = -(-d // _BLOCKS)
    for slab in W.split(max(1, _SLAB // d), dim=1):
        slab = slab.to(torch.float64, copy=True).div_(scale)  # (d, columns)
        for top in range(0, d, height):
            end = top + height
            G[top:end, :end].addmm_(slab[top:end], slab[:end].mT)
    return G
