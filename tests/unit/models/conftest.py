"""The families and ways to look at their matrices and outputs."""

from collections.abc import Callable

import pytest
from families import FAMILIES
from torch import nn


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(family: str) -> nn.Module:
    return FAMILIES[family]()


@pytest.fixture
def tiny() -> Callable[[str], nn.Module]:
    """Returns a function that makes the model of one family."""
    return lambda name: FAMILIES[name]()
