"""A row of spectral measures for every matrix of a model, one matrix in memory at a time."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import xxhash
from torch import nn

from laser_lit.errors import InputError
from laser_lit.linalg.cache import content_hash
from laser_lit.linalg.spectrum import singular_values
from laser_lit.spectral.density import spectral_density
from laser_lit.spectral.items import Item, Subject, find_items
from laser_lit.spectral.measures import measure
from laser_lit.spectral.rows import MeasuredRows
from laser_lit.spectral.table import Row, make_table, write_table
from laser_lit.spectral.workers import in_order, worker_count

VERSION = 1
"""Raised when the same matrix and settings would give another row."""


# house: a function of 49 lines because its arguments, all of them public, take 35 to list and describe
def scan(
    model: nn.Module | str | Path,
    *,
    randomize: bool = False,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    folder: Path | str | None = None,
    resume: Path | str | None = None,
    architecture: str | Path | None = None,
    revision: str | None = None,
    matrices: str | Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Returns a row a matrix: name, kind, layer, matrix, part, expert, shape (out, in), dtype, and all measures.

    A checkpoint is read from its safetensors files, a matrix at a time, and no model is built. Embeddings, heads and
    whatever else has two axes come after the matrices that an edit can name, with layer and matrix missing. What
    cannot be measured is listed in `table.attrs["not_measured"]` with the reason.

    Args:
        model: a folder with safetensors, an id of the hub, or a model in memory.
        randomize: compare each spectrum with that of the same entries, shuffled.
        seed: of the shuffles.
        device: "auto" takes a CUDA device where there is one; "cpu", "cuda", "cuda:1" …
        workers: matrices measured at once; None takes as many as the cores, as long as they need little memory.
        folder: where scan.csv and scan.json go; None writes neither.
        resume: folder that keeps every row as soon as it is measured, so that a scan that was killed goes on and one
            that is done is read; None is `folder`.
        architecture: name of a packaged family or path of a YAML file; None takes that of the model's type.
        revision: commit, tag or branch on the hub.
        matrices: names or groups of matrices, in any words that an edit takes; None scans everything.
        progress: called with the number of rows that are done and of all.

    Raises:
        InputError: no such model, matrices or device; a seed or workers out of range; weights that are quantized,
            missing or broken.
    """
    where, subject = pick_device(device), find_items(model, architecture, revision, matrices)
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed {seed}: must be a whole number, 0 or more")
    settings = {"randomize": randomize, "seed": seed if randomize else None, "device": where.type}
    found = _measured(subject, settings, where, workers, resume or folder, progress)
    rows = [{**_identity(item), **row["measures"]} for item, row in found if isinstance(row, dict)]
    about = _about(subject, settings, {item.name: row for item, row in found if isinstance(row, str)})
    if folder is not None:
        write_table(Path(folder), rows, about)
    densities = [row["density"] for _, row in found if isinstance(row, dict)]
    return make_table(rows, {**about, "densities": densities, "vectors": subject.vectors})


def _measured(
    subject: Subject,
    settings: dict[str, Any],
    where: torch.device,
    workers: int | None,
    kept: Path | str | None,
    progress: Callable[[int, int], None] | None,
) -> list[tuple[Item, Row | str]]:
    """Returns each matrix with its row, or with why it has none, in the model's order."""
    measured = MeasuredRows(Path(kept) if kept is not None else None)
    todo = [item for item in subject.items if not item.reason]
    count = worker_count(todo, where, workers)
    found: list[tuple[Item, Row | str]] = []
    for item, row in zip(todo, in_order(lambda item: _row(item, settings, where, measured), todo, count), strict=True):
        found.append((item, row))
        if progress is not None:
            progress(len(found), len(todo))
    return found


def pick_device(device: str) -> torch.device:
    """Returns the device that a word names; "auto" is the first CUDA device, or the CPU.

    Raises:
        InputError: no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()  # the meta device has no numbers
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(f"device {device!r}: not on this machine; allowed: auto, cpu, cuda, cuda:N") from error
    return found


def _row(item: Item, settings: dict[str, Any], device: torch.device, measured: MeasuredRows) -> Row | str:
    """Returns measures and density of one matrix, or why there are none."""
    W = item.read()  # (out, in)
    key = xxhash.xxh3_128_hexdigest(repr((VERSION, content_hash(W), sorted(settings.items()))).encode())
    known = measured.get(key)
    if known is not None:
        return known
    try:
        W = W.to(device)
        S = singular_values(W, "it")
        randomize, seed = settings["randomize"], settings["seed"] or 0
        measures = measure(W, S=S, randomize=randomize, seed=seed)
    except InputError as error:  # such as NaN entries: the others are measured nevertheless
        return str(error)
    density = spectral_density(S, (W.shape[0], W.shape[1]), measures.mp_median_sigma)
    return measured.add(key, {"measures": measures.as_dict(), "density": density and asdict(density)})


def _identity(item: Item) -> Row:
    id = item.id
    return {
        "name": item.name,
        "kind": item.kind,
        "layer": id.layer if id else None,
        "matrix": id.matrix if id else None,
        "part": id.part if id else None,
        "expert": id.expert if id else None,
        "shape": list(item.shape),
        "dtype": str(item.dtype).removeprefix("torch."),
    }


def _about(subject: Subject, settings: dict[str, Any], failed: dict[str, str]) -> dict[str, Any]:
    reasons = {item.name: item.reason or failed.get(item.name, "") for item in subject.items}
    skipped = [
        {"name": item.name, "kind": item.kind, "shape": list(item.shape), "reason": reasons[item.name]}
        for item in subject.items
        if reasons[item.name]
    ]
    return {
        "model": subject.name,
        "architecture": subject.architecture,
        "settings": settings,
        "not_measured": skipped,
    }
