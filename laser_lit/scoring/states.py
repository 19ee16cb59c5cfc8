"""Recorded states by key: in memory up to a budget, then in memory-mapped files, then not kept at all."""

import mmap
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from laser_lit.scoring.scratch import Scratch

DISK_SHARE = 0.5
"""Most of the disk's free space that states may take, those of all processes that began about now together."""
DEVICE_SHARE = 0.5
"""Most of an accelerator's free memory that a state may take and still stay there."""
_PLAIN = (type(None), bool, int, float, str)
_Form = tuple[torch.Size, torch.dtype, torch.device]


@dataclass(eq=False)
class _Entry:
    """A state: the form of each of its tensors, and the tensors themselves or the file that has them."""

    forms: list[_Form]
    build: Callable[[list[Tensor]], Any]
    size: int
    used: int
    tensors: list[Tensor]
    path: Path | None = None


class States:
    """Trees of tensors by key, within budgets; what has no room is left out and may be computed again.

    An entry that was not asked for during this round nor the one before (see `next_round`) makes room for one that is
    wanted now: it moves from memory to a file, and from the files it goes.
    """

    def __init__(self, memory_bytes: int, file_bytes: int | None = None, folder: Path | str | None = None) -> None:
        """Keeps nothing yet.

        Args:
            memory_bytes: most that lies in memory, on whatever device it was computed.
            file_bytes: most that lies in files; None takes half of what is free on the disk.
            folder: where the folder of the files is made; None takes TMPDIR, else /var/tmp, which is on disk.
        """
        self.memory_bytes = memory_bytes
        self._file_bytes = file_bytes
        self._spared = 0  # of the disk, which others write to as well
        self._parent = folder
        self._scratch: Scratch | None = None
        self._entries: dict[Hashable, _Entry] = {}
        self._round = 0
        self._files = 0
        self.in_memory = 0
        self.in_files = 0

    def __enter__(self) -> "States":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def close(self) -> None:
        """Forgets everything and removes the files."""
        self.keep(lambda key: False)
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None

    def next_round(self) -> None:
        """Says that another stack is scored from here on."""
        self._round += 1

    def keep(self, wanted: Callable[[Any], bool]) -> None:
        """Drops the entries whose keys are not wanted.

        Args:
            wanted: of a key, whether it stays.
        """
        for key in [key for key in self._entries if not wanted(key)]:
            self.drop(key)

    def drop(self, key: Hashable) -> None:
        """Drops an entry, if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry.path is None:
            self.in_memory -= entry.size
        elif entry is not None and entry.path is not None:
            self.in_files -= entry.size
            entry.path.unlink(missing_ok=True)

    def leave_memory(self) -> None:
        """Drops what lies in memory, for good: what is put from here on goes to files."""
        self.keep(lambda key: self._entries[key].path is not None)
        self.memory_bytes = 0

    def get(self, key: Hashable) -> Any:
        """Returns a state as it was put, on the device that it was on; not to be changed in place.

        Args:
            key: one that is `in` these states.
        """
        entry = self._entries[key]
        entry.used = self._round
        tensors = entry.tensors if entry.path is None else _read(entry)
        return entry.build([tensor.to(form[2]) for tensor, form in zip(tensors, entry.forms, strict=True)])

    def put(
        self,
        key: Hashable,
        state: Any,
        *,
        wanted: bool = False,
        instead: Collection[Hashable] = (),
        spare: bool = False,
    ) -> bool:
        """Returns whether a copy of the state is kept under the key; one that is there already stays.

        Args:
            key: what it is found under.
            state: a tree of tensors and plain values.
            wanted: whether older entries make room for it.
            instead: keys that make room for it too, whenever they were used.
            spare: it is kept only in memory of which half is free.
        """
        if key in self._entries:
            return True
        entry = _entry(state, self._round)
        if entry is None or (spare and 2 * (self.in_memory + entry.size) > self.memory_bytes):
            return False
        if wanted:
            self._make_room(entry.size, instead)
        if self.in_memory + entry.size <= self.memory_bytes:
            entry.tensors = [_copy(tensor) for tensor in entry.tensors]
            self.in_memory += entry.size
        elif not self._to_file(entry):
            return False
        self._entries[key] = entry
        return True

    def _make_room(self, size: int, instead: Collection[Hashable]) -> None:
        """Moves the least recently used entries out of memory, or removes their files, while there is no room."""
        old = [key for key, entry in self._entries.items() if entry.used < self._round - 1 or key in instead]
        old.sort(key=lambda key: self._entries[key].used)
        if size <= self.memory_bytes:
            self._leave_to(size, old)
        if self.in_memory + size > self.memory_bytes and size <= self.file_bytes:
            for key in old:
                if self.in_files + size <= self.file_bytes:
                    return
                if key in self and self._entries[key].path is not None:
                    self.drop(key)

    def _leave_to(self, size: int, old: Sequence[Hashable]) -> None:
        """Moves entries out of memory until there is room in it."""
        for key in old:
            if self.in_memory + size <= self.memory_bytes:
                return
            entry = self._entries[key]
            if entry.path is not None:
                continue
            self.in_memory -= entry.size
            if not self._to_file(entry):
                self._entries.pop(key)

    def _to_file(self, entry: _Entry) -> bool:
        """Returns whether the entry lies in a file from here on."""
        if self.in_files + entry.size > self.file_bytes or self._free() - entry.size < self._spared:
            return False
        path = None
        try:
            path = self._new_path()
            _write(path, entry.tensors)
        except OSError as error:  # a full disk: nothing more is written
            warnings.warn(f"states are no longer kept in {self._parent or _temporary()}: {error}", stacklevel=3)
            if path is not None:
                path.unlink(missing_ok=True)
            self._file_bytes = 0
            return False
        entry.path, entry.tensors = path, []
        self.in_files += entry.size
        return True

    @property
    def file_bytes(self) -> int:
        """Most that lies in files."""
        if self._file_bytes is None:
            free = self._free()
            self._file_bytes = int(DISK_SHARE * free)
            self._spared = free - self._file_bytes
        return self._file_bytes

    def _free(self) -> int:
        return shutil.disk_usage(self._parent or _temporary()).free

    def _new_path(self) -> Path:
        if self._scratch is None:
            self._scratch = Scratch(self._parent or _temporary())
        self._files += 1
        return self._scratch.folder / f"{self._files}.bin"


def _temporary() -> str:
    """Returns the folder of temporary files: /tmp often lies in memory, which is what files are to spare."""
    if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK):
        return "/var/tmp"
    return tempfile.gettempdir()


def _entry(state: Any, used: int) -> _Entry | None:
    """Returns the entry of a state that is still to be copied; None for a state of other things than can be kept."""
    leaves, spec = pytree.tree_flatten(state)
    if not all(isinstance(leaf, (Tensor, *_PLAIN)) for leaf in leaves):
        return None
    large = [isinstance(leaf, Tensor) and any(leaf.stride()) for leaf in leaves]  # no repeated number, nor a single one
    tensors = [leaf.detach() for leaf, kept in zip(leaves, large, strict=True) if kept]
    plain = [None if kept else (leaf,) for leaf, kept in zip(leaves, large, strict=True)]

    def build(tensors: list[Tensor]) -> Any:
        rest = iter(tensors)
        return pytree.tree_unflatten([next(rest) if leaf is None else leaf[0] for leaf in plain], spec)

    forms = [(tensor.shape, tensor.dtype, tensor.device) for tensor in tensors]
    return _Entry(forms, build, sum(tensor.numel() * tensor.element_size() for tensor in tensors), used, tensors)


def _copy(tensor: Tensor) -> Tensor:
    """Returns a copy on the same device, or in main memory where the device has little left."""
    size = tensor.numel() * tensor.element_size()
    full = tensor.device.type == "cuda" and size > DEVICE_SHARE * torch.cuda.mem_get_info(tensor.device)[0]
    if not size or (tensor.device.type != "cpu" and not full):
        return tensor.clone(memory_format=torch.contiguous_format)
    # Pages of its own: among the short-lived tensors of a pass, a long-lived one would tear holes into the heap.
    raw = torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)
    return raw.view(tensor.dtype).view(tensor.shape).copy_(tensor)


def _write(path: Path, tensors: list[Tensor]) -> None:
    with path.open("wb") as file:
        for tensor in tensors:
            file.write(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)


def _read(entry: _Entry) -> list[Tensor]:
    """Returns the tensors of an entry in a file, which is mapped into memory only while they are copied from it."""
    raw = (
        torch.from_file(str(entry.path), size=entry.size, dtype=torch.uint8)
        if entry.size
        else torch.empty(0, dtype=torch.uint8)
    )
    found, offset = [], 0
    for shape, dtype, _ in entry.forms:
        size = shape.numel() * dtype.itemsize
        found.append(raw[offset : offset + size].clone().view(dtype).view(shape))
        offset += size
    return found
