"""The two commands: compose a config, run its job, print what a user can mend without a traceback."""

import os
import sys
from collections.abc import Callable

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder, quote_templates
from laser_lit.errors import InputError


def run_job(config: DictConfig) -> float:
    """Returns the float of the job that `task._target_` names."""
    job: Callable[[DictConfig], float] = hydra.utils.get_method(config.task._target_)
    return job(config)


def evaluate() -> None:
    """Runs `evaluate.py`."""
    _command("evaluate")


def train() -> None:
    """Runs `train.py`."""
    _command("train")


def _command(name: str) -> None:
    register_schemas()
    sys.argv[1:] = quote_templates(sys.argv[1:])
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands every error up, and it is printed here
    decorate = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=name)
    try:
        decorate(run_job)()
    except (InputError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
