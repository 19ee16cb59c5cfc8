"""The fitted bulk: the noise of noise, the spikes above it, and the law of square matrices, right and as coded."""

from functools import cache
from math import sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from laser_lit.linalg import bulk_fit
from laser_lit.linalg.bulk_fit import fit_bulk
from laser_lit.linalg.rules import RULES

SHAPES = [(200, 200), (150, 300), (400, 100)]


@cache
def spectrum(shape: tuple[int, int], spikes: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    W = torch.randn(shape, generator=generator, dtype=torch.float64)
    left = torch.randn(shape[0], spikes, generator=generator, dtype=torch.float64)
    right = torch.randn(spikes, shape[1], generator=generator, dtype=torch.float64)
    return torch.linalg.svdvals(W + 0.3 * left @ right)


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_is_all_bulk(shape: tuple[int, int]) -> None:
    fit = fit_bulk(spectrum(shape) * 0.1, shape)
    assert fit is not None
    assert fit.sigma == pytest.approx(1, rel=0.03)
    assert fit.spikes == 0
    assert sqrt(fit.low) == pytest.approx(0.1 * abs(sqrt(shape[0]) - sqrt(shape[1])), rel=0.06, abs=1e-9)
    assert sqrt(fit.high) == pytest.approx(0.1 * (sqrt(shape[0]) + sqrt(shape[1])), rel=0.03)


@pytest.mark.parametrize("shape", SHAPES)
def test_spikes_are_counted_and_leave_the_noise_alone(shape: tuple[int, int]) -> None:
    S = spectrum(shape, 5)
    fit = fit_bulk(S, shape)
    assert fit is not None
    assert fit.spikes == RULES["mp_fit"](S, shape) == 5
    assert fit.sigma * float(torch.linalg.vector_norm(S)) / sqrt(shape[0] * shape[1]) == pytest.approx(1, rel=0.05)


def test_the_square_law_as_coded_fits_a_height() -> None:
    S = spectrum((200, 200), 5)
    right, coded = fit_bulk(S, (200, 200)), fit_bulk(S, (200, 200), as_coded=True)
    assert right is not None
    assert coded is not None
    assert coded.sigma > right.sigma  # where spikes take more than half of the norm
    assert coded.spikes == RULES["ww_rmt"](S, (200, 200)) <= right.spikes
    assert fit_bulk(spectrum((150, 300)), (150, 300), as_coded=True) == fit_bulk(spectrum((150, 300)), (150, 300))


def test_the_density_integrates_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(8).uniform(0.2, 3, size=400)
    monkeypatch.setattr(bulk_fit, "_THINNEST", -1)
    points, density = bulk_fit._density(values)
    assert np.trapezoid(density, points) == pytest.approx(1, abs=1e-3)
    monkeypatch.setattr(bulk_fit, "_CHUNK", 1500)
    np.testing.assert_allclose(bulk_fit._density(values)[1], density)


def test_nothing_to_fit() -> None:
    outlier = torch.tensor([1000.5] + [0.5] * 1999, dtype=torch.float64).sqrt()  # points a distance of 1 apart
    assert fit_bulk(outlier, (2000, 4000)) is None
    assert fit_bulk(torch.zeros(9), (9, 20)) is None
    assert RULES["ww_rmt"](torch.zeros(9), (9, 20)) == 0
