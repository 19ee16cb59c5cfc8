"""stack.yaml: exactly what was done to a model, in a form that can be applied again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from laser_lit.edits.bases import SavedBasis, load_bases, save_bases
from laser_lit.edits.edit import Edit, edit_of
from laser_lit.edits.row import AppliedEdit
from laser_lit.errors import InputError, unknown_name
from laser_lit.files import write_text_atomic
from laser_lit.linalg.svd import Svd

SCHEMA = 1
KEYS = ("schema", "laser_lit", "model", "combine", "svd", "bases", "edits")
NOTE, BASIS = "done", "basis"
"""Keys of an entry under which `save` notes what came of the edit, which is not read back, and names a saved basis."""

_HEAD = """\
# What was applied. Re-apply it with laser=file laser.path=FILE, or laser_lit.Stack.load(FILE).
# An edit takes layer, matrix, one of rho, rank, rule, rate (none for kind zero), kind, part, expert, decomposition and
# blocks.
"""


def write_manifest(
    path: Path, rows: Sequence[AppliedEdit], combine: str | None, svd: Svd, about: Mapping[str, Any] | None = None
) -> None:
    """Writes what was done, atomically.

    Args:
        path: the file.
        rows: what was done, in order.
        combine: as the stack's.
        svd: as the stack's.
        about: what to note about the model.
    """
    bases = {str(number): saved for number, saved in enumerate(bases_of(rows)) if saved is not None}
    said = save_bases(path, bases)
    content = {
        "schema": SCHEMA,
        "laser_lit": _version(),
        "model": dict(about or {}),
        "combine": combine,
        "svd": asdict(svd),
        **({} if said is None else {"bases": said}),
        "edits": [_entry(row, str(number)) for number, row in enumerate(rows)],
    }
    write_text_atomic(path, _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def edits_of(rows: Sequence[AppliedEdit]) -> list[Edit]:
    """Returns the edits, of one matrix each, that do again what was done.

    Args:
        rows: what was done, in order.
    """
    return [edit_of(_without_notes(_entry(row, "")), row.name) for row in rows]


def bases_of(rows: Sequence[AppliedEdit]) -> list[SavedBasis | None]:
    """Returns what each whitened edit projected on; None for the other edits.

    Args:
        rows: what was done, in order.
    """
    return [None if row.basis is None else SavedBasis(row.basis, row.content) for row in rows]


Manifest = tuple[list[Edit], str | None, Mapping[str, Any] | str | None, list[SavedBasis | None]]


def read_manifest(path: Path) -> Manifest:
    """Returns edits, combine and svd of a manifest, and for each edit what it projected on, where that was saved.

    Args:
        path: a YAML file.

    Raises:
        InputError: no such file, or something in it is wrong; names the entry.
    """
    content = _parsed(path)
    for key in content:
        if key not in KEYS:
            raise unknown_name(f"key in {path}", key, KEYS)
    if content.get("schema", SCHEMA) != SCHEMA:
        raise InputError(f"{path}: schema {content['schema']}, and this laser_lit reads {SCHEMA}")
    entries = content.get("edits")
    if not isinstance(entries, list):
        raise InputError(f"{path}: needs a list of edits, `edits: [{{layer: 0, matrix: fc_in, rho: 0.1}}]`")
    where = [f"edit {number} of {path}, counted from 0" for number in range(len(entries))]
    edits = [edit_of(_without_notes(entry), place) for entry, place in zip(entries, where, strict=True)]
    known = load_bases(path, content.get("bases"))
    bases = [_basis(entry, known, place) for entry, place in zip(entries, where, strict=True)]
    return edits, content.get("combine"), content.get("svd"), bases


def manifest_model(path: Path) -> str | None:
    """Returns the id of the model that a manifest was made for; None where it does not say.

    Args:
        path: a YAML file that `read_manifest` takes.
    """
    return _of_model(path, "id")


def manifest_content(path: Path) -> str | None:
    """Returns the hash of the weights that a manifest was made for; None where it does not say.

    Args:
        path: as in `manifest_model`.
    """
    return _of_model(path, "content")


def _of_model(path: Path, name: str) -> str | None:
    model = _parsed(path).get("model")
    return str(model[name]) if isinstance(model, dict) and model.get(name) else None


def _entry(row: AppliedEdit, number: str) -> dict[str, Any]:
    place = {"layer": row.layer, "matrix": row.matrix, "part": row.part, "expert": row.expert, "kind": row.kind}
    place |= {"decomposition": row.decomposition, "blocks": row.blocks}
    entry: dict[str, Any] = {name: value for name, value in place.items() if value is not None}
    if row.kind != "zero":
        entry |= {"rho": row.rho} if row.rank is None else {"rank": row.rank}
    entry |= {} if row.basis is None else {BASIS: number}
    note = {"name": row.name, "shape": list(row.shape), "rho": row.rho, "relative_error": row.relative_error}
    if row.basis is not None:
        note |= {"output_error": row.output_error, "ridge": row.basis.ridge, "calibration": row.calibration}
    return entry | {NOTE: note | {"content": row.content}}


def _basis(entry: dict[str, Any], known: Mapping[str, SavedBasis], where: str) -> SavedBasis | None:
    name = entry.get(BASIS)
    if name is not None and str(name) not in known:
        raise InputError(f"{where}: the file of bases has no {name!r}; it has {', '.join(known) or 'none'}")
    return None if name is None else known[str(name)]


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no file {path}: a stack.yaml is wanted, as every run writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a stack.yaml with the keys {', '.join(KEYS)} is wanted, this is {_kind(content)}")
    return content


def _without_notes(entry: object) -> object:
    return (
        {key: value for key, value in entry.items() if key not in (NOTE, BASIS)} if isinstance(entry, dict) else entry
    )


def _kind(value: object) -> str:
    return "empty" if value is None else f"a {type(value).__name__}"


def _version() -> str:
    try:
        return version("laser_lit")
    except PackageNotFoundError:
        return "source"
