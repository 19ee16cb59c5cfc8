"""Any task under one stack, with or without an adapter: scores on both splits, controls, record, report, loggers."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from laser_lit.config import config_hash, plain
from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.adapted import decides, reft_notes, reft_result
from laser_lit.jobs.analyses import Analysed, Wanted, analysed, wanted
from laser_lit.jobs.calibration import calibrated
from laser_lit.jobs.export import check_exported, check_smaller, export
from laser_lit.jobs.fact_analyses import with_told
from laser_lit.jobs.frequency import check_told
from laser_lit.jobs.laser import ConfiguredStack
from laser_lit.jobs.log import Written, log_results
from laser_lit.jobs.scores import Scores, gain_over, score_both
from laser_lit.jobs.search import is_shard, search, shard_done
from laser_lit.jobs.write import save_stack, write_results
from laser_lit.reft.adapter import Adapter
from laser_lit.results import record as records
from laser_lit.results.provenance import git_commit, versions
from laser_lit.results.record import Record, SplitResult, StackSource
from laser_lit.results.store import ResultsStore
from laser_lit.tasks.base import SPLITS, Task

NEW = ("decomposition", "blocks", "calibration")
"""Of an edit, left out of hashes where there is none, so that older hashes hold."""


def run_task(task: Task, laser: ConfiguredStack | None, config: DictConfig, adapter: Adapter | None = None) -> float:
    """Returns the validation objective under the stack and the adapter; the process that writes writes the record.

    Args:
        task: what is scored.
        laser: the edits; None where `search=` chooses them.
        config: the whole evaluation config.
        adapter: what the model is scored with besides, without a search.
    """
    store = ResultsStore(results_folder(config, task))
    check_exported(task, config)
    check_told(task, config)
    if adapter is not None:
        adapter.check(task.model)
    found = None
    if laser is None:
        wanted(task, config, edited=None)
        found = search(task, store, config)
        laser = found.laser
        if is_shard(config):
            print(shard_done(found, store, config))  # noqa: T201
            return found.objective
    laser = calibrated(laser.on(task.matrices), task, config)
    in_vain = found is not None and laser.stack is None  # a result, no mistake
    what = None if in_vain else wanted(task, config, edited=laser.stack is not None, stack=laser.stack)
    edits = [] if laser.stack is None else laser.stack.resolve(task.matrices)
    check_smaller(edits, config)
    scores = score_both(task, laser.stack, store, task.content(), adapter)
    beside = _beside(task, laser.stack, edits, scores, what, config)
    if task.writes:
        record = _record(task, laser, edits, scores, config, beside, adapter)
        if found is not None:
            record = replace(record, search=found.record, seconds={"search": found.seconds, **record.seconds})
        cells = None if found is None else found.cells
        written = write_results(record, scores, beside.tables, laser.stack, edits, config, cells)
        if found is not None and laser.stack is not None:
            save_stack(store.folder, record, laser.stack, edits)
        _end(task, laser, written, config)
    return task.objective(scores.most_edited["validation"])


def _beside(
    task: Task,
    stack: Stack | None,
    edits: Sequence[AppliedEdit],
    scores: Scores,
    what: Wanted | None,
    config: DictConfig,
) -> Analysed:
    """Returns controls and analyses; the tables of the base get what is known of how often their facts were told.

    Where a corpus cannot be read to its end, a warning says so, and what has been scored is kept.
    """
    found = Analysed() if what is None or stack is None else analysed(task, stack, edits, scores, what, config)
    if not task.writes:
        return found
    try:
        return replace(found, analyses=with_told(task, scores, found.analyses, config))
    except (InputError, OSError) as error:
        said = f"How often each fact is told is not counted: {error}. Mend it and run the same command again."
        return replace(found, warnings=(said,))


def _end(task: Task, laser: ConfiguredStack, written: Written, config: DictConfig) -> None:
    """Exports the model where it is asked for, and logs the result, also where the export fails."""
    try:
        export(task, laser, written.record, config)
    finally:
        log_results(written, config)


def results_folder(config: DictConfig, task: Task) -> Path:
    """Returns where scored cells are kept across runs."""
    if config.paths.results is not None:
        return Path(config.paths.results)
    return Path("results") / config.task.name / task.id.replace("/", "--") / config.data.name


def _record(
    task: Task,
    laser: ConfiguredStack,
    edits: Sequence[AppliedEdit],
    scores: Scores,
    config: DictConfig,
    beside: Analysed,
    adapter: Adapter | None,
) -> Record:
    results = {split: _split_result(task, scores, split, config.seed) for split in SPLITS}
    source = (
        None if laser.stack is None else StackSource(laser.provenance or "given on the command line", laser.verified)
    )
    entries = task.describe()
    return Record(
        task=config.task.name,
        model=entries["model"],
        data=entries["data"],
        edits=tuple(recorded(edit) for edit in edits),
        test=results["test"],
        validation=results["validation"],
        config_hash=config_hash({**task.content(), **_named(laser.stack, edits), **decides(adapter)}),
        stack=source,
        reft=None if adapter is None else reft_result(task, adapter, scores, config),
        controls=beside.controls,
        analyses=beside.analyses,
        test_opened=scores.test_opened,
        device=task.device,
        seed=config.seed,
        warnings=(*laser.notes, *(() if adapter is None else reft_notes(adapter, scores, config)), *beside.warnings),
        seconds=scores.seconds,
        versions=versions(),
        git=git_commit(),
        config=plain(config),
    )


def _split_result(task: Task, scores: Scores, split: str, seed: int) -> SplitResult:
    base = scores.base[split]
    if not scores.laser:
        return SplitResult(task.metrics(base))
    laser = scores.laser[split]
    return SplitResult(task.metrics(base), task.metrics(laser), gain_over(base, laser, seed))


def _named(stack: Stack | None, edits: Sequence[AppliedEdit]) -> dict[str, Any]:
    """Returns what names the edits: not what was measured, whose last digits may differ between machines."""
    measured = {"relative_error", "content", "shape", "output_error", "basis"}
    named = [{key: value for key, value in vars(edit).items() if key not in measured} for edit in edits]
    named = [{key: value for key, value in edit.items() if value is not None or key not in NEW} for edit in named]
    for edit in named:
        if edit["rank"] is not None:
            edit["rho"] = None  # it gave the rank, which may as well have been typed
    svd = None if stack is None or stack.svd.method != "randomized" else asdict(stack.svd)
    return {"edits": named, "svd": svd}


def recorded(edit: AppliedEdit) -> records.AppliedEdit:
    """Returns the entry of a record for an edit as it was applied.

    Args:
        edit: as resolved.
    """
    known = {field.name for field in fields(records.AppliedEdit)}
    values = {name: value for name, value in vars(edit).items() if name in known}
    return records.AppliedEdit(**values, d=edit.d)
