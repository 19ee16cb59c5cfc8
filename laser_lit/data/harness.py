"""lm-evaluation-harness's tasks, loaded past a file evaluate.py that would be imported in the place of `evaluate`."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from laser_lit.config_data import DataConfig
from laser_lit.errors import InputError, unknown_name

INSTALL = "pip install 'laser_lit[lm-eval]'"
SHADOWED = "evaluate"
"""The package that the harness imports, and the name of this project's first command."""


@contextmanager
def unshadowed() -> Iterator[None]:
    """Hides, while it is open, every folder on the import path that has a file evaluate.py, and such a module."""
    before, module = list(sys.path), sys.modules.get(SHADOWED)
    hidden = module is not None and not hasattr(module, "__path__")
    sys.path[:] = [entry for entry in before if not shadows(Path(entry))]
    if hidden:
        del sys.modules[SHADOWED]
    try:
        yield
    finally:
        sys.path[:] = before + [entry for entry in sys.path if entry not in before]
        if hidden and module is not None:
            sys.modules[SHADOWED] = module


def shadows(folder: Path) -> bool:
    """Returns whether a folder on the import path hides the package `evaluate`; the empty path is this folder."""
    return (folder / f"{SHADOWED}.py").is_file()


def require_harness() -> None:
    """Raises an error where the harness is not installed.

    Raises:
        InputError: says how to install it.
    """
    if find_spec("lm_eval") is None:
        raise InputError(f"lm-evaluation-harness is not installed: {INSTALL}")


def harness_tasks(config: DataConfig) -> tuple[list[Any], str]:
    """Returns the tasks that `data.task` names, with their requests built, and the harness's version.

    The number of solved examples, their choice and their order are the harness's own.

    Args:
        config: its `task`, `path`, `num_fewshot` and `first_rows` (the harness's --limit) count.

    Raises:
        InputError: no harness, no such task, or one that cannot be read.
    """
    require_harness()
    if not config.task:
        raise InputError("data=lm_eval needs data.task=NAME, a task of the harness or one in data.path=DIR")
    import lm_eval

    logger = logging.getLogger("lm_eval")
    logger.setLevel(logger.level or logging.ERROR)  # it tells every step, and warns of every default
    from datasets.exceptions import DatasetsError
    from jinja2 import TemplateError

    manager = _manager(config.task, task_folders(config))
    try:
        tasks = list(manager.load([config.task])["tasks"].values())
        for task in tasks:
            _set_shots(task, config.num_fewshot)
            task.build_all_requests(limit=config.first_rows)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, DatasetsError, TemplateError) as error:
        raise InputError(
            f"data.task={config.task}: lm-evaluation-harness could not read it: {type(error).__name__}: {error}"
        ) from error
    return tasks, str(lm_eval.__version__)


def task_folders(config: DataConfig) -> list[Path]:
    """Returns the folders of `data.path`, which hold tasks as YAML files.

    Raises:
        InputError: one of them is no folder.
    """
    given = [config.path] if isinstance(config.path, str | Path) else list(config.path or ())
    folders = [Path(str(path)).expanduser() for path in given]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"data.path={folder}: of data=lm_eval this is a folder with the YAML files of tasks")
    return folders


def _manager(name: str, folders: list[Path]) -> Any:
    """Returns the harness's index of tasks: that of the folders where it has the task, or else of all its own too."""
    from lm_eval.tasks import TaskManager

    if folders:
        manager = TaskManager(include_path=folders, include_defaults=False)
        if name in manager.all_tasks:
            return manager
    manager = TaskManager(include_path=folders or None)
    if name not in manager.all_tasks:
        own = [entry for entry, at in manager.task_index.items() if _is_in(at.yaml_path, folders)]
        raise unknown_task(name, manager.all_tasks, own)
    return manager


def unknown_task(name: str, known: list[str], own: list[str]) -> InputError:
    """Returns the error for a task that does not exist: the nearest names, not all of thousands.

    Args:
        name: as typed.
        known: all tasks, groups and tags.
        own: those of `data.path`.
    """
    nearest = str(unknown_name("data.task", name, known)).split("; allowed: ")[0]
    here = ", ".join(sorted(own)) or "none"
    return InputError(f"{nearest}; in data.path: {here}; `lm_eval ls tasks` lists the {len(known):,} that there are")


def _is_in(file: Path | None, folders: list[Path]) -> bool:
    return file is not None and any(Path(file).resolve().is_relative_to(folder.resolve()) for folder in folders)


def _set_shots(task: Any, number: int | None) -> None:
    """Sets what the harness's own evaluator sets before it builds requests (lm_eval/evaluator.py, simple_evaluate)."""
    from lm_eval.defaults import DEFAULT_OTHER_SEED

    own = task.get_config("num_fewshot")
    if own is None or (number is not None and own != 0):  # a task that says 0 keeps it
        task.set_config(key="num_fewshot", value=number or 0)
    task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
