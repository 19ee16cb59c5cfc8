"""A matrix of which a model holds two thin factors: it can be read, and not edited."""

from collections.abc import Iterable

import torch
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg.lowrank import LowRankLinear
from laser_lit.models.layout import Layout
from laser_lit.models.matrix import MatrixHandle, MatrixId


class FactoredHandle(MatrixHandle):
    """Reads the product of two factors as (out, in)."""

    def __init__(self, id: MatrixId, name: str, module: LowRankLinear, disk_name: str) -> None:
        """Describes the matrix; nothing is computed.

        Args:
            id: which matrix.
            name: of the parameter that a plain model would have.
            module: the factors.
            disk_name: of the tensor that a plain checkpoint would have.
        """
        super().__init__(id, name, module.US, Layout(), disk_name, Layout())
        self.module = module

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return self.module.shape

    def read(self) -> Tensor:
        """Returns the product, (out, in), in the stored type."""
        return self.module.dense()

    def write(self, W: Tensor) -> None:
        """Refuses.

        Raises:
            InputError: always.
        """
        raise self.refusal()

    def save(self, device: torch.device | str | None = None) -> Tensor:
        """Returns the product, as `read`.

        Args:
            device: where to keep it; None keeps it beside the factors.
        """
        return self.read() if device is None else self.read().to(device)

    def refusal(self) -> InputError:
        """Returns the error for whoever wants to edit the matrix."""
        return InputError(
            f"{self.id} ({self.name}) is stored as factors of rank {self.module.rank} and cannot be edited; edit the "
            "dense model: python -m laser_lit.export SRC DST --format dense"
        )


def refuse_factored(handles: Iterable[MatrixHandle]) -> None:
    """Raises an error where a matrix that is to be edited is stored as factors.

    Args:
        handles: of the matrices.

    Raises:
        InputError: names the first.
    """
    for handle in handles:
        if isinstance(handle, FactoredHandle):
            raise handle.refusal()
