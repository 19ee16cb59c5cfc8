"""One factorization a matrix, ever: factors on disk, found again by the content of the matrix."""

import json
import os
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.files import cache_folder, write_atomic
from laser_lit.linalg.svd import Factors, Svd, factorize
from laser_lit.linalg.whitened import OutputBasis

Kept = TypeVar("Kept", Factors, OutputBasis)

VERSION = 2
"""Raised when the same matrix and options would give other factors, or lie otherwise in a file."""
GIB = 2**30
STALE_SECONDS = 3600
"""Age at which a temporary file is taken for the remains of a killed writer."""

_BROKEN = (SafetensorError, KeyError, ValueError, TypeError)


class FactorCache:
    """Factors by content of the matrix, in memory and on disk; several processes may share a folder."""

    def __init__(
        self, folder: Path | str | None = None, max_bytes: int | None = None, max_memory_bytes: int = GIB
    ) -> None:
        """Opens a cache; nothing is created before the first factorization.

        Args:
            folder: where the factors lie; None takes factors/ in the cache folder (LASER_LIT_CACHE).
            max_bytes: size of the folder beyond which the least recently used factors are removed; None takes
                LASER_LIT_CACHE_GB, in 1e9 bytes, else 10 GiB.
            max_memory_bytes: size of the factors that this process keeps at hand.

        Raises:
            InputError: LASER_LIT_CACHE_GB is no number of at least 0.
        """
        self.folder = Path(folder) if folder is not None else default_folder()
        self.max_bytes = default_bytes() if max_bytes is None else max_bytes
        self.max_memory_bytes = max_memory_bytes
        self._memory: OrderedDict[str, Factors | OutputBasis] = OrderedDict()

    @torch.inference_mode(False)
    def get(
        self,
        W: Tensor,
        method: str = "auto",
        *,
        rank: int | None = None,
        options: Svd | None = None,
        name: str = "matrix",
    ) -> Factors:
        """Returns the factors of a matrix on its device, float64 as the matrix or else float32, computed only once.

        Args:
            W: (out, in), any floating dtype.
            method: see `Svd`; left aside where `options` are given.
            rank: components to keep; None keeps all.
            options: method and parameters.
            name: what errors call the matrix.

        Raises:
            InputError: as `factorize`.
        """
        options = options or Svd(method)

        def compute() -> Factors:
            return factorize(
                W,
                options.method,
                rank=rank,
                seed=options.seed,
                oversampling=options.oversampling,
                n_iter=options.n_iter,
                dtype=torch.float64 if W.dtype == torch.float64 else torch.float32,
                name=name,
            )

        return self.kept(factors_key(W, options, rank), Factors, compute).to(W.device)

    def known(self, W: Tensor, options: Svd) -> Factors | None:
        """Returns all factors of a matrix, on the CPU, if they are kept; nothing is computed.

        Args:
            W: (out, in), any floating dtype.
            options: method and parameters.
        """
        key = factors_key(W, options, None)
        found = self._memory.get(key) or self._read(key, Factors)
        return found if isinstance(found, Factors) else None

    @torch.inference_mode(False)
    def kept(self, key: str, kind: type[Kept], compute: Callable[[], Kept]) -> Kept:
        """Returns what is kept under a key, on the CPU; it is computed where it is not there.

        Args:
            key: all that decides it, `VERSION` among it.
            kind: what it is.
            compute: makes it, on any device.
        """
        known = self._memory.get(key)
        found = known if isinstance(known, kind) else self._read(key, kind)
        if found is None:
            found = compute().to("cpu")
            self._write(key, found)
        self._remember(key, found)
        return found

    def path(self, key: str) -> Path:
        """Returns the file that holds the factors of a key."""
        return self.folder / f"{key}.safetensors"

    def _read(self, key: str, kind: type[Kept]) -> Kept | None:
        path = self.path(key)
        try:
            factors = _load(path, kind)
        except OSError:
            return None
        except _BROKEN:
            with suppress(OSError):  # a folder that may only be read
                path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # a folder that may only be read, or another process has removed the file
            os.utime(path)  # the time of last use, which eviction goes by
        return factors

    def _write(self, key: str, factors: Factors | OutputBasis) -> None:
        if _size(factors) > self.max_bytes:
            return
        try:
            write_atomic(self.path(key), lambda temporary: _save(temporary, factors))
            self._evict(keep=self.path(key))
        except (OSError, SafetensorError) as error:  # safetensors reports a full disk in its own way
            warnings.warn(f"factors are not kept in {self.folder}: {error}", stacklevel=3)

    def _evict(self, keep: Path) -> None:
        """Removes the least recently used files until the folder is within its bound; others may do so meanwhile."""
        files = []
        for path in self.folder.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.name.startswith("."):
                if time.time() - status.st_mtime > STALE_SECONDS:
                    path.unlink(missing_ok=True)
            elif path.suffix == ".safetensors":
                files.append((status.st_mtime_ns, path, status.st_size))
        total = sum(size for _, _, size in files)
        for _, path, size in sorted(files):
            if total <= self.max_bytes:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size

    def _remember(self, key: str, factors: Factors | OutputBasis) -> None:
        self._memory[key] = factors
        self._memory.move_to_end(key)
        while self._memory and sum(map(_size, self._memory.values())) > self.max_memory_bytes:
            self._memory.popitem(last=False)


def shared_cache() -> FactorCache:
    """Returns this process's one cache on the default folder, so that factors stay at hand from stack to stack."""
    return _shared_cache(default_folder())


@lru_cache(maxsize=8)
def _shared_cache(folder: Path) -> FactorCache:
    return FactorCache(folder)


def default_folder() -> Path:
    """Returns factors/ in the cache folder (LASER_LIT_CACHE, else ~/.cache/laser_lit)."""
    return cache_folder() / "factors"


def default_bytes() -> int:
    """Returns the bound of the folder's size that LASER_LIT_CACHE_GB sets, else 10 GiB.

    Raises:
        InputError: it is no number of at least 0.
    """
    given = os.environ.get("LASER_LIT_CACHE_GB")
    if not given:
        return 10 * GIB
    try:
        size = float(given)
    except ValueError:
        size = -1.0
    if not 0.0 <= size < float("inf"):
        raise InputError(f"LASER_LIT_CACHE_GB={given}: must be a number of at least 0, in 1e9 bytes")
    return int(size * 1e9)


def content_hash(W: Tensor) -> str:
    """Returns 32 hexadecimal digits that tell the bits, shape and dtype of a tensor, whatever its device."""
    digest = xxhash.xxh3_128(f"{tuple(W.shape)} {W.dtype}".encode())
    digest.update(_bytes(W))
    return digest.hexdigest()


def factors_key(W: Tensor, options: Svd, rank: int | None) -> str:
    """Returns what the factors of a matrix are kept under: its content, and all that decides the factors."""
    seeded = (options.seed, options.oversampling, options.n_iter) if options.method == "randomized" else ()
    said = (VERSION, content_hash(W), options.method, rank, *seeded)
    return xxhash.xxh3_128(repr(said).encode()).hexdigest()


def _bytes(W: Tensor) -> memoryview:
    flat = W.detach().cpu().contiguous().view(-1)
    return flat.view(torch.uint8).numpy().data


def _parts(kept: Factors | OutputBasis) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors, and what else there is."""
    parts = vars(kept)
    tensors = {name: part for name, part in parts.items() if isinstance(part, Tensor)}
    return tensors, {name: part for name, part in parts.items() if name not in tensors}


def _size(kept: Factors | OutputBasis) -> int:
    return sum(part.numel() * part.element_size() for part in _parts(kept)[0].values())


def _sum(tensors: dict[str, Tensor], *said: str) -> str:
    digest = xxhash.xxh3_128(repr(said).encode())
    for name in sorted(tensors):
        digest.update(_bytes(tensors[name]))
    return digest.hexdigest()


def _save(path: Path, kept: Factors | OutputBasis) -> None:
    tensors, others = _parts(kept)
    said = json.dumps(others, sort_keys=True)
    save_file(tensors, path, {"said": said, "sum": _sum(tensors, said)})


def _load(path: Path, kind: type[Kept]) -> Kept:
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if metadata["sum"] != _sum(tensors, metadata["said"]):
        raise ValueError(f"{path} is damaged")
    return kind(**tensors, **json.loads(metadata["said"]))
