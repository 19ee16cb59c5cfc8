"""What every test shares: one thread, offline hubs and loggers, a private cache, and where the reference values are."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

os.environ.update(
    HF_HUB_OFFLINE="1",
    WANDB_MODE="offline",
    WANDB_SILENT="true",
    TOKENIZERS_PARALLELISM="false",
)
torch.set_num_threads(1)
settings.register_profile("house", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent
NEVER_SKIPPED = ("reference", "browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under LASER_LIT_STRICT=1 (continuous integration) a skipped reference or browser test is a failure."""
    report = yield
    marked = any(item.get_closest_marker(name) for name in NEVER_SKIPPED)
    if report.skipped and marked and not hasattr(report, "wasxfail") and os.environ.get("LASER_LIT_STRICT") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped under LASER_LIT_STRICT=1: {call.excinfo and call.excinfo.value}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Under LASER_LIT_STRICT=1 a test file that skips itself whole is a failure: its tests' marks are never seen."""
    report = yield
    if report.skipped and os.environ.get("LASER_LIT_STRICT") == "1":
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skipped itself under LASER_LIT_STRICT=1: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache, or W&B's."""
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    for name in ("DIR", "CACHE_DIR", "DATA_DIR", "CONFIG_DIR", "ARTIFACT_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path_factory.mktemp("wandb")))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Returns the folder of reference values and real data; skips, saying so, where it is missing."""
    folder = Path(os.environ.get("LASER_LIT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference values at {folder}; set LASER_LIT_SHARED to their folder")
    return folder
