"""`export.path=`: the model under the stack as a checkpoint of its own, after an evaluation or a search."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from laser_lit.config_export import ExportConfig
from laser_lit.edits.row import AppliedEdit
from laser_lit.errors import InputError
from laser_lit.export.origin import Origin
from laser_lit.export.result import check_format
from laser_lit.export.wording import in_words
from laser_lit.export.write import check_exportable, export_model, shard_size
from laser_lit.files import check_apart, check_new_folder
from laser_lit.jobs.laser import ConfiguredStack
from laser_lit.jobs.search import is_shard
from laser_lit.linalg.lowrank import is_smaller
from laser_lit.results.record import Record
from laser_lit.tasks.base import Task


def check_export(config: DictConfig) -> None:
    """Raises an error where `export` cannot be meant, or its folder cannot be written, before anything is loaded.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    check_target(config.export)
    if config.export.path is None:
        return
    check_apart("export.path", Path(config.export.path), Path(config.paths.results or f"results/{config.task.name}"))
    if config.search.name == "none" and config.laser.name == "none":
        raise InputError(
            f"export.path={config.export.path} with laser=none: nothing is edited; name edits, or a search"
        )
    if is_shard(config):
        raise InputError(
            f"export.path={config.export.path} with search.shard: a part of a search chooses nothing; export where the "
            "parts are put together, with search=collect"
        )


def check_target(export: DictConfig) -> None:
    """Raises an error for a wrong value of `export` or a folder that is in use or cannot be made.

    Args:
        export: of the config.

    Raises:
        InputError: see above.
    """
    if export.path is None:
        typed = [f"export.{key}={export[key]}" for key, value in asdict(ExportConfig()).items() if export[key] != value]
        if typed:
            raise InputError(f"{', '.join(typed)} without export.path: name the folder that is to be written")
        return
    check_format(export.format)
    shard_size(Origin(""), export.shard_gb)
    check_new_folder("export.path", Path(export.path))


def check_exported(task: Task, config: DictConfig) -> None:
    """Raises an error for a model that cannot be exported as asked, before anything is scored.

    Args:
        task: with its model.
        config: the whole evaluation config.

    Raises:
        InputError: says why.
    """
    if config.export.path is not None:
        check_exportable(task.model, config.export.format)


def check_smaller(edits: Sequence[AppliedEdit], config: DictConfig) -> None:
    """Raises an error where factors are asked for and no configured edit leaves any that are smaller.

    Args:
        edits: as resolved.
        config: the whole evaluation config.

    Raises:
        InputError: says how small the ranks would have to be.
    """
    if config.export.path is None or config.export.format != "factored" or config.search.name != "none":
        return
    thin = [edit for edit in edits if edit.kind == "low_rank" and edit.rank is not None and not edit.blocks]
    if any(edit.kind == "zero" for edit in edits) or any(is_smaller(edit.rank or 0, edit.shape) for edit in thin):
        return
    out, inputs = edits[0].shape
    raise InputError(
        "export.format=factored: no edit leaves two factors that are smaller than its matrix; low_rank does so below "
        f"rank {out * inputs / (out + inputs):.0f} of a {out} x {inputs} one. Name smaller ranks, or "
        "export.format=dense"
    )


def export(task: Task, laser: ConfiguredStack, record: Record, config: DictConfig) -> None:
    """Writes the model under the stack where `export.path` asks for it, and prints what was written.

    Args:
        task: whose model has its own weights.
        laser: what was scored; no stack where a search found none.
        record: of the run.
        config: the whole evaluation config.
    """
    if config.export.path is None:
        return
    if laser.stack is None:
        print(f"  nothing exported to {config.export.path}: the search found no edit")  # noqa: T201
        return
    origin = origin_of(config, record.model["id"], laser.provenance)
    about = {**record.model, "config_hash": record.config_hash}
    exported = export_model(
        task.model,
        laser.stack,
        config.export.path,
        config.export.format,
        matrices=task.matrices,
        origin=origin,
        shard_gb=config.export.shard_gb,
        about=about,
    )
    print(in_words(exported))  # noqa: T201


def origin_of(config: DictConfig, id: str, provenance: str | None) -> Origin:
    """Returns what the card of an exported model says of its making.

    Args:
        config: the whole config.
        id: the model's name in results.
        provenance: of the edits; None for edits that were typed.
    """
    origin = Origin.at(config.model.path, config.model.revision, command=command(config), provenance=provenance)
    return replace(origin, id=id)


def command(config: DictConfig) -> str | None:
    """Returns what was typed; None where the config was composed in Python."""
    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    return shlex.join(["python", f"{hydra.job.name}.py", *(str(typed) for typed in hydra.overrides.task)])
