"""`search=`: a driver chooses a stack on validation; the job that scores it on test is `laser_lit.jobs.evaluate`."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from laser_lit.config import config_hash
from laser_lit.config_search import SearchConfig
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.calibration import calibrated_content, calibration_of_search
from laser_lit.jobs.check_search import refuse_whole_delta
from laser_lit.jobs.compression import compression
from laser_lit.jobs.laser import ConfiguredStack
from laser_lit.report.wording import plural
from laser_lit.results.search_record import SearchRecord
from laser_lit.results.stats import detectable_gain
from laser_lit.results.store import ResultsStore
from laser_lit.results.weights import row_weights
from laser_lit.search.cell import Cell
from laser_lit.search.doubts import doubts
from laser_lit.search.drivers import DRIVERS, SHARDED, candidates
from laser_lit.search.guard import Guard
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.progress import say
from laser_lit.search.rows import Rows
from laser_lit.search.table import cell_table, path_rows
from laser_lit.tasks.base import Task

log = logging.getLogger(__name__)

NAMED = 12
"""Most skipped matrices that a note names; the log has them all."""


@dataclass(frozen=True)
class Found:
    """What a search leaves.

    Attributes:
        laser: the stack that it chose; none where no candidate beat the base.
        record: the record's entry.
        cells: see `laser_lit.search.table`.
        objective: of the best stack on validation.
        seconds: wall time.
        fresh: stacks that this run has scored itself, in full or in part.
    """

    laser: ConfiguredStack
    record: SearchRecord
    cells: pd.DataFrame
    objective: float
    seconds: float
    fresh: int


def search(task: Task, store: ResultsStore, config: DictConfig) -> Found:
    """Returns the stack that the configured driver chooses on validation; the test split is not looked at.

    Args:
        task: what is scored.
        store: where cells are kept.
        config: the whole evaluation config.

    Raises:
        InputError: candidates that the model does not have, or none that could be scored.
    """
    settings: SearchConfig = OmegaConf.to_object(config.search)  # type: ignore[assignment]
    begin = time.perf_counter()
    space = candidates(task.matrices, settings)
    calibration = calibration_of_search(task, space, config)
    guard = Guard.of(task, config, store.folder, calibration)
    content = task.content()
    base = _base(task, store, content)
    rows = Rows.of(base, row_weights(base), config.seed)
    objective = Objective(_objective(settings, base), rows.weights)
    with task.searching("validation", settings.cache_gb) as scorer:
        loop = Loop(
            *(scorer, space, objective, rows, task.matrices, store, calibrated_content(content, calibration)),
            seed=config.seed,
            guard=guard,
            calibration=calibration,
            retry=settings.retry,
            progress=config.trainer.progress_bar,
        )
        doubted = doubts(loop)
        _say(loop, doubted)
        chosen = _driven(loop, settings)
    _refuse_all_failed(loop)
    said = {"objective": objective.name, **({} if guard is None else {"guard": guard.content})}
    study = config_hash({**content, **said, **_decomposed(settings)})
    curves = () if is_shard(config) else _curves(loop, settings.name, store, study)  # a part's cost is no search's
    found = _found(loop, chosen, settings, curves, task, begin)
    verdict = None if guard is None or chosen is None else guard.verdict(chosen.edits)
    laser = replace(found.laser, notes=(*doubted, *found.laser.notes))
    return replace(found, laser=laser, record=replace(found.record, guard=verdict))


def _base(task: Task, store: ResultsStore, content: Mapping[str, Any]) -> pd.DataFrame:
    return store.base_table(config_hash({**content, "part": "validation"}), partial(task.score, None, "validation"))


def _decomposed(settings: SearchConfig) -> dict[str, Any]:
    """Returns what tells the curves of a search from those of another decomposition's."""
    how = {"decomposition": settings.decomposition, "blocks": settings.blocks}
    return {} if settings.decomposition == "svd" else how


def is_shard(config: DictConfig) -> bool:
    """Returns whether this job does a part of a search only, after which nothing is chosen yet.

    Args:
        config: the whole evaluation config.
    """
    return config.search.name in SHARDED and config.search.shards > 1


def _say(loop: Loop, doubted: Sequence[str]) -> None:
    """Says before a search what it cannot show, and what need not be scored again."""
    for doubt in doubted:
        log.warning(doubt)
    if loop.found:
        kept = f"{loop.found:,} of {plural(len(loop.space), 'candidate')} scored before, in {loop.folder}"
        say(f"{kept}: what is known is not scored again", loop.progress)


def _driven(loop: Loop, settings: SearchConfig) -> Cell | None:
    """Returns what the driver chooses; a search that is interrupted says what is kept of it."""
    try:
        return DRIVERS[settings.name](loop, settings)
    except KeyboardInterrupt:
        print(  # noqa: T201
            f"\n{plural(len(loop.cells), 'stack')} kept in {loop.folder}; the same command goes on from there",
            file=sys.stderr,
        )
        raise


def _objective(settings: SearchConfig, base: pd.DataFrame) -> str:
    has_accuracy = not base["correct"].isna().any()
    if settings.objective == "accuracy" and not has_accuracy:
        raise InputError("search.objective=accuracy: text has no right answers; use search.objective=log_loss")
    if settings.objective != "auto":
        return settings.objective
    name = "accuracy" if has_accuracy else "log_loss"
    refuse_whole_delta(settings.delta, name)
    return name


def _refuse_all_failed(loop: Loop) -> None:
    errors = [cell.error for cell in loop.cells if cell.error is not None]
    if errors and len(errors) == len(loop.cells):
        raise InputError(
            f"{plural(len(errors), 'stack')} tried, none could be scored; the first: {errors[0]}. When that is mended, "
            "search.retry=true scores them again"
        )


def shard_done(found: Found, store: ResultsStore, config: DictConfig) -> str:
    """Returns what to tell when one part of a search is done.

    Args:
        found: what this part found.
        store: where its cells are kept.
        config: the whole evaluation config.
    """
    settings, record = config.search, found.record
    failed = f", {record.failed:,} of {plural(record.tried, 'known stack')} failed" if record.failed else ""
    return (
        f"search={settings.name}, shard {settings.shard} of {settings.shards}: {plural(found.fresh, 'stack')} scored "
        f"by this job{failed}, {found.seconds:.0f} s, kept in {store.folder}. When every shard is done, choose with "
        f"the same command, search={'collect' if settings.name == 'grid' else settings.name} and no search.shards"
    )


def _curves(loop: Loop, driver: str, store: ResultsStore, study: str) -> tuple[dict[str, Any], ...]:
    """Returns best objective against cost of the last search of every driver, this one included."""
    steps = loop.curve
    curve = {"cost": [cost for cost, _ in steps], "merit": [best[0] for _, best in steps]}
    store.add_search(study, {"driver": driver, "time": time.time(), **curve})
    ordered = sorted(store.searches(study), key=lambda entry: entry["time"])
    latest = {entry["driver"]: entry for entry in ordered if entry["cost"]}
    return tuple({key: entry[key] for key in ("driver", "cost", "merit")} for entry in latest.values())


def _found(
    loop: Loop,
    chosen: Cell | None,
    settings: SearchConfig,
    curves: tuple[dict[str, Any], ...],
    task: Task,
    begin: float,
) -> Found:
    cells, merit = cell_table(loop, settings.name, settings.delta), loop.objective.merit
    complete = cells[cells["complete"].astype(bool)]
    gains = complete["gain_log_loss" if loop.objective.name == "log_loss" else "gain_accuracy"]
    record = SearchRecord(
        driver=settings.name,
        objective=loop.objective.name,
        candidates=len(loop.space),
        tried=len(cells),
        scored=len(complete),
        cost=loop.cost,
        failed=int(cells["error"].notna().sum()),
        base=merit(loop.base)[0],
        chosen=None if chosen is None else merit(chosen)[0],
        adjusted_p=None if chosen is None else _adjusted_p(loop, chosen, cells),
        improving=int(((gains > 0) & (complete["p_adjusted"] <= 0.05)).sum()),
        detectable=None if chosen is None else _detectable(loop, chosen, task),
        path=path_rows(loop, loop.path),
        curves=curves,
        delta=settings.delta,
        compression=compression(task, loop, chosen, settings.delta) if settings.name == "smallest" else None,
    )
    seconds = time.perf_counter() - begin
    laser, objective = _laser(chosen, record, loop), merit(chosen or loop.base)[0]
    return Found(laser, record, cells, objective, seconds, len(loop.fresh))


def _laser(chosen: Cell | None, record: SearchRecord, loop: Loop) -> ConfiguredStack:
    cost = f"{record.cost:,.1f}".removesuffix(".0")
    said = (
        f"search={record.driver} on validation: {plural(record.tried, 'stack')} from "
        f"{plural(record.candidates, 'candidate edit')}, {record.scored:,} scored in full; cost, in such stacks: {cost}"
    )
    skipped = _skipped(loop.space.skipped)
    if chosen is None:
        return ConfiguredStack(None, notes=(f"{said}; {_in_vain(loop, record)}", *skipped))
    return ConfiguredStack(Stack(chosen.edits), said, verified=True, notes=skipped)


def _in_vain(loop: Loop, record: SearchRecord) -> str:
    passing = " that passes the guard" if loop.guard is not None else ""
    if record.compression is None:
        return f"none{passing} beat the base"
    return f"none{passing} saves storage and is shown to be not worse than the base by {record.delta:g}"


def _skipped(names: Sequence[str]) -> tuple[str, ...]:
    """Returns a note of the matrices of which a rule keeps all or nothing; none where there are none."""
    if not names:
        return ()
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return (f"not tried, since search.rule keeps all or nothing of it: {listed}",)


def _adjusted_p(loop: Loop, chosen: Cell, cells: pd.DataFrame) -> float | None:
    places = [number for number, cell in enumerate(loop.cells) if cell.edits == chosen.edits]
    return float(cells["p_adjusted"].iloc[places[0]]) if places else None


def _detectable(loop: Loop, chosen: Cell, task: Task) -> float | None:
    values = loop.objective.values
    groups_test = task.describe()["data"]["groups_test"]
    return detectable_gain(values(chosen) - values(loop.base), loop.groups, groups_test, weights=loop.objective.weights)
