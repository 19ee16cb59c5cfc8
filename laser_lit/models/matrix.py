"""One weight matrix of a model: its identity, and a handle that reads and writes it as (out, in)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.models.layout import Layout


@dataclass(frozen=True, order=True)
class MatrixId:
    """Which matrix: layer, matrix, and where the model has them, part and expert.

    Attributes:
        layer: from 0.
        matrix: one of MATRICES.
        part: "encoder", "decoder" or "cross" for encoder-decoder models, else None.
        expert: index in a mixture of experts, else None.
    """

    layer: int
    matrix: str
    part: str | None = None
    expert: int | None = None

    def __str__(self) -> str:
        part = f"{self.part} " if self.part else ""
        expert = "" if self.expert is None else f" expert {self.expert}"
        return f"{part}layer {self.layer} {self.matrix}{expert}"


class MatrixHandle:
    """Reads and writes one matrix as (out, in), whatever the storage."""

    def __init__(
        self, id: MatrixId, name: str, parameter: nn.Parameter, layout: Layout, disk_name: str, disk_layout: Layout
    ) -> None:
        """Describes the matrix; nothing is copied.

        Args:
            id: which matrix.
            name: the parameter's name in memory.
            parameter: the whole parameter, of which the matrix may be a part.
            layout: which part.
            disk_name: the tensor's name in the checkpoint that save_pretrained writes.
            disk_layout: which part of that tensor.
        """
        self.id = id
        self.name = name
        self.parameter = parameter
        self.layout = layout
        self.disk_name = disk_name
        self.disk_layout = disk_layout

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        region = self._region()
        return region[..., 0].numel(), region.shape[-1]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the stored weights."""
        return self.parameter.dtype

    @property
    def device(self) -> torch.device:
        """Device of the stored weights."""
        return self.parameter.device

    def read(self) -> Tensor:
        """Returns a copy of the matrix, (out, in), in the stored type."""
        region = self._region()
        return region.clone(memory_format=torch.contiguous_format).view(-1, region.shape[-1])  # (out, in)

    def write(self, W: Tensor) -> None:
        """Writes the matrix into the storage in place, cast once to the stored type.

        Args:
            W: (out, in), any floating type and device.

        Raises:
            InputError: W has another shape.
        """
        if tuple(W.shape) != self.shape:
            raise InputError(f"{self.id} ({self.name}) is {self.shape} as (out, in); got {tuple(W.shape)}")
        region = self._region()
        with torch.no_grad():
            region.copy_(W.detach().reshape(region.shape))

    def save(self, device: torch.device | str | None = None) -> Tensor:
        """Returns a snapshot of the matrix alone, for `restore`.

        Args:
            device: where to keep it; None keeps it beside the weights.
        """
        snapshot = self.read()
        return snapshot if device is None else snapshot.to(device)

    def restore(self, snapshot: Tensor) -> None:
        """Puts a snapshot of this matrix back, bit for bit.

        Raises:
            InputError: the snapshot has another shape or type than the weights have now.
        """
        if snapshot.dtype != self.dtype:
            raise InputError(f"{self.id} is {self.dtype} now, its snapshot {snapshot.dtype}: bits would be lost")
        self.write(snapshot)

    def region_key(self) -> tuple[object, ...]:
        """Returns what identifies the storage of the matrix: equal for tied matrices, on any names."""
        region = self._region()
        storage = region.untyped_storage().data_ptr()
        return storage, region.device, region.storage_offset(), tuple(region.shape), region.stride()

    def __repr__(self) -> str:
        return f"MatrixHandle({self.id}: {self.name} {self.shape} {self.dtype})"

    def _region(self) -> Tensor:
        try:
            return self.layout.region(self.parameter.detach(), self.id.expert if self.layout.stacked else None)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error
