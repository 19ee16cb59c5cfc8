"""`task=scan`: spectral measures of every weight matrix, straight from the files, without anything heavy."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from laser_lit.config import plain
from laser_lit.errors import InputError
from laser_lit.jobs.built_in import ensure_built_in
from laser_lit.jobs.check_adapter import check_adapter
from laser_lit.jobs.check_quantization import check_quantization
from laser_lit.report.scan_figures import scan_figures
from laser_lit.report.scan_page import write_scan_page
from laser_lit.report.scan_summary import render_summary
from laser_lit.report.terminal import result_console
from laser_lit.spectral import table as tables
from laser_lit.spectral import unfrozen
from laser_lit.spectral.scan import scan


def run(config: DictConfig) -> float:
    """Returns the number of matrices measured, after writing scan.csv, scan.json, scan.html and unfrozen.yaml.

    Fields that have nothing to do with a scan (laser, search, data …) count for nothing.

    Raises:
        InputError: for a model without a place, or values of `spectral` that cannot be meant.
    """
    check_adapter(config)
    check_quantization(config)
    settings = config.spectral
    unfrozen.check_percent(settings.percent)
    path, name = _model(config)
    output = Path(config.paths.output)
    with _progress(config.trainer.progress_bar) as tell:
        table = scan(
            path,
            randomize=settings.randomize,
            seed=config.seed,
            device=settings.device,
            workers=settings.workers,
            folder=output,
            resume=_kept(config, name),
            architecture=config.model.architecture,
            revision=config.model.revision,
            matrices=_words(settings.matrices),
            progress=tell,
        )
    vectors = table.attrs["vectors"] if settings.norms else ()
    files = [output / tables.CSV, output / tables.JSON, write_scan_page(output, table, name)]
    files.append(unfrozen.write_unfrozen(output / unfrozen.FILE, table, settings.percent, vectors))
    console = result_console()
    console.print(render_summary(table, name, files))
    _log(config, table, name, console)
    return float(len(table))


def _model(config: DictConfig) -> tuple[str, str]:
    """Returns where the model is and what to call it; the built-in one is trained when it is missing."""
    model = config.model
    if model.facts is not None and model.path is None:
        ensure_built_in(config)
        return str(model.path), str(model.name)
    if model.path is None:
        raise InputError(f"model={model.name} needs model.path=DIR, a folder in transformers' format or a hub id")
    folder = Path(model.path).expanduser()
    return str(model.path), folder.resolve().name if folder.is_dir() else str(model.path)


def _kept(config: DictConfig, name: str) -> Path:
    """Returns the folder that keeps measured rows across runs."""
    if config.paths.results is not None:
        return Path(config.paths.results)
    return Path("results") / config.task.name / name.replace("/", "--")


def _words(matrices: Any) -> str | list[str] | None:
    """Returns spectral.matrices as `scan` takes it."""
    if matrices is None or isinstance(matrices, str):
        return matrices
    words = OmegaConf.to_container(matrices) if OmegaConf.is_list(matrices) else None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"spectral.matrices={matrices}: a name or a list of names, as mlp or [q_proj,k_proj]")
    return words


@contextmanager
def _progress(shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yields what a scan tells its progress; nothing where no one watches."""
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("matrices", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _log(config: DictConfig, table: pd.DataFrame, name: str, console: Console) -> None:
    """Adds table and figures to a W&B run, where W&B is on; nothing of it is imported where it is off."""
    if not config.logger.wandb:
        return
    from laser_lit.lit.wandb_run import finish_run, start_run

    run = start_run(config.logger, Path(config.paths.output), f"scan {name}", config.task.name)
    if run is None:
        return
    from laser_lit.report.scan_wandb import log_scan

    run.config.update(plain(config), allow_val_change=True)
    log_scan(run, table, scan_figures(table))
    console.print(f"  {finish_run(run)}", style="dim", highlight=False, soft_wrap=True)
