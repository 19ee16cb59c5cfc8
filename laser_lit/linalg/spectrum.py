"""All singular values of a matrix, without its singular vectors."""

import torch
from torch import Tensor

from laser_lit.linalg.svd import largest_entry

WORST_CONDITION = 1e5
"""Largest S[0] / S[-1] that is left to the Gram matrix: up to here each value is good to a relative 1e-6 at worst, and
to 1e-11·S[0], since rounding moves the eigenvalues S² by a few 2^-53·S[0]²."""

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
    W = W.detach()
    W = W.to(device or W.device)
    W = W.to("cpu") if W.device.type == "mps" else W  # mps has neither float64 nor eigenvalues
    W = W if W.shape[0] <= W.shape[-1] else W.mT  # (d, N)
    scale = largest_entry(W, name)
    if scale == 0:
        return torch.zeros(len(W), dtype=torch.float64)
    S = torch.linalg.eigvalsh(_gram(W, scale)).flip(0).clamp_min(0).sqrt()  # (d,)
    if float(S[0]) > WORST_CONDITION * float(S[-1]):
        S = torch.linalg.svdvals((W.to(torch.float64) / scale).mT)  # LAPACK takes five times as long for the wide one
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
