"""Runs of the real configs in this process, and of the real commands in this process and in others."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from checkpoints import data_arguments, save_checkpoint, save_data
from commands import stop
from hydra import compose, initialize_config_dir

from laser_lit import main
from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("logger.csv=false", "logger.wandb=false", "trainer.accelerator=cpu", "trainer.progress_bar=false")


@dataclass(frozen=True)
class Run:
    """A finished evaluation."""

    folder: Path
    objective: float

    @cached_property
    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "result.json").read_text())

    @cached_property
    def predictions(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "predictions.parquet")


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Returns a function that composes evaluate.yaml with overrides and runs its job in this process."""
    monkeypatch.chdir(tmp_path)
    register_schemas()
    runs = iter(range(1000))

    def run(*overrides: str) -> Run:
        folder = tmp_path / f"run{next(runs)}"
        paths = (f"paths.output={folder}", f"paths.results={tmp_path / 'results'}")
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose("evaluate", [*QUIET, *paths, *overrides])
        return Run(folder, main.run_job(config))

    return run


@dataclass(frozen=True)
class Said:
    """What a command did."""

    code: int | str | None
    out: str
    err: str


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Generator[Callable[..., Said], None, None]:
    """Returns a function that runs a command's entry point in this process, in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*arguments: str, entry: Callable[[], None] = main.evaluate) -> Said:
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
        capsys.readouterr()
        code: int | str | None = 0
        try:
            entry()
        except SystemExit as stop:
            code = stop.code
        return Said(code, *capsys.readouterr())

    yield run
    for handler in set(root.handlers) - set(handlers):  # Hydra's, the run's log file among them
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Returns a function that runs a command of the checkout in a process of its own, one thread each."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}

    def run(*arguments: str, script: str = "evaluate.py") -> subprocess.CompletedProcess[str]:
        line = [sys.executable, str(ROOT / script), *arguments]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)

    return run


@pytest.fixture
def start(tmp_path: Path) -> Generator[Callable[..., subprocess.Popen[str]], None, None]:
    """Returns a function that starts a command in a process group of its own; what still runs is killed."""
    started = []

    def run(*arguments: str, script: str = "evaluate.py", cwd: Path = tmp_path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=cwd,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            stop(process)


@pytest.fixture
def train(command: Callable[..., Said]) -> Callable[..., Said]:
    """Returns a function that runs train.py in this process, on the CPU and without loggers."""
    quiet = ("logger=none", "trainer=cpu", "trainer.progress_bar=false")
    return lambda *arguments: command(*quiet, *arguments, entry=main.train)


@pytest.fixture(scope="session")
def gptj(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a small GPT-J."""
    return save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "gptj")


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a small masked model."""
    return save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "bert", "bert")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Returns what to type for small data of each kind: token, choice, generate and text."""
    return data_arguments(save_data(tmp_path_factory.mktemp("data")))


@pytest.fixture
def local(gptj: Path, files: dict[str, list[str]]) -> list[str]:
    """Returns what to type for the small GPT-J on one-token answers, with an edit."""
    edit = ["laser=single", "laser.layer=1", "laser.matrix=fc_in", "laser.rank=3"]
    return ["model=local", f"model.path={gptj}", *files["token"], *edit]
