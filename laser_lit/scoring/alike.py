"""Whether two passes of a model gave the same, but for rounding."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
"""Mean difference of a resumed pass from a whole one, in standard deviations of the result, that rounding explains."""
COARSE = 2e-2
"""The same in half precision."""

PART = 2**22
"""Numbers that are compared at a time."""


def alike(a: Any, b: Any) -> bool:
    """Returns whether two results differ by no more than rounding.

    Args:
        a: a tree of tensors; others of its leaves are not compared.
        b: another one.
    """
    leaves = pytree.tree_leaves(a), pytree.tree_leaves(b)
    if len(leaves[0]) != len(leaves[1]):
        return False
    pairs = zip(*leaves, strict=True)
    return all(_close(x, y) for x, y in pairs if isinstance(x, Tensor) and x.is_floating_point() and x.numel())


def telling(result: Any) -> bool:
    """Returns whether a result has numbers that another can be compared with: one of NaN alone is like any other.

    Args:
        result: a tree of tensors.
    """
    leaves = (leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor) and leaf.is_floating_point())
    return any(bool(torch.isfinite(leaf).any()) for leaf in leaves)


def _close(a: Tensor, b: Tensor) -> bool:
    """Returns whether two tensors are alike, a part at a time: logits over a vocabulary are large."""
    if a.shape != b.shape:
        return False
    wide = torch.float32 if a.device.type == "mps" else torch.float64
    n, total, squares, apart = 0, 0.0, 0.0, 0.0
    for x, y in zip(a.reshape(-1).split(PART), b.reshape(-1).split(PART), strict=True):
        finite = torch.isfinite(x)
        if not torch.equal(finite, torch.isfinite(y)):
            return False
        x, y = x[finite].to(wide), y[finite].to(wide)
        n, total, squares = n + x.numel(), total + float(x.sum()), squares + float(x.square().sum())
        apart += float((x - y).abs().sum())
    deviation = math.sqrt(max(squares / n - (total / n) ** 2, 0.0)) if n else 0.0
    return n == 0 or apart / n <= TOLERANCE.get(a.dtype, COARSE) * max(deviation, 1e-30)
