"""stack.bases: what whitened edits projected on, so that stack.yaml does the very same without any text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.files import write_atomic
from laser_lit.linalg.whitened import OutputBasis

SUFFIX = ".bases"
"""The format is safetensors; another name keeps it apart from the weights of a model that lie beside it."""


@dataclass(frozen=True, eq=False)
class SavedBasis:
    """What one edit projected the outputs of one matrix on.

    Attributes:
        basis: with as many columns as the edit needs.
        content: hash of the matrix before any edit.
    """

    basis: OutputBasis
    content: str


def save_bases(manifest: Path, bases: Mapping[str, SavedBasis]) -> dict[str, str] | None:
    """Returns what a manifest says of the file of bases that was written beside it; None where there are none.

    Args:
        manifest: path of the manifest.
        bases: by the names that the manifest's entries have for them.
    """
    if not bases:
        return None
    tensors: dict[str, Tensor] = {}
    for name, saved in bases.items():
        tensors |= {f"{name}.U": saved.basis.U.contiguous(), f"{name}.S": saved.basis.S.contiguous()}
    said = {
        name: json.dumps({"ridge": saved.basis.ridge, "key": saved.basis.key, "content": saved.content})
        for name, saved in bases.items()
    }
    path = manifest.with_suffix(SUFFIX)
    write_atomic(path, lambda temporary: save_file(tensors, temporary, said))
    return {"file": path.name, "sum": _sum(path)}


def load_bases(manifest: Path, said: object) -> dict[str, SavedBasis]:
    """Returns the bases of a manifest by name.

    Args:
        manifest: path of the manifest.
        said: what it says of its bases; None is none.

    Raises:
        InputError: the file is missing, damaged, or another manifest's.
    """
    if said is None:
        return {}
    if not isinstance(said, Mapping) or not {"file", "sum"} <= set(said):
        raise InputError(f"{manifest}: `bases` must be a mapping of file and sum, as a run writes it, not {said!r}")
    path = manifest.parent / str(said["file"])
    if not path.is_file():
        raise InputError(f"{manifest}: its whitened edits need {path.name} beside it: copy both files")
    if _sum(path) != said["sum"]:
        raise InputError(f"{path} is not the file that {manifest.name} was written with: copy both files of one run")
    try:
        with safe_open(path, "pt") as file:
            return {name: _saved(file, name, json.loads(text)) for name, text in (file.metadata() or {}).items()}
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path} cannot be read as the bases of {manifest.name}: {error}") from None


def _saved(file: Any, name: str, said: Mapping[str, Any]) -> SavedBasis:
    U, S = (file.get_tensor(f"{name}.{part}") for part in ("U", "S"))
    return SavedBasis(OutputBasis(U, S, said["ridge"], said["key"]), said["content"])


def _sum(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    return digest.hexdigest()
