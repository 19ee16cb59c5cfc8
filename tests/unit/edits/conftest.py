"""A tiny model and a cache of its factors."""

from pathlib import Path

import pytest
from families import FAMILIES
from torch import nn

from laser_lit.linalg.cache import FactorCache


@pytest.fixture(name="gptj")
def tiny_gptj() -> nn.Module:
    """Returns a GPT-J of 2 layers, 16 wide."""
    return FAMILIES["gptj"]()


@pytest.fixture(name="cache")
def factor_cache(tmp_path: Path) -> FactorCache:
    return FactorCache(tmp_path / "factors")
