"""Which edited matrices become factors, and why the others stay as they are."""

from collections import Counter

import torch
from torch import Tensor, nn

from laser_lit.edits.write import Write
from laser_lit.errors import InputError
from laser_lit.linalg.lowrank import is_smaller
from laser_lit.models.factored import is_linear
from laser_lit.models.matrices import MatrixHandle

SUFFIX = ".weight"


class Plan:
    """Says of each matrix that a stack writes whether two thin factors can take its place."""

    def __init__(self, model: nn.Module) -> None:
        """Looks at the model's modules.

        Args:
            model: as it is stored in memory.
        """
        self._modules = dict(model.named_modules())
        self._names = Counter(id(weight) for _, weight in model.named_parameters(remove_duplicate=False))

    def why_dense(self, write: Write) -> str | None:
        """Returns why a matrix stays whole, in words; None where factors take its place.

        Args:
            write: from `Stack.writes`.
        """
        return why_whole(write.handle) or self._why_not_module(write.handle) or why_not_thin(write)

    def _why_not_module(self, handle: MatrixHandle) -> str | None:
        module = self._modules.get(handle.name.removesuffix(SUFFIX))
        if module is None or not handle.name.endswith(SUFFIX) or not is_linear(module):
            return f"{handle.name} is no weight of a linear layer"
        if self._names[id(handle.parameter)] > 1:
            return f"{handle.name} is tied to another weight"
        return None


def why_whole(handle: MatrixHandle) -> str | None:
    """Returns why a matrix has no layer of its own that factors could take the place of; None where it has.

    Args:
        handle: of the matrix.
    """
    if handle.layout.stacked:
        return f"{handle.name} stacks the experts"
    if len(handle.layout.shares) > 1:
        return f"{handle.name} holds {len(handle.layout.shares)} matrices"
    return None


def why_not_thin(write: Write) -> str | None:
    """Returns why what was written is better kept as a whole; None where its factors are smaller.

    Args:
        write: from `Stack.writes`.
    """
    row = write.rows[-1]
    if row.kind == "zero":
        return None
    if row.kind != "low_rank":
        return f"{row.kind} leaves no low rank"
    rank = row.rank if write.thin is None else len(write.thin[1])
    if rank is not None and not is_smaller(rank, row.shape):
        entries = f"{rank * sum(row.shape):,} entries, the matrix has {row.shape[0] * row.shape[1]:,}"
        return f"factors of rank {rank} would have {entries}"
    return "its edit leaves no two factors" if write.thin is None else None


def thin_of(write: Write) -> tuple[Tensor, Tensor]:
    """Returns the factors (out, k) and (k, in) as they are stored: of the matrix's type, on the CPU.

    Args:
        write: one that `why_not_thin` has nothing against.

    Raises:
        InputError: the type cannot hold them.
    """
    out, inputs = write.rows[-1].shape
    US, Vh = write.thin or (write.W.new_zeros(out, 0), write.W.new_zeros(0, inputs))
    stored = [part.to("cpu", write.W.dtype).contiguous() for part in (US, Vh)]
    if not all(bool(torch.isfinite(part).all()) for part in stored):
        raise InputError(
            f"{write.handle.id}: its factors overflow {write.W.dtype}; load the model in float32 or bfloat16, or "
            "export.format=dense"
        )
    return stored[0].clone(), stored[1].clone()  # no view keeps the factors of full rank alive
