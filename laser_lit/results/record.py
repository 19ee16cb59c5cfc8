"""The record of one run, result.json: what was done to which model, what came of it, and how to find it again."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from laser_lit.config import SCHEMA
from laser_lit.errors import InputError
from laser_lit.files import write_text_atomic
from laser_lit.results.analyses import Analyses
from laser_lit.results.compare import Gain
from laser_lit.results.reft_result import ReftResult
from laser_lit.results.search_record import SearchRecord

FILE = "result.json"


@dataclass(frozen=True)
class AppliedEdit:
    """One matrix that was edited, as resolved.

    Attributes:
        layer: from 0.
        matrix: name of the matrix ("fc_in").
        name: parameter name in the model.
        rank: kept components; None for kinds that have none (prune).
        rho: kept fraction of min(out, in), or of the entries for prune.
        kind: low_rank, high_order, prune or zero.
        relative_error: Frobenius distance to the original over its Frobenius norm.
        d: the full rank: min(out, in), in blocks that of each block; 0 when unknown.
        part: encoder, decoder or cross; None for models without parts.
        expert: index of the expert; None for dense matrices.
        decomposition: whitened or blocks; None for a plain SVD.
        blocks: how many blocks of rows have a subspace each.
        calibration: hash of the text that a whitened edit was calibrated on, and of the model.
        output_error: of a whitened matrix ‖(W − W') X‖ / ‖W X‖ on that text.
    """

    layer: int
    matrix: str
    name: str
    rank: int | None
    rho: float | None
    kind: str
    relative_error: float | None
    d: int = 0
    part: str | None = None
    expert: int | None = None
    decomposition: str | None = None
    blocks: int | None = None
    calibration: str | None = None
    output_error: float | None = None


@dataclass(frozen=True)
class StackSource:
    """Where the edits come from.

    Attributes:
        provenance: in words: "typed", "Table 3 of arXiv 2312.13558", the file's name.
        verified: False for a stack that no search on this model found; None where the question does not arise.
        file: the manifest in the run folder that re-applies the edits.
    """

    provenance: str
    verified: bool | None = None
    file: str = "stack.yaml"


@dataclass(frozen=True)
class Control:
    """A simpler remedy beside LASER, fitted on the same validation split.

    Attributes:
        name: "batch calibration", say.
        fitted: what was chosen on validation, in words; empty for a control without a choice.
        accuracy: on the test split.
        log_loss: on the test split, nats; None of shifted choices.
        validation_accuracy: on the split that it was fitted on.
    """

    name: str
    fitted: str
    accuracy: float | None
    log_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class SplitResult:
    """Base and LASER on one split.

    Attributes:
        base: every metric of the base.
        laser: every metric under the edits; None for a run without edits.
        gain: of `laser` over `base`; None for a run without edits.
    """

    base: Mapping[str, Any]
    laser: Mapping[str, Any] | None = None
    gain: Gain | None = None


@dataclass(frozen=True)
class Record:
    """All of result.json.

    Attributes:
        task: as typed after `task=`.
        model: at least id, revision, dtype, parameters.
        data: at least name, revision, n_validation, n_test (examples); groups_validation, groups_test, split, scoring.
        edits: in the order of application; empty for the base alone.
        test: what is reported; the top-level base, laser and gain of the file.
        validation: what the edit may have been chosen on; None when there was no such split.
        stack: where the edits come from.
        search: how they were chosen; None where no search ran.
        reft: interventions or a LoRA, with and without the edits; None where none were evaluated.
        controls: simpler remedies beside LASER.
        analyses: why the edits do what they do.
        test_opened: how often the test split of this model and data has been scored so far; None when not counted.
        device: where it ran, such as "cpu" or "cuda (NVIDIA H200)".
        seed: of split and resampling.
        warnings: what a reader must know, a sentence each.
        seconds: wall time by phase.
        versions: of the packages.
        git: commit of laser_lit's own checkout; None when installed from a wheel.
        config: the resolved config.
        config_hash: of what decides the numbers.
    """

    task: str
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    edits: tuple[AppliedEdit, ...]
    test: SplitResult
    validation: SplitResult | None
    config_hash: str
    stack: StackSource | None = None
    search: SearchRecord | None = None
    reft: ReftResult | None = None
    controls: tuple[Control, ...] = ()
    analyses: Analyses = field(default_factory=Analyses)
    test_opened: int | None = None
    device: str = "cpu"
    seed: int = 0
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of result.json: plain JSON values, null for what is not finite."""
        content = asdict(self)
        content.update(content.pop("test"))
        return {"schema": SCHEMA, **{name: jsonable(content[name]) for name in sorted(content, key=_order)}}

    def save(self, path: Path) -> None:
        """Writes the record atomically.

        Args:
            path: the file, usually result.json of the run folder.
        """
        write_text_atomic(path, json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


_NESTED = (
    *("stack", "edits", "base", "laser", "gain", "validation"),
    *("search", "reft", "controls", "analyses", "warnings"),
)
_ORDER = (
    *("task", "model", "data", *_NESTED),
    *("test_opened", "device", "seed", "seconds", "versions", "git", "config", "config_hash"),
)


def _order(name: str) -> int:
    return _ORDER.index(name)


def jsonable(value: Any) -> Any:
    """Returns the value in plain JSON types: null for NaN, infinities and anything missing, text for paths.

    Args:
        value: mappings, sequences, sets, arrays, numbers of Python or numpy, text, paths, None.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return [jsonable(item) for item in sorted(value, key=str)]
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return None if str(value) in ("NaT", "<NA>") else str(value)


def read_record(path: Path) -> Record:
    """Returns the record that `Record.save` wrote.

    Args:
        path: result.json, or the run folder that holds it.

    Raises:
        InputError: no such file, no JSON, another schema, a missing entry.
    """
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"no {FILE} at {file}: give the folder of a finished run")
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(
            f"{file} is not JSON ({error}): the run that wrote it may have been another program's"
        ) from error
    return record_from_dict(content, str(file))


def record_from_dict(content: Any, name: str = FILE) -> Record:
    """Returns the record with the content of a result.json.

    Args:
        content: as from `Record.to_dict`; entries of newer minor versions are ignored.
        name: of the file, for errors.

    Raises:
        InputError: no mapping, another schema, a missing entry or one of the wrong kind.
    """
    if not isinstance(content, Mapping) or "schema" not in content:
        raise InputError(f"{name} has no entry `schema`: it is no record of laser_lit")
    if content["schema"] != SCHEMA:
        raise InputError(
            f"{name} has schema {content['schema']!r}, this version reads {SCHEMA}: run the evaluation again"
        )
    try:
        return _build(content)
    except KeyError as error:
        raise InputError(f"{name} lacks the entry {error.args[0]!r} of schema {SCHEMA}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{name} has an entry of the wrong kind ({error})") from error


def _build(content: Mapping[str, Any]) -> Record:
    for part, needed in (("model", ("id", "dtype")), ("data", ("name", "n_validation", "n_test"))):
        for entry in needed:
            if entry not in content[part]:
                raise KeyError(f"{part}.{entry}")
    validation = content["validation"]
    stack, search, reft = content["stack"], content.get("search"), content.get("reft")
    plain = [name for name in _ORDER if name not in _NESTED]
    return Record(
        edits=tuple(_known(AppliedEdit, edit) for edit in content["edits"]),
        test=_split(content),
        validation=None if validation is None else _split(validation),
        stack=None if stack is None else _known(StackSource, stack),
        search=None if search is None else _known(SearchRecord, search),
        reft=None if reft is None else ReftResult.of(reft),
        controls=tuple(_known(Control, control) for control in content["controls"]),
        analyses=Analyses.of(content.get("analyses") or {}),
        warnings=tuple(content["warnings"]),
        **{name: content[name] for name in plain},
    )


def _split(content: Mapping[str, Any]) -> SplitResult:
    gain = None if content["gain"] is None else Gain.of(content["gain"])
    return SplitResult(base=dict(content["base"]), laser=content["laser"], gain=gain)


def _known(kind: Any, content: Mapping[str, Any]) -> Any:
    """Returns the dataclass from the entries that it knows."""
    return kind(**{name: content[name] for name in kind.__dataclass_fields__ if name in content})
