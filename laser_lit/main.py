"""The two commands: compose a config, run its job, print what a user can mend without a traceback."""

import math
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder, quote_templates
from laser_lit.config_errors import check_keys, explain, explain_choice, explain_launcher
from laser_lit.config_logger import check_artifacts
from laser_lit.errors import InputError

FULL_ERROR = "HYDRA_FULL_ERROR"
"""Environment variable: 1 shows the traceback of every error."""


def run_job(config: DictConfig) -> float:
    """Returns the float of the job that `task._target_` names."""
    check_keys(config)
    target = config.task._target_
    module, _, name = target.rpartition(".")
    try:
        job: Callable[[DictConfig], float] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"task._target_={config.task._target_} is no function that can be imported: {error}"
        ) from error
    check_artifacts(config.logger.artifacts)
    return job(config)


def evaluate() -> None:
    """Runs `evaluate.py`."""
    _command("evaluate")


def train() -> None:
    """Runs `train.py`."""
    _command("train")


def _command(name: str) -> None:
    # Threads that spin while they wait are many times slower than one thread where another program runs beside them,
    # and hardly faster where none does. Read when torch is loaded, which a job does.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    register_schemas()
    sys.argv[1:] = quote_templates(sys.argv[1:])
    given = os.environ.get(FULL_ERROR)
    refused: list[Exception] = []

    def job(config: DictConfig) -> float:
        with _environment(given):  # processes that the job starts are told what the user said
            try:
                return run_job(config)
            except Exception as error:
                if given == "1" or _is_job_of_a_sweep() or _message(error) is None:
                    raise  # Hydra says which job of a sweep it was
                refused.append(error)
                _remove_empty_run(Path(HydraConfig.get().runtime.output_dir))
                return math.nan

    try:
        with _environment("1"):  # Hydra hands every error up, and it is printed here
            hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=name)(job)()
        for error in refused:
            raise error
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        print("\ninterrupted", file=sys.stderr)  # noqa: T201
        sys.exit(128 + signal.SIGINT)  # Lightning makes an exit with 1 of Ctrl-C
    except Exception as error:
        message = _message(error)
        if given == "1" or message is None:
            raise
        print(f"error: {message}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


def _is_job_of_a_sweep() -> bool:
    return HydraConfig.get().mode == RunMode.MULTIRUN


def _remove_empty_run(folder: Path) -> None:
    """Removes a run's folder in which only Hydra has written, and the folders above it here that are left empty."""
    written = (path for path in folder.iterdir() if path.name != ".hydra")
    if Path.cwd().is_relative_to(folder) or any(path.suffix != ".log" or path.stat().st_size for path in written):
        return
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # not empty
        for parent in folder.parents:
            if Path.cwd() not in parent.parents:
                break
            parent.rmdir()


def _message(error: Exception) -> str | None:
    """Returns what to tell the user instead of a traceback; None for what only a programmer can mend."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        return explain(error)
    if isinstance(error, InputError | OSError):
        return str(error)
    return explain_launcher(error) or explain_choice(error)


@contextmanager
def _environment(value: str | None) -> Iterator[None]:
    before = os.environ.get(FULL_ERROR)
    _set(value)
    try:
        yield
    finally:
        _set(before)


def _set(value: str | None) -> None:
    os.environ.pop(FULL_ERROR, None)
    if value is not None:
        os.environ[FULL_ERROR] = value
