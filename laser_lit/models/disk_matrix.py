"""One weight matrix of a checkpoint on disk: what a handle of a model's matrix is, but read only."""

from typing import NoReturn

import torch
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.models.layout import Layout
from laser_lit.models.matrix import MatrixHandle, MatrixId
from laser_lit.models.shards import StoredTensor


class DiskHandle(MatrixHandle):
    """Reads one matrix of a checkpoint as (out, in); holds nothing of it."""

    def __init__(self, id: MatrixId, name: str, stored: StoredTensor, disk_layout: Layout) -> None:
        """Describes the matrix; nothing is read.

        Args:
            id: which matrix.
            name: the parameter's name in memory, once the model is built.
            stored: the tensor on disk, of which the matrix may be a part.
            disk_layout: which part.
        """
        self.id = id
        self.name = name
        self.stored = stored
        self.disk_name = stored.name
        self.layout = self.disk_layout = disk_layout
        self._shape = _shape(stored, disk_layout)

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return self._shape

    @property
    def dtype(self) -> torch.dtype:
        """Type of the stored weights."""
        return self.stored.dtype

    @property
    def device(self) -> torch.device:
        """Where `read` puts the matrix: the CPU."""
        return torch.device("cpu")

    def read(self) -> Tensor:
        """Returns the matrix, (out, in), in the stored type; no more of the file is read than lies around it.

        Raises:
            InputError: the file has changed since the checkpoint was opened.
        """
        axes = [axis for axis in self.disk_layout.axes if axis != "expert"]
        ranges = self._ranges() if axes == ["out", "in"] else None
        if self.disk_layout.stacked:
            read = self.stored.read_slab(self.id.expert or 0, ranges)
        else:
            read = self.stored.read() if ranges is None else self.stored.read_rows(ranges)
        if ranges is None:  # stored as (in, out)
            read = Layout(tuple(axes), *self._fused()).matrix(read)
        return read.contiguous()  # (out, in)

    def write(self, W: Tensor) -> NoReturn:
        """Refuses.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.id} ({self.disk_name}) lies in {self.stored.file} and is only read; task=edit_checkpoint writes an "
            "edited copy of a checkpoint, load_model loads it for editing in memory"
        )

    def region_key(self) -> tuple[object, ...]:
        """Returns what identifies the place of the matrix on disk."""
        return self.stored.file, self.stored.offset, self.disk_layout, self.id.expert

    def __repr__(self) -> str:
        return f"DiskHandle({self.id}: {self.disk_name} {self.shape} {self.dtype})"

    def _fused(self) -> tuple[tuple[int, ...], int, int]:
        return self.disk_layout.shares, self.disk_layout.position, self.disk_layout.groups

    def _ranges(self) -> list[tuple[int, int]]:
        """Returns the rows of the stored tensor (of the expert's part of it) that are the matrix."""
        out = self.stored.shape[-2]
        if len(self.disk_layout.shares) == 1:
            return [(0, out)]
        start, stop = self.disk_layout.rows(out)
        size = out // self.disk_layout.groups
        return [(group * size + start, group * size + stop) for group in range(self.disk_layout.groups)]


def _shape(stored: StoredTensor, layout: Layout) -> tuple[int, int]:
    """Returns (out, in), having checked that the layout fits."""
    try:
        region = layout.region(torch.empty(stored.shape, device="meta"), 0 if layout.stacked else None)
    except InputError as error:
        raise InputError(f"{stored.name}: {error}") from error
    return region[..., 0].numel(), region.shape[-1]
