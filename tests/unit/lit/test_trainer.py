"""Lightning's Trainer from the config."""

import logging
import warnings

import pytest
import torch

from laser_lit.config import TrainerConfig
from laser_lit.errors import InputError
from laser_lit.lit import trainer as made
from laser_lit.lit.trainer import LabelledProgressBar, make_trainer, quiet_lightning


class Screen:
    """A console that is watched, or is not."""

    def __init__(self, watched: bool) -> None:
        self.is_terminal = watched
        self.is_jupyter = False


def bars(trainer):
    return [callback for callback in trainer.callbacks if isinstance(callback, LabelledProgressBar)]


def test_it_writes_nothing_and_leaves_the_sampling_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trainer = make_trainer(TrainerConfig(accelerator="cpu"))
    assert trainer.loggers == []
    assert trainer.checkpoint_callbacks == []
    assert trainer.world_size == 1
    assert list(tmp_path.iterdir()) == []


def test_processes_are_known_before_they_are_started():
    trainer = make_trainer(TrainerConfig(accelerator="cpu", devices=2, strategy="ddp"))
    assert trainer.world_size == 2
    assert trainer.is_global_zero


@pytest.mark.parametrize("watched", [True, False])
def test_the_bar_is_there_when_someone_watches(monkeypatch, watched):
    monkeypatch.setattr(made, "Console", lambda: Screen(watched))
    assert len(bars(make_trainer(TrainerConfig(accelerator="cpu")))) == watched
    assert bars(make_trainer(TrainerConfig(accelerator="cpu", progress_bar=False))) == []


def test_the_bar_says_what_is_scored():
    bar = LabelledProgressBar()
    bar.label = "base, test"
    assert bar.test_description == "base, test"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"accelerator": "quantum"}, "quantum"),
        ({"accelerator": "cpu", "devices": "some"}, "trainer.devices=some"),
        ({"accelerator": "cpu", "strategy": "dpp"}, "trainer.strategy=dpp"),
        ({"accelerator": "cpu", "num_nodes": 0}, "num_nodes"),
    ],
)
def test_settings_that_lightning_refuses(settings, words):
    with pytest.raises(InputError, match=words) as caught:
        make_trainer(TrainerConfig(**settings))
    assert "trainer=cpu always works" in str(caught.value)
    assert f"{torch.cuda.device_count()} CUDA devices" in str(caught.value)


def test_advertisements_go_and_warnings_stay():
    with warnings.catch_warnings():
        quiet_lightning()
        log = logging.getLogger("lightning.pytorch")
        assert not log.isEnabledFor(logging.INFO)
        assert log.isEnabledFor(logging.WARNING)
        with pytest.warns(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
