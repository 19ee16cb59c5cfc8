"""metrics.csv and W&B: which, where, and never a question."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import wandb
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from laser_lit.config import LoggerConfig
from laser_lit.lit import wandb_run
from laser_lit.lit.loggers import finish_loggers, make_loggers
from laser_lit.lit.wandb_run import has_wandb_key, wandb_mode

KEY = "0" * 40


@dataclass
class Run:
    """A W&B run that only notes what is asked of it."""

    dir: str
    offline: bool = True
    url: str | None = None
    finished: int = 0
    steps: list[str] = field(default_factory=list)

    def define_metric(self, name: str, **options: Any) -> None:
        self.steps.append(name)

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No key of the user's is seen."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Returns what wandb.init was called with, run after run."""
    calls = []

    def init(**options):
        calls.append(options)
        return Run(str(tmp_path / "wandb" / "run-1" / "files"), offline=options["mode"] == "offline", url="https://run")

    monkeypatch.setattr(wandb, "init", init)
    return calls


def test_csv_alone(tmp_path, started):
    (logger,) = make_loggers(LoggerConfig(wandb=False), tmp_path, "name")
    assert isinstance(logger, CSVLogger)
    logger.log_metrics({"accuracy": 0.5})
    assert finish_loggers([logger]) == []
    assert (tmp_path / "csv" / "metrics.csv").read_text().splitlines() == ["accuracy,step", "0.5,0"]
    assert started == []


def test_none(tmp_path, started):
    assert make_loggers(LoggerConfig(csv=False, wandb=False), tmp_path, "name") == []


def test_wandb_takes_what_the_config_says(tmp_path, started):
    config = LoggerConfig(csv=False, project="p", entity="e", group="g", tags=["t"])
    (logger,) = make_loggers(config, tmp_path, "name")
    assert isinstance(logger, WandbLogger)
    (call,) = started
    expected = {"name": "name", "dir": tmp_path, "project": "p", "entity": "e", "group": "g", "tags": ["t"]}
    assert {key: call[key] for key in expected} == expected
    assert call["mode"] == "offline"
    run = logger.experiment
    assert finish_loggers([logger]) == [f"W&B, offline: wandb sync {tmp_path / 'wandb' / 'run-1'}"]
    assert run.finished == 1


def test_the_address_of_a_run_online(tmp_path, started, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    made = make_loggers(LoggerConfig(csv=False), tmp_path, "name")
    assert started[0]["mode"] == "online"
    assert finish_loggers(made) == ["W&B: https://run"]


def test_a_server_out_of_reach_loses_no_result(tmp_path, started, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    init = wandb.init

    def refuse(**options):
        if options["mode"] == "online":
            raise wandb.errors.CommError("timed out\n  while waiting")
        return init(**options)

    monkeypatch.setattr(wandb, "init", refuse)
    made = make_loggers(LoggerConfig(csv=False), tmp_path, "name")
    assert finish_loggers(made)[0].startswith("W&B, offline")
    assert "timed out while waiting" in caplog.text


@pytest.mark.parametrize(
    ("given", "key", "mode"),
    [
        (None, False, "offline"),
        (None, True, "online"),
        ("online", True, "online"),
        ("online", False, "offline"),  # it would ask for a key
        ("offline", True, "offline"),
        ("dryrun", True, "offline"),
        ("disabled", True, "disabled"),
        ("disabled", False, "disabled"),
    ],
)
def test_modes(monkeypatch, given, key, mode):
    monkeypatch.setattr(wandb_run, "has_wandb_key", lambda: key)
    if given is not None:
        monkeypatch.setenv("WANDB_MODE", given)
    assert wandb_mode() == mode


def test_disabled_means_no_logger(tmp_path, started, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert make_loggers(LoggerConfig(csv=False), tmp_path, "name") == []
    assert started == []


def test_keys(monkeypatch, tmp_path):
    netrc = Path(tmp_path / "netrc")
    assert not has_wandb_key()
    netrc.write_text(f"machine elsewhere.org login user password {KEY}\n")
    assert not has_wandb_key()
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    assert has_wandb_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.mine.org:8080")
    assert not has_wandb_key()
    netrc.write_text(f"machine wandb.mine.org:8080 login user password {KEY}\n")
    assert has_wandb_key()
    netrc.write_text("machine\n")
    assert not has_wandb_key()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert has_wandb_key()


def test_wandb_that_does_not_start_leaves_the_other_loggers(tmp_path, started, monkeypatch, caplog):
    def refuse(**_):
        raise ValueError("silent: input should be a valid boolean")

    monkeypatch.setattr("wandb.init", refuse)
    loggers = make_loggers(LoggerConfig(), tmp_path, "run")
    assert [type(logger).__name__ for logger in loggers] == ["CSVLogger"]
    assert "input should be a valid boolean" in caplog.text
    assert "logger=csv leaves it out" in caplog.text
