"""Tiny checkpoints of families on disk, and what is in a folder of weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import FAMILIES
from safetensors.torch import load_file
from torch import Tensor, nn

from laser_lit.models.load import load_weights

LANGUAGE = [name for name in FAMILIES if name not in ("vit", "decision_transformer")]


def kind_of(family: str) -> str | None:
    return "seq2seq" if family.startswith("t5") else None


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that saves the tiny model of a family, in several files where a size is given."""

    def save(family: str, dtype: torch.dtype = torch.float32, size: int | str = "1GB") -> Path:
        folder = tmp_path / "source"
        FAMILIES[family]().to(dtype).save_pretrained(folder, max_shard_size=size)
        return folder

    return save


@pytest.fixture
def loaded(on_disk: Callable[..., Path]) -> Callable[..., nn.Module]:
    """Returns a function that loads the tiny model of a family from disk."""

    def load(family: str, dtype: torch.dtype = torch.float32, size: int | str = "1GB") -> nn.Module:
        return load_weights(on_disk(family, dtype, size), kind=kind_of(family))

    return load


def tensors_of(folder: Path) -> dict[str, Tensor]:
    return {
        name: tensor for file in sorted(folder.glob("model*.safetensors")) for name, tensor in load_file(file).items()
    }


def same_tensors(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(a[name].dtype == b[name].dtype and torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def tensors() -> Callable[[Path], dict[str, Tensor]]:
    """Returns a function that reads every tensor of a checkpoint."""
    return tensors_of


@pytest.fixture
def same() -> Callable[[dict[str, Tensor], dict[str, Tensor]], bool]:
    """Returns a function that compares two sets of tensors, bit for bit."""
    return same_tensors


@pytest.fixture(params=LANGUAGE)
def family(request: pytest.FixtureRequest) -> str:
    return request.param
