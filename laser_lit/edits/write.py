"""One matrix under its edits, as it is about to be written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import torch
from torch import Tensor

from laser_lit.edits.bases import SavedBasis
from laser_lit.edits.change import Changer
from laser_lit.edits.edit import Edit
from laser_lit.edits.row import AppliedEdit
from laser_lit.errors import InputError
from laser_lit.linalg.cache import content_hash
from laser_lit.models.matrices import MatrixHandle


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


@torch.inference_mode(False)
@torch.no_grad()
def computed_write(handle: MatrixHandle, edits: Sequence[tuple[Edit, SavedBasis | None]], changer: Changer) -> Write:
    """Returns what edits make of a matrix; nothing is written.

    Args:
        handle: of the matrix.
        edits: in the order in which they act, each with what it projected on when it was done before.
        changer: computes them.

    Raises:
        InputError: an amount that the matrix cannot have, weights that are not finite, or other than those that a saved
            edit was calibrated on.
    """
    original = handle.read()
    content = content_hash(original)
    size = float(torch.linalg.vector_norm(original, dtype=torch.float64))
    if not isfinite(size):
        bad = int(original.numel() - torch.isfinite(original).sum())
        raise InputError(f"{handle.id} ({handle.name}) has {bad} NaN or infinite entries: check the checkpoint")
    W, thin, rows = original, None, []
    for edit, saved in edits:
        _refuse_other_weights(handle, saved, content)
        change = changer.change(W, edit, str(handle.id), handle, None if saved is None else saved.basis)
        W, thin = change.W, change.thin
        error = _distance(W, original) / size if size and W is not original else 0.0
        rows.append(
            AppliedEdit.of(
                *(handle, edit.kind, change.rank, change.rho, error, content),
                decomposition=None if edit.decomposition == "svd" else edit.decomposition,
                blocks=edit.blocks,
                calibration=change.basis and change.basis.key,
                output_error=change.output_error,
                basis=change.basis,
            )
        )
    new = W.to(handle.dtype)
    if not bool(torch.isfinite(new).all()):
        raise InputError(
            f"{handle.id}: the edited matrix overflows {handle.dtype}; load the model in float32 or bfloat16"
        )
    return Write(handle, new, rows, thin)


def _refuse_other_weights(handle: MatrixHandle, saved: SavedBasis | None, content: str) -> None:
    if saved is not None and saved.content != content:
        raise InputError(
            f"{handle.id}: its whitened edit was calibrated on other weights than this model has; take that model, or "
            "calibrate the edit on this one"
        )


def without_factors(write: Write, device: str | None) -> Write:
    """Returns a write without its thin factors, its matrix on a device.

    Args:
        write: as computed.
        device: None leaves the matrix where it is.
    """
    return replace(write, W=write.W if device is None else write.W.to(device), thin=None)


def _distance(W: Tensor, original: Tensor) -> float:
    wide = torch.promote_types(original.dtype, torch.float32)
    return float(torch.linalg.vector_norm(W.to(wide) - original.to(wide), dtype=torch.float64))
