"""`task=compare`: prompts put to a model as it is, under LASER, under an adapter and under both, side by side."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from laser_lit.config import plain
from laser_lit.data.prompts import Prompt, read_prompts
from laser_lit.data.registry import as_data_config
from laser_lit.errors import InputError
from laser_lit.jobs.adapted import configured_adapter, foreign
from laser_lit.jobs.built_in import ensure_built_in
from laser_lit.jobs.check_compare import check_compare
from laser_lit.jobs.evaluate import recorded
from laser_lit.jobs.laser import ConfiguredStack, configured_stack
from laser_lit.reft.adapter import Adapter
from laser_lit.report.compare_page import write_compare_page
from laser_lit.report.compare_table import render_compare
from laser_lit.report.terminal import result_console
from laser_lit.results.provenance import git_commit, versions
from laser_lit.results.side_by_side import FILE, SideBySide
from laser_lit.tasks.prompts import PromptTask, variants


def run(config: DictConfig) -> float:
    """Returns the share of prompts whose greedy continuation is another under the most edited variant.

    That is LASER, the adapter, or both where both are given. The run's folder gets compare.json, report.html and, with
    edits, stack.yaml.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    check_compare(config)
    prompts = _prompts(config)
    adapter = configured_adapter(config)
    laser = _stack(config)
    ensure_built_in(config)
    start = time.perf_counter()
    task = PromptTask(config, prompts)
    loaded = time.perf_counter()
    laser = laser.on(task.matrices)
    record = _record(task, laser, adapter, config)
    record = replace(record, seconds={"load": loaded - start, "ask": time.perf_counter() - loaded})
    _write(record, task, laser, config)
    return record.changes[-1].changed


def _prompts(config: DictConfig) -> tuple[Prompt, ...]:
    world = None if config.model.facts is None else as_data_config(config.data).world
    return read_prompts(plain(config)["compare"]["prompts"], config.compare.file, world)


def _stack(config: DictConfig) -> ConfiguredStack:
    laser = configured_stack(config)
    if laser.stack is not None and laser.stack.uncalibrated:
        raise InputError(
            "task=compare with laser.decomposition=whitened: there is no validation split to calibrate it on. Run "
            "task=language with it, then show what it made: laser=file laser.path=…/stack.yaml"
        )
    return laser


def _record(task: PromptTask, laser: ConfiguredStack, adapter: Adapter | None, config: DictConfig) -> SideBySide:
    if adapter is not None:
        adapter.check(task.model)
    asked = variants(laser.stack, adapter)
    edits = [] if laser.stack is None else laser.stack.resolve(task.matrices)
    settings = plain(config)["compare"]
    foreigner = None if adapter is None else foreign(adapter, config)
    return SideBySide(
        model=task.describe(),
        kind=task.kind,
        variants=tuple(variant.name for variant in asked),
        asked=tuple(task.ask(asked)),
        edits=tuple(recorded(edit) for edit in edits),
        stack=None if laser.stack is None else laser.provenance or "given on the command line",
        reft=None if adapter is None else _adapter(adapter, config),
        settings={
            "max_new_tokens": task.max_new_tokens,
            "top": settings["top"],
            "chat_template": settings["chat_template"],
        },
        warnings=(*laser.notes, *([] if foreigner is None else [foreigner])),
        device=task.device,
        versions=versions(),
        git=git_commit(),
        config=plain(config),
    )


def _adapter(adapter: Adapter, config: DictConfig) -> dict[str, Any]:
    return {
        "kind": adapter.label,
        "path": str(config.reft.path),
        "content": adapter.content,
        "parameters": adapter.parameter_count,
        "strength": float(adapter.strength),
        "made_for": adapter.made_for,
        "about": adapter.describe(),
    }


def _write(record: SideBySide, task: PromptTask, laser: ConfiguredStack, config: DictConfig) -> None:
    """Writes the run's files, prints the table and logs to W&B."""
    folder = Path(config.paths.output)
    if laser.stack is not None:
        laser.stack.save(folder / "stack.yaml", laser.stack.resolve(task.matrices), about=record.model)
    record.save(folder / FILE)
    write_compare_page(folder, record)
    console = result_console()
    console.print(render_compare(record, folder))
    _log(record, config)


def _log(record: SideBySide, config: DictConfig) -> None:
    """Adds the table to a W&B run, where W&B is on; nothing of it is imported where it is off."""
    if not config.logger.wandb:
        return
    from laser_lit.lit.wandb_run import finish_run, start_run

    folder = Path(config.paths.output)
    name = f"compare {record.model['id']} {' | '.join(record.variants[1:])}"
    run = start_run(config.logger, folder, name, config.task.name)
    if run is None:
        return
    from laser_lit.report.compare_wandb import log_compare

    run.config.update(dict(record.config), allow_val_change=True)
    log_compare(run, record)
    result_console().print(f"  {finish_run(run)}", style="dim", highlight=False, soft_wrap=True)
