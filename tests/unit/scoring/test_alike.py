"""What counts as the same result of two passes."""

import pytest
import torch

from laser_lit.scoring import alike as module
from laser_lit.scoring.alike import alike, telling

X = torch.linspace(-1, 1, 600).view(20, 30)


@pytest.mark.parametrize("part", [7, 2**22])
def test_only_rounding_is_forgiven(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(module, "PART", part)
    assert alike((X, None, [1]), (X + 1e-6, None, [1]))
    assert not alike((X, None), (X + 1e-3, None))
    assert not alike([X, X], [X, X + 1e-3])
    assert alike(X.bfloat16(), (X + 1e-3).bfloat16())
    assert not alike(X.bfloat16(), (X + 0.2).bfloat16())
    assert alike(X.double(), X.double())
    assert not alike(X.double(), X.double() + 1e-6)


def test_another_form_is_another_result() -> None:
    assert not alike((X, X), (X,))
    assert not alike(X, X[:5])
    assert not alike(torch.zeros(3), torch.full((3,), 1e-6))
    assert alike(torch.zeros(3), torch.zeros(3))


def test_what_is_not_finite_must_be_so_in_both() -> None:
    other = X.clone()
    other[3, 4] = torch.inf
    assert not alike(X, other)
    assert alike(other, other + 1e-6)


def test_nan_alone_tells_nothing() -> None:
    assert telling((X, None))
    assert not telling((torch.full((3,), torch.nan), None, torch.ones(3, dtype=torch.long)))
