"""safetensors files on disk: where each tensor's bytes are, and reading them without keeping a file open or mapped."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from laser_lit.errors import InputError

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_HEADER = 100_000_000
"""Bytes. Source: the safetensors format."""

DTYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8},
    **{"U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64, "BOOL": torch.bool, "C64": torch.complex64},
    **{"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2},
}
"""Source: the safetensors format."""

_SAVE_AGAIN = (
    "convert it once: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR), "
    "with the class that fits the model"
)


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
        name: in the file.
        file: the shard.
        dtype: type of its entries.
        shape: length of each axis.
        offset: of its first byte in the file.
    """

    name: str
    file: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int

    @property
    def bytes(self) -> int:
        """Its size on disk."""
        return prod(self.shape) * self.dtype.itemsize

    def read(self) -> Tensor:
        """Returns the tensor; the file is closed again.

        Raises:
            InputError: the file has become shorter or is gone.
        """
        return self.read_rows([(0, self.shape[0])]) if self.shape else self._read([(0, 1)], self.dtype.itemsize)[0]

    def read_rows(self, ranges: Sequence[tuple[int, int]]) -> Tensor:
        """Returns rows of the tensor seen as (rows, …), (sum of the ranges, …).

        Args:
            ranges: first and last row (exclusive) along the first axis.

        Raises:
            InputError: as `read`.
        """
        row = prod(self.shape[1:]) * self.dtype.itemsize
        return self._read(ranges, row).view(-1, *self.shape[1:]) if row else torch.empty(self.shape, dtype=self.dtype)

    def read_slab(self, index: int, ranges: Sequence[tuple[int, int]] | None = None) -> Tensor:
        """Returns one entry of the first axis, or rows of it.

        Args:
            index: along the first axis.
            ranges: as for `read_rows`, inside that entry; None reads all of it.

        Raises:
            InputError: as `read`.
        """
        shape = self.shape[1:]
        offset = self.offset + index * prod(shape) * self.dtype.itemsize
        return StoredTensor(self.name, self.file, self.dtype, shape, offset).read_rows(ranges or [(0, shape[0])])

    def _read(self, ranges: Sequence[tuple[int, int]], row: int) -> Tensor:
        """Returns the entries in ranges of rows of so many bytes, one after the other."""
        buffer = torch.empty(sum(stop - start for start, stop in ranges) * row, dtype=torch.uint8)
        view, filled = buffer.numpy().data, 0
        try:
            with self.file.open("rb", buffering=0) as file:  # a map would count as resident memory
                for start, stop in ranges:
                    file.seek(self.offset + start * row)
                    end = filled + (stop - start) * row
                    while filled < end and (count := file.readinto(view[filled:end])):
                        filled += count
        except FileNotFoundError:
            raise InputError(f"{self.file} is gone: it was there when the checkpoint was opened") from None
        if filled < len(view):
            raise InputError(f"{self.file} ends inside {self.name}: it has changed since the checkpoint was opened")
        return buffer.view(self.dtype)


def find_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Returns every tensor of a checkpoint by name, shard by shard, in the order in which the bytes lie.

    Args:
        folder: with model.safetensors, or model.safetensors.index.json and its shards.

    Raises:
        InputError: no such files, or files that are missing, cut short or broken; says what to do.
    """
    whole, index = folder / WHOLE, folder / INDEX
    if whole.is_file():
        return read_header(whole)
    if not index.is_file():
        raise InputError(_without_safetensors(folder))
    weight_map = _weight_map(index)
    files = list(dict.fromkeys(weight_map.values()))
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of the {len(files)} shards that {INDEX} names, first {missing[0]}: "
            "fetch the checkpoint again"
        )
    tensors = {name: stored for file in files for name, stored in read_header(folder / file).items()}
    for name, file in weight_map.items():
        if name not in tensors:
            raise InputError(f"{folder / file} has no {name}, though {INDEX} says so: fetch the checkpoint again")
    return tensors


def read_header(file: Path) -> dict[str, StoredTensor]:
    """Returns the tensors of one safetensors file by name, in the order in which their bytes lie.

    Raises:
        InputError: the file is cut short or is not a safetensors file.

    Source: the safetensors format: 8 bytes with the header's length (little endian), the header (JSON), the data.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or not 2 <= length <= MAX_HEADER:
            raise _broken(file, "its first 8 bytes are no header's length")
        if 8 + length > size:
            raise _short(file, size, 8 + length)
        try:
            header = json.loads(opened.read(length))
        except ValueError as error:
            raise _broken(file, f"its header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise _broken(file, "its header is not a mapping")
    header.pop("__metadata__", None)
    tensors = [_stored(file, name, entry, 8 + length) for name, entry in header.items()]
    end = max((stored.offset + stored.bytes for stored in tensors), default=0)
    if end > size:
        raise _short(file, size, end)
    return {stored.name: stored for stored in sorted(tensors, key=lambda stored: (stored.offset, stored.name))}


def _stored(file: Path, name: str, entry: Any, start: int) -> StoredTensor:
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if dtype not in DTYPES:
            raise InputError(f"{name} in {file} is stored as {dtype}, which this program does not read")
        stored = StoredTensor(name, file, DTYPES[dtype], shape, start + begin)
        sound = begin >= 0 and stored.bytes == end - begin
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(file, f"its header's entry {name!r} is not one of a tensor") from error
    if not sound:
        raise _broken(file, f"its header gives {name!r} {end - begin} bytes, and its shape {stored.bytes}")
    return stored


def _weight_map(index: Path) -> dict[str, str]:
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{index} is no index of shards (no JSON with weight_map): fetch it again") from error
    if not isinstance(found, dict) or not found:
        raise InputError(f"{index} names no shards: fetch it again")
    return found


def _broken(file: Path, why: str) -> InputError:
    return InputError(f"{file} is not a safetensors file, or is broken: {why}; fetch or save it again")


def _short(file: Path, size: int, needed: int) -> InputError:
    return InputError(
        f"{file} is cut short: it has {size:,} bytes and its header needs {needed:,}; fetch or save it again"
    )


def _without_safetensors(folder: Path) -> str:
    """Returns what to say of a folder that has no weights in safetensors."""
    other = next((name for pattern in ("pytorch_model*.bin", "*.pt", "*.pth") for name in folder.glob(pattern)), None)
    if other:
        return f"{folder} has its weights in {other.name}, not in safetensors; {_SAVE_AGAIN}"
    gguf = next(folder.glob("*.gguf"), None)
    if gguf:
        return f"{folder} has its weights in {gguf.name}, usually quantized; take the checkpoint that it was made from"
    if any(folder.glob("model.factored*.safetensors")):
        return f"{folder} holds factors; python -m laser_lit.export {folder} NEW --format dense makes whole matrices"
    if (folder / "adapter_model.safetensors").is_file():
        return f"{folder} holds an adapter only; merge it into its base model and save that (peft: merge_and_unload)"
    return f"{folder} has neither {WHOLE} nor {INDEX}: not a checkpoint that save_pretrained wrote"
