"""What every test shares: one thread, offline hubs and loggers, a private cache, and where the reference values are."""

import os
from pathlib import Path

import pytest
import torch

os.environ.update(
    HF_HUB_OFFLINE="1",
    WANDB_MODE="offline",
    WANDB_SILENT="true",
    TOKENIZERS_PARALLELISM="false",
)
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Returns the folder of reference values and real data; skips, saying so, where it is missing."""
    folder = Path(os.environ.get("LASER_LIT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference values at {folder}; set LASER_LIT_SHARED to their folder")
    return folder
