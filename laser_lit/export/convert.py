"""Exports of one format made into the other."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoConfig, PreTrainedModel

from laser_lit.edits.edit import Edit
from laser_lit.edits.manifest import NOTE, manifest_model
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.edits.write import Write
from laser_lit.errors import InputError
from laser_lit.export.card import write_card
from laser_lit.export.origin import Origin
from laser_lit.export.plan import Plan
from laser_lit.export.result import Exported, check_format
from laser_lit.export.save import Split, account, save_split, save_weights
from laser_lit.export.write import MANIFEST, check_exportable, shard_size
from laser_lit.files import new_folder
from laser_lit.models.factored import Factored, make_dense, read_factored
from laser_lit.models.load import load_weights
from laser_lit.models.matrices import find_matrices
from laser_lit.models.source import find_source

ARITHMETIC = 2e-5
"""Largest relative error of factorizing in float32 at a matrix's own rank; 2e-6 were measured at 1024 × 2816."""


def convert(
    source: Path | str,
    path: Path | str,
    format: str,
    *,
    shard_gb: float | None = None,
    architecture: str | None = None,
    command: str | None = None,
) -> Exported:
    """Returns what was written: an export in the other format, with its stack.yaml and files.

    Args:
        source: folder of a dense or factored export, with its stack.yaml.
        path: a folder that does not exist, or is empty.
        format: "dense" multiplies the factors; "factored" takes the ranks from stack.yaml.
        shard_gb: largest weight file, in 1e9 bytes; None takes the largest of the source's where it has several.
        architecture: YAML of a family that is not built in.
        command: for the card.

    Raises:
        InputError: the folder is in use, the source has that format already, or does not say what was edited.
    """
    check_format(format)
    found = find_source(source)
    factored = read_factored(found)
    if found.folder is None:
        raise InputError(f"{source}: a local folder that export.path= wrote is wanted")
    if (factored is None) == (format == "dense"):
        raise InputError(f"{source} is {format} already")
    manifest = found.folder / MANIFEST
    rows = manifest_rows(manifest)
    origin = Origin.at(source, command=command, provenance=f"those of {found.folder.resolve().name}")
    with new_folder(Path(path)) as folder:
        model = load_weights(source, kind=_kind(found.where, factored))
        exported = _save(model, rows, format, folder, shard_size(origin, shard_gb), architecture)
        origin.copy_to(folder)
        for file in found.folder.glob(f"{manifest.stem}.*"):
            shutil.copyfile(file, folder / file.name)
        write_card(folder, exported, replace(origin, id=manifest_model(manifest) or origin.id), rows)
    return replace(exported, folder=Path(path))


def _save(
    model: PreTrainedModel,
    rows: list[AppliedEdit],
    format: str,
    folder: Path,
    size: int | None,
    architecture: str | None,
) -> Exported:
    if format == "dense":
        make_dense(model)
        save_weights(model, folder, size)
        return account(model, folder, rows)
    check_exportable(model, format)
    return save_split(model, _split(model, rows, architecture), folder, size)


def manifest_rows(path: Path) -> list[AppliedEdit]:
    """Returns what a stack.yaml says was done.

    Args:
        path: one that an export or a run wrote.

    Raises:
        InputError: no such file, or one that only says what to do.
    """
    edits = Stack.load(path).edits  # complains about everything that is wrong with the file
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["edits"]
    return [_row(edit, entry.get(NOTE), path) for edit, entry in zip(edits, entries, strict=True)]


def _row(edit: Edit, done: Any, path: Path) -> AppliedEdit:
    wanted = ("name", "shape", "rho", "relative_error", "content")
    if not isinstance(done, dict) or not all(key in done for key in wanted):
        raise InputError(f"{path} does not say what was done to {edit.target}: take the stack.yaml that a run wrote")
    if not isinstance(edit.layer, int) or not isinstance(edit.matrix, str):
        raise InputError(f"{path}: {edit.target} is more than one matrix; take the stack.yaml that a run wrote")
    rank = 0 if edit.kind == "zero" else edit.rank
    out, inputs = done["shape"]
    return AppliedEdit(
        layer=edit.layer,
        matrix=edit.matrix,
        part=edit.part,
        expert=edit.expert,
        name=done["name"],
        shape=(out, inputs),
        kind=edit.kind,
        rank=rank,
        rho=done["rho"],
        relative_error=done["relative_error"],
        content=done["content"],
        decomposition=None if edit.decomposition == "svd" else edit.decomposition,
        blocks=edit.blocks,
    )


def _split(model: PreTrainedModel, rows: list[AppliedEdit], architecture: str | None) -> Split:
    """Returns the tensors with factors for every matrix that has the rank which its last edit left."""
    split, plan = Split(dict(model.state_dict())), Plan(model)
    last = {Exported.place(row): row for row in rows}
    thin = [row for row in last.values() if row.kind in ("low_rank", "zero")]
    split.dense |= {place: f"{row.kind} leaves no low rank" for place, row in last.items() if row not in thin}
    for write in Stack([_again(row) for row in thin]).writes(find_matrices(model, architecture)):
        split.add(write, plan.why_dense(write) or _why_not_again(write))
    split.rows = rows  # what was done the first time
    return split


def _why_not_again(write: Write) -> str | None:
    """Returns why the factors of a matrix that was edited before would not give it back; None where they do."""
    row = write.rows[-1]
    most = torch.finfo(write.W.dtype).eps + ARITHMETIC  # that it was rounded to its type took away at most half of eps
    return None if row.relative_error <= most else f"it has no rank {row.rank}: {row.relative_error:.2g} would be lost"


def _again(row: AppliedEdit) -> Edit:
    return Edit(row.layer, row.matrix, rank=row.rank or None, kind=row.kind, part=row.part, expert=row.expert)


def _kind(where: str, factored: Factored | None) -> Any:
    config = AutoConfig.from_pretrained(where) if factored is None else factored.config
    return "seq2seq" if getattr(config, "is_encoder_decoder", False) else None
