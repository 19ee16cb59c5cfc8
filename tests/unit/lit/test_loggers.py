"""metrics.csv and W&B: which, where, and never a question."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import wandb
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from omegaconf import OmegaConf

from laser_lit.config_logger import LoggerConfig, check_artifacts
from laser_lit.errors import InputError
from laser_lit.lit import wandb_run
from laser_lit.lit.loggers import finish_loggers, make_loggers
from laser_lit.lit.wandb_run import has_wandb_key, sweep_name, wandb_mode
from laser_lit.results.logged_run import FILE, read_logged_run

KEY = "0" * 40


@dataclass
class Run:
    """A W&B run that only notes what is asked of it."""

    dir: str
    offline: bool = True
    url: str | None = None
    finished: int = 0
    id: str = "1"
    project: str = "laser_lit"
    entity: str | None = None
    name: str = "name"
    group: str | None = None
    job_type: str = "language"
    summary: dict[str, Any] = field(default_factory=dict)
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
        folder = str(tmp_path / "wandb" / "run-1" / "files")
        asked = {name: options[name] for name in ("project", "entity", "name", "group", "job_type")}
        return Run(folder, offline=options["mode"] == "offline", url="https://run", **asked)

    monkeypatch.setattr(wandb, "init", init)
    return calls


def test_csv_alone(tmp_path, started):
    (logger,) = make_loggers(LoggerConfig(wandb=False), tmp_path, "name", "language")
    assert isinstance(logger, CSVLogger)
    logger.log_metrics({"accuracy": 0.5})
    assert finish_loggers([logger]) == []
    assert (tmp_path / "csv" / "metrics.csv").read_text().splitlines() == ["accuracy,step", "0.5,0"]
    assert started == []


def test_none(tmp_path, started):
    assert make_loggers(LoggerConfig(csv=False, wandb=False), tmp_path, "name", "language") == []


def test_wandb_takes_what_the_config_says(tmp_path, started):
    config = LoggerConfig(csv=False, project="p", entity="e", group="g", tags=["t"])
    (logger,) = make_loggers(config, tmp_path, "name", "language")
    assert isinstance(logger, WandbLogger)
    (call,) = started
    expected = {"name": "name", "dir": tmp_path, "project": "p", "entity": "e", "group": "g", "tags": ["t"]}
    expected["job_type"] = "language"
    assert {key: call[key] for key in expected} == expected
    assert call["mode"] == "offline"
    run = logger.experiment
    assert finish_loggers([logger]) == [f"W&B, offline: wandb sync {tmp_path / 'wandb' / 'run-1'}"]
    assert run.finished == 1


def test_the_address_of_a_run_online(tmp_path, started, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    made = make_loggers(LoggerConfig(csv=False), tmp_path, "name", "language")
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
    made = make_loggers(LoggerConfig(csv=False), tmp_path, "name", "language")
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
    assert make_loggers(LoggerConfig(csv=False), tmp_path, "name", "language") == []
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
    loggers = make_loggers(LoggerConfig(), tmp_path, "run", "language")
    assert [type(logger).__name__ for logger in loggers] == ["CSVLogger"]
    assert "input should be a valid boolean" in caplog.text
    assert "logger=csv leaves it out" in caplog.text


def test_the_run_folder_says_which_run_on_wandb_is_its(tmp_path, started):
    config = LoggerConfig(csv=False, project="p", entity="e", group="g")
    made = make_loggers(config, tmp_path, "name", "language")
    begun = read_logged_run(tmp_path)
    assert (begun.id, begun.project, begun.entity, begun.name, begun.group) == ("1", "p", "e", "name", "g")
    assert (begun.job_type, begun.offline, begun.path, begun.media) == ("language", True, "wandb/run-1", {})
    made[0].experiment.summary = {"accuracy": 0.5, "gain": {"_type": "plotly-file"}, "nested": {"a": 1}}
    finish_loggers(made)
    assert read_logged_run(tmp_path).media == {"gain": "plotly-file"}


def test_an_offline_run_is_sent_once_sync_has_left_its_mark(tmp_path, started):
    finish_loggers(make_loggers(LoggerConfig(csv=False), tmp_path, "name", "language"))
    logged = read_logged_run(tmp_path)
    assert not logged.is_sent(tmp_path)
    (tmp_path / "wandb" / "run-1").mkdir(parents=True)
    (tmp_path / "wandb" / "run-1" / "run-1.wandb.synced").touch()
    assert logged.is_sent(tmp_path)


def test_a_run_online_is_sent(tmp_path, started, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    finish_loggers(make_loggers(LoggerConfig(csv=False), tmp_path, "name", "language"))
    assert read_logged_run(tmp_path).is_sent(tmp_path)


def test_no_run_on_wandb_no_file(tmp_path, started):
    make_loggers(LoggerConfig(wandb=False), tmp_path, "name", "language")
    assert read_logged_run(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"id": "1"}'])
def test_a_damaged_file(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(InputError, match=r"wandb\.json is damaged"):
        read_logged_run(tmp_path)


@pytest.mark.parametrize(
    ("mode", "folder", "name"),
    [
        (RunMode.MULTIRUN, "multirun/2026-11-27/09-07-54-046502", "2026-11-27-09-07-54-046502"),
        (RunMode.MULTIRUN, "sweeps/ranks", "ranks"),
        (RunMode.RUN, "sweeps/ranks", None),
    ],
)
def test_the_jobs_of_a_multirun_are_named_after_its_folder(tmp_path, started, monkeypatch, mode, folder, name):
    hydra = OmegaConf.create({"hydra": {"mode": mode, "sweep": {"dir": folder}}})
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: hydra.hydra)
    assert sweep_name() == name
    make_loggers(LoggerConfig(), tmp_path, "name", "language")
    make_loggers(LoggerConfig(group="mine"), tmp_path, "name", "language")
    assert [call["group"] for call in started] == [name, "mine"]


def test_outside_of_hydra_there_is_no_sweep():
    assert sweep_name() is None


def test_kinds_of_files():
    check_artifacts(["stack", "adapter", "model", "export"])
    check_artifacts([])
    with pytest.raises(InputError, match=r"unknown logger\.artifacts 'exports'; nearest: export; allowed: stack"):
        check_artifacts(["stack", "exports"])
