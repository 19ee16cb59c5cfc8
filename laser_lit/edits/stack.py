"""Stacks of edits: resolved against a model, applied and taken back bit for bit."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from laser_lit.edits.change import Changer
from laser_lit.edits.edit import Edit
from laser_lit.edits.manifest import read_manifest, write_manifest
from laser_lit.edits.row import AppliedEdit
from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.cache import FactorCache, content_hash, shared_cache
from laser_lit.linalg.svd import Svd
from laser_lit.models.matrices import MatrixHandle, MatrixId, MatrixMap, find_matrices

COMBINE = ("in_order", "last")


@dataclass(eq=False)
class Write:
    """A matrix that is about to be written.

    Attributes:
        handle: where it goes.
        W: (out, in), in the type it is stored in.
        rows: what was done to it, in the order in which it was done.
        thin: (out, k) and (k, in) whose product is W before the cast, where the last edit was low_rank; else None.
    """

    handle: MatrixHandle
    W: Tensor
    rows: list[AppliedEdit]
    thin: tuple[Tensor, Tensor] | None


class Stack:
    """Edits that are applied together; their order only counts for a matrix that is listed twice."""

    def __init__(
        self,
        edits: Sequence[Edit],
        combine: str | None = None,
        svd: Svd | Mapping[str, Any] | str | None = None,
        cache: FactorCache | None = None,
    ) -> None:
        """Keeps the edits; nothing is computed.

        Args:
            edits: none leave the model as it is.
            combine: what to do with a matrix that several edits list: "in_order" (each edit acts on the result of the
                one before) or "last" (only the last one counts); None makes it an error.
            svd: how matrices are factorized: an `Svd`, its fields, or its method.
            cache: where factors are kept; None is the cache folder's own.
        """
        if combine is not None and combine not in COMBINE:
            raise unknown_name("combine", combine, COMBINE)
        self.edits = tuple(edits)
        self.combine = combine
        self.svd = Svd.of(svd)
        self.cache = cache

    def __len__(self) -> int:
        return len(self.edits)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Stack({list(self.edits)}, combine={self.combine!r}, svd={self.svd})"

    def resolve(self, model: nn.Module | MatrixMap) -> list[AppliedEdit]:
        """Returns what applying the stack would do, a row an edit of a matrix; the model is left alone.

        Args:
            model: the model or its matrix map.

        Raises:
            InputError: an edit that the model cannot have, or a matrix listed twice without `combine`.
        """
        return [row for write in self.writes(model) for row in write.rows]

    @contextmanager
    def applied(self, model: nn.Module | MatrixMap, offload: bool = False) -> Iterator[list[AppliedEdit]]:
        """Yields the rows of what was done; on exit, also by an exception, the weights come back bit for bit.

        Every edit is computed before the first weight changes, so one that fails leaves the model as it was.

        Args:
            model: the model or its matrix map.
            offload: keep the weights that are put aside on the CPU instead of beside the model.

        Raises:
            InputError: as `resolve`.
        """
        snapshots: list[tuple[MatrixHandle, Tensor]] = []
        try:
            yield self._write(model, snapshots, offload)
        finally:
            _restore(snapshots)

    def apply(self, model: nn.Module | MatrixMap) -> list[AppliedEdit]:
        """Returns the rows of what was done, for keeps; an error on the way leaves the model as it was.

        Args:
            model: the model or its matrix map.

        Raises:
            InputError: as `resolve`.
        """
        snapshots: list[tuple[MatrixHandle, Tensor]] = []
        try:
            return self._write(model, snapshots, offload=False)
        except BaseException:
            _restore(snapshots)
            raise

    def save(self, path: Path | str, rows: Sequence[AppliedEdit], about: Mapping[str, Any] | None = None) -> None:
        """Writes the manifest of what was done; `Stack.load` makes a stack of it that does the very same.

        Args:
            path: usually stack.yaml.
            rows: from `applied`, `apply` or `resolve`.
            about: what to note about the model, such as id and revision.
        """
        write_manifest(Path(path), rows, self.combine, self.svd, about)

    @classmethod
    def load(cls, path: Path | str) -> "Stack":
        """Returns the stack of a manifest that `save` or a person wrote.

        Args:
            path: a YAML file.

        Raises:
            InputError: no such file, or something in it is wrong; names the entry.
        """
        edits, combine, svd = read_manifest(Path(path))
        return cls(edits, combine, svd)

    def _write(
        self, model: nn.Module | MatrixMap, snapshots: list[tuple[MatrixHandle, Tensor]], offload: bool
    ) -> list[AppliedEdit]:
        """Writes all edits and fills `snapshots` as it goes; at any time one of old and new is held, not both."""
        device = "cpu" if offload else None
        writes = deque(_without_factors(write, device) for write in self.writes(model))
        rows = [row for write in writes for row in write.rows]
        while writes:
            write = writes.popleft()
            snapshots.append((write.handle, write.handle.save(device)))
            write.handle.write(write.W)
        return rows

    def writes(self, model: nn.Module | MatrixMap) -> Iterator[Write]:
        """Yields what is to be written, a matrix at a time, so that a single one is held; writes nothing.

        Args:
            model: the model or its matrix map.

        Raises:
            InputError: as `resolve`.
        """
        matrices = _matrices(model)
        changer = Changer(self.cache or shared_cache(), self.svd)
        for id, edits in self.by_matrix(matrices).items():
            yield _computed(matrices[id], edits, changer)

    def by_matrix(self, matrices: MatrixMap) -> dict[MatrixId, list[Edit]]:
        """Returns the edits of each matrix that the stack changes, in the order in which they act.

        Args:
            matrices: the model's map.

        Raises:
            InputError: a matrix that the model has not, or one listed twice without `combine`.
        """
        listed: dict[MatrixId, list[tuple[int, Edit]]] = {}
        for number, edit in enumerate(self.edits):
            for id in matrices.select(edit.layer, edit.matrix, edit.part, edit.expert):
                listed.setdefault(id, []).append((number, edit))
        for id, edits in listed.items():
            if len(edits) > 1 and self.combine is None:
                named = ", ".join(f"{number} ({edit.target})" for number, edit in edits)
                raise InputError(
                    f"{id} is listed {len(edits)} times, by the edits {named}, counted from 0: leave one, or say "
                    "combine=in_order (each acts on the result of the one before) or combine=last (the others are left "
                    "out)"
                )
        first = -1 if self.combine == "last" else 0
        return {id: [edit for _, edit in edits[first:]] for id, edits in listed.items()}


@torch.inference_mode(False)
@torch.no_grad()
def _computed(handle: MatrixHandle, edits: list[Edit], changer: Changer) -> Write:
    original = handle.read()
    content = content_hash(original)
    size = float(torch.linalg.vector_norm(original, dtype=torch.float64))
    if not isfinite(size):
        bad = int(original.numel() - torch.isfinite(original).sum())
        raise InputError(f"{handle.id} ({handle.name}) has {bad} NaN or infinite entries: check the checkpoint")
    W, thin, rows = original, None, []
    for edit in edits:
        change = changer.change(W, edit, str(handle.id))
        W, thin = change.W, change.thin
        error = _distance(W, original) / size if size and W is not original else 0.0
        rows.append(AppliedEdit.of(handle, edit.kind, change.rank, change.rho, error, content))
    new = W.to(handle.dtype)
    if not bool(torch.isfinite(new).all()):
        raise InputError(
            f"{handle.id}: the edited matrix overflows {handle.dtype}; load the model in float32 or bfloat16"
        )
    return Write(handle, new, rows, thin)


def _without_factors(write: Write, device: str | None) -> Write:
    return replace(write, W=write.W if device is None else write.W.to(device), thin=None)


def _distance(W: Tensor, original: Tensor) -> float:
    wide = torch.promote_types(original.dtype, torch.float32)
    return float(torch.linalg.vector_norm(W.to(wide) - original.to(wide), dtype=torch.float64))


def _restore(snapshots: list[tuple[MatrixHandle, Tensor]]) -> None:
    """Puts every snapshot back, the latest first, whatever goes wrong on the way; then raises what did."""
    problem: BaseException | None = None
    while snapshots:
        handle, snapshot = snapshots[-1]
        try:
            handle.restore(snapshot)
        except Exception as error:  # the others can still come back
            problem = problem or error
        except BaseException as interrupt:  # the same matrix again: it may be half restored
            problem = interrupt
            continue
        snapshots.pop()
    if problem is not None:
        raise problem


def _matrices(model: nn.Module | MatrixMap) -> MatrixMap:
    return model if isinstance(model, MatrixMap) else find_matrices(model)
