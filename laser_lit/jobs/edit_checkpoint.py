"""`task=edit_checkpoint`: a checkpoint under a stack, shard by shard, without building the model."""

import time
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig
from rich.padding import Padding

from laser_lit.config import config_hash, plain
from laser_lit.config_logger import EXPORT
from laser_lit.errors import InputError
from laser_lit.export.stream import EditedCheckpoint, edit_checkpoint, peak_memory
from laser_lit.export.wording import in_words, megabytes
from laser_lit.jobs.built_in import ensure_built_in
from laser_lit.jobs.check_adapter import check_adapter
from laser_lit.jobs.check_analysis import refuse_analyses
from laser_lit.jobs.checks import check_model
from laser_lit.jobs.evaluate import recorded
from laser_lit.jobs.export import check_target, origin_of
from laser_lit.jobs.laser import configured_stack
from laser_lit.models.checkpoint import open_checkpoint
from laser_lit.report.tables import edits_table
from laser_lit.report.terminal import result_console
from laser_lit.tasks.language import model_id

BESIDE = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", "*.py", "LICENSE*", "README.md")
"""What is fetched from the hub beside the weights."""


def run(config: DictConfig) -> float:
    """Returns the number of matrices edited, after writing the checkpoint's copy to `export.path`.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    _check(config)
    laser = configured_stack(config)
    stack = laser.stack
    if stack is None:
        raise InputError("task=edit_checkpoint with laser=none: nothing is edited; name edits, or laser=file")
    ensure_built_in(config)
    start = time.perf_counter()
    checkpoint = open_checkpoint(config.model.path, config.model.revision, config.model.architecture, BESIDE)
    laser = laser.on(checkpoint.matrices)
    origin = origin_of(config, model_id(config.model), laser.provenance)
    edited = edit_checkpoint(checkpoint, laser.stack or stack, config.export.path, origin)
    _print(edited, laser.notes, time.perf_counter() - start)
    if config.logger.wandb and EXPORT in config.logger.artifacts:
        _log(edited, config)
    return float(edited.exported.n_edits)


def _check(config: DictConfig) -> None:
    refuse_analyses(config)
    check_model(config)
    check_adapter(config)
    export = config.export
    if export.path is None:
        raise InputError("task=edit_checkpoint needs export.path=DIR, the folder that is to be written")
    check_target(export)
    if export.format != "dense":
        raise InputError(
            f"export.format={export.format} with task=edit_checkpoint, which writes whole matrices; make factors of "
            "them afterwards: python -m laser_lit.export DIR NEW --format factored"
        )
    for name, value, why in (
        ("export.shard_gb", export.shard_gb, "the shards stay those of the checkpoint"),
        ("search", None if config.search.name == "none" else config.search.name, "nothing is scored"),
        ("model.dtype", None if config.model.dtype == "auto" else config.model.dtype, "each tensor keeps its type"),
        ("model.device_map", config.model.device_map, "no model is built"),
    ):
        if value is not None:
            raise InputError(f"{name}={value} counts for nothing with task=edit_checkpoint: {why}; leave it out")


def _print(edited: EditedCheckpoint, notes: tuple[str, ...], seconds: float) -> None:
    console = result_console()
    table = edits_table([recorded(row) for row in edited.rows])
    if table is not None:
        console.print(Padding(table, (1, 0, 1, 1)))
    for note in notes:
        console.print(f"  ! {note}", style="yellow", highlight=False, markup=False)
    print(in_words(edited.exported))  # noqa: T201
    sizes = f"{megabytes(edited.bytes_before)} of weights before, {megabytes(edited.exported.bytes)} after"
    peak = peak_memory()
    memory = "" if peak is None else f", at most {megabytes(peak)} of memory"
    print(f"    {sizes}; {seconds:,.1f} s{memory}")  # noqa: T201


def _log(edited: EditedCheckpoint, config: DictConfig) -> None:
    """Adds the checkpoint to a W&B run of its own; nothing of W&B is imported where it is not asked for."""
    from laser_lit.lit.wandb_run import finish_run, start_run
    from laser_lit.report.wandb_files import log_files

    model, folder = model_id(config.model), Path(config.export.path)
    run = start_run(config.logger, Path(config.paths.output), f"edit_checkpoint {model}", config.task.name)
    if run is None:
        return
    run.config.update(plain(config), allow_val_change=True)
    hash = config_hash({"model": model, "edits": [asdict(recorded(row)) for row in edited.rows]})
    log_files(run, EXPORT, model, hash, [folder], config.logger.artifacts)
    print(f"    {finish_run(run)}")  # noqa: T201
