"""Stacks of edits: resolved against a model, applied and taken back bit for bit."""

import copy
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from laser_lit.edits.bases import SavedBasis
from laser_lit.edits.change import Changer
from laser_lit.edits.decompose import Calibration
from laser_lit.edits.edit import Edit
from laser_lit.edits.manifest import bases_of, edits_of, read_manifest, write_manifest
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.write import Write, computed_write, without_factors
from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.cache import FactorCache, shared_cache
from laser_lit.linalg.svd import Svd
from laser_lit.models.matrices import MatrixHandle, MatrixId, MatrixMap, find_matrices

COMBINE = ("in_order", "last")


class Stack:
    """Edits that are applied together; their order only counts for a matrix that is listed twice."""

    def __init__(
        self,
        edits: Sequence[Edit],
        combine: str | None = None,
        svd: Svd | Mapping[str, Any] | str | None = None,
        cache: FactorCache | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        """Keeps the edits; nothing is computed.

        Args:
            edits: none leave the model as it is.
            combine: what to do with a matrix that several edits list: "in_order" (each edit acts on the result of the
                one before) or "last" (only the last one counts); None makes it an error.
            svd: how matrices are factorized: an `Svd`, its fields, or its method.
            cache: where factors are kept; None is the cache folder's own.
            calibration: what whitened edits are calibrated on, see `laser_lit.calibrate`.
        """
        if combine is not None and combine not in COMBINE:
            raise unknown_name("combine", combine, COMBINE)
        self.edits = tuple(edits)
        self.combine = combine
        self.svd = Svd.of(svd)
        self.cache = cache
        self.calibration = calibration
        self._bases: tuple[SavedBasis | None, ...] = (None,) * len(self.edits)

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
        edits, combine, svd, bases = read_manifest(Path(path))
        stack = cls(edits, combine, svd)
        stack._bases = tuple(bases)
        return stack

    @property
    def uncalibrated(self) -> tuple[Edit, ...]:
        """The whitened edits that need text to be calibrated on."""
        return tuple(
            edit
            for edit, basis in zip(self.edits, self._bases, strict=True)
            if edit.decomposition == "whitened" and basis is None and self.calibration is None
        )

    def provided(self, cache: FactorCache | None = None, calibration: Calibration | None = None) -> "Stack":
        """Returns the same stack with what it lacks of these.

        Args:
            cache: where factors are kept.
            calibration: what whitened edits are calibrated on.
        """
        stack = copy.copy(self)
        stack.cache = self.cache or cache
        stack.calibration = self.calibration or calibration
        return stack

    def first(self, count: int) -> "Stack":
        """Returns the stack of the first edits alone.

        Args:
            count: how many.
        """
        stack = copy.copy(self)
        stack.edits, stack._bases = self.edits[:count], self._bases[:count]
        return stack

    def settled(self, rows: Sequence[AppliedEdit]) -> "Stack":
        """Returns the stack that does what was done once more, bit for bit, and needs no calibration for it.

        Args:
            rows: from `applied`, `apply` or `resolve`.
        """
        stack = Stack(edits_of(rows), self.combine, self.svd, self.cache)
        stack._bases = tuple(bases_of(rows))
        return stack

    def _write(
        self, model: nn.Module | MatrixMap, snapshots: list[tuple[MatrixHandle, Tensor]], offload: bool
    ) -> list[AppliedEdit]:
        """Writes all edits and fills `snapshots` as it goes; at any time one of old and new is held, not both."""
        device = "cpu" if offload else None
        writes = deque(without_factors(write, device) for write in self.writes(model))
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
        numbered = self._numbered(matrices)
        changer = Changer(self.cache or shared_cache(), self.svd, self.calibration)
        if self.calibration is not None:
            self.calibration.expect([matrices[id] for id, listed in numbered.items() if self._whitens(listed)])
        for id, listed in numbered.items():
            yield computed_write(matrices[id], [(edit, self._bases[number]) for number, edit in listed], changer)

    def _whitens(self, listed: Sequence[tuple[int, Edit]]) -> bool:
        return any(edit.decomposition == "whitened" and self._bases[number] is None for number, edit in listed)

    def by_matrix(self, matrices: MatrixMap) -> dict[MatrixId, list[Edit]]:
        """Returns the edits of each matrix that the stack changes, in the order in which they act.

        Args:
            matrices: the model's map.

        Raises:
            InputError: a matrix that the model has not, or one listed twice without `combine`.
        """
        return {id: [edit for _, edit in listed] for id, listed in self._numbered(matrices).items()}

    def _numbered(self, matrices: MatrixMap) -> dict[MatrixId, list[tuple[int, Edit]]]:
        """Returns what `by_matrix` does, each edit with its number in the stack."""
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
        return {id: edits[first:] for id, edits in listed.items()}


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
