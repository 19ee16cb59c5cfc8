"""Configs as the commands compose them."""

from collections.abc import Callable, Iterator

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder


@pytest.fixture
def composed() -> Iterator[Callable[..., DictConfig]]:
    """Returns a function from overrides (and a command's name) to its config."""
    register_schemas()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        yield lambda *overrides, name="evaluate": compose(name, ["paths.output=run", *overrides])
