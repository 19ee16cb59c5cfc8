"""A checkpoint's files under a stack, without the model: copied, and edited where the matrices lie in them."""

import re
import shutil
from collections import Counter
from copy import copy
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.export.card import write_card
from laser_lit.export.origin import Origin
from laser_lit.export.result import Exported
from laser_lit.export.write import MANIFEST
from laser_lit.files import new_folder
from laser_lit.linalg.cache import FactorCache
from laser_lit.models.checkpoint import Checkpoint
from laser_lit.models.disk_matrix import DiskHandle
from laser_lit.models.layout import Layout
from laser_lit.models.shards import INDEX, WHOLE, StoredTensor


@dataclass(frozen=True)
class EditedCheckpoint:
    """A checkpoint that was edited on disk.

    Attributes:
        exported: what was written.
        rows: the edits.
        bytes_before: size of the weight files that were read.
    """

    exported: Exported
    rows: list[AppliedEdit]
    bytes_before: int


def edit_checkpoint(checkpoint: Checkpoint, stack: Stack, path: Path | str, origin: Origin) -> EditedCheckpoint:
    """Returns what was written: the same files with the stack's matrices in them; all of it or nothing.

    In memory are one matrix and its factors at a time; the weights on disk are those that loading, editing and saving
    the model would give, bit for bit, in the same shards.

    Args:
        checkpoint: from `open_checkpoint`; it stays as it is.
        stack: the edits.
        path: a folder that does not exist, or is empty.
        origin: what the card says.

    Raises:
        InputError: the folder is in use, or an edit that the checkpoint cannot have.
    """
    frugal = copy(stack)
    frugal.cache = stack.cache or FactorCache(max_memory_bytes=0)
    frugal.by_matrix(checkpoint.matrices)  # what the stack names must be there, before anything is copied
    with new_folder(Path(path)) as folder:
        _copy(checkpoint, folder)
        rows = []
        for write in frugal.writes(checkpoint.matrices):
            _overwrite(write.handle, folder, write.W)  # type: ignore[arg-type]
            rows += write.rows
        origin.copy_to(folder)
        exported = _account(checkpoint, folder, rows)
        stack.save(folder / MANIFEST, rows, {"id": origin.id, "revision": origin.revision})
        write_card(folder, exported, origin, rows)
        shutil.copyfile(checkpoint.folder / "config.json", folder / "config.json")  # last: nothing loads without it
    before = sum(file.stat().st_size for file in _files(checkpoint))
    return EditedCheckpoint(replace(exported, folder=Path(path)), rows, before)


def peak_memory() -> int | None:
    """Returns the most memory that this process has had resident, in bytes; None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    kilobytes = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="ascii"))
    return None if kilobytes is None else int(kilobytes[1]) * 1024  # getrusage counts the parent's memory too


def _copy(checkpoint: Checkpoint, folder: Path) -> None:
    """Copies weights and index as they are; links of the hub's cache become files."""
    files = _files(checkpoint)
    index = checkpoint.folder / INDEX
    if index.is_file() and checkpoint.folder / WHOLE not in files:
        files.append(index)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _files(checkpoint: Checkpoint) -> list[Path]:
    """Returns the weight files, all of which lie in the checkpoint's folder itself."""
    files = sorted({stored.file for stored in checkpoint.tensors.values()})
    for file in files:
        if file.parent != checkpoint.folder:
            raise InputError(f"{checkpoint.where}: {INDEX} names {file}, which does not lie beside it")
    return files


def _overwrite(handle: DiskHandle, folder: Path, W: Tensor) -> None:
    """Writes a matrix into the copy of the file that it was read from.

    Args:
        handle: where it lies.
        folder: with the copies.
        W: (out, in), of the stored type.
    """
    stored, layout = handle.stored, handle.disk_layout
    offset, shape = stored.offset, stored.shape
    if layout.stacked:
        shape = shape[1:]
        offset += (handle.id.expert or 0) * prod(shape) * stored.dtype.itemsize
    axes = tuple(axis for axis in layout.axes if axis != "expert")
    place = StoredTensor(stored.name, folder / stored.file.name, stored.dtype, shape, offset)
    if axes == ("out", "in") and len(layout.shares) == 1:
        whole = W.contiguous()
    else:
        whole = place.read()  # the other matrices in it, as edited so far
        region = Layout(axes, layout.shares, layout.position, layout.groups).region(whole)
        region.copy_(W.reshape(region.shape))
    with place.file.open("rb+") as file:
        file.seek(offset)
        file.write(whole.view(-1).view(torch.uint8).numpy().data)


def _account(checkpoint: Checkpoint, folder: Path, rows: list[AppliedEdit]) -> Exported:
    entries: Counter[str] = Counter()
    for stored in checkpoint.tensors.values():
        entries[str(stored.dtype).removeprefix("torch.")] += prod(stored.shape)
    title = (checkpoint.config.get("architectures") or [""])[0]
    return Exported(
        folder,
        "dense",
        entries.most_common(1)[0][0],
        title.endswith(("ForCausalLM", "LMHeadModel")),
        entries.total(),
        entries.total(),
        sum((folder / file.name).stat().st_size for file in _files(checkpoint)),
        len({Exported.place(row) for row in rows}),
    )
