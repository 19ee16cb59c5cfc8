"""A task of one-token answers on a small GPT-J, for analyses."""

from functools import partial

import pytest
from checkpoints import data_arguments, save_checkpoint, save_data

from laser_lit.analyses.further import Further
from laser_lit.data.registry import load_data
from laser_lit.jobs.scores import gain_over
from laser_lit.tasks.base import SPLITS
from laser_lit.tasks.language import LanguageTask


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    return save_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def configured(composed, checkpoint, data_folder):
    """Returns a maker of configs: kind of data, overrides."""

    def make(kind="token", *overrides):
        line = ["model=local", f"model.path={checkpoint}", *data_arguments(data_folder)[kind]]
        return composed(*line, "trainer=cpu", "trainer.progress_bar=false", *overrides)

    return make


@pytest.fixture
def make_task(configured):
    """Returns a maker of tasks: as `configured`."""

    def make(*arguments):
        config = configured(*arguments)
        return LanguageTask(config, load_data(config.data))

    return make


@pytest.fixture
def further_of():
    """Returns a function from a task to what scores further stacks on it."""
    return lambda task: Further(
        task, {split: task.score(None, split) for split in SPLITS}, partial(gain_over, seed=0), 0.2
    )
