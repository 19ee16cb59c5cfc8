"""The law of pure noise: closed form against known values, integration and simulation."""

from math import asin, pi, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.errors import InputError
from laser_lit.linalg.marchenko_pastur import (
    edge,
    interquartile_range,
    noise_level,
    noise_level_iqr,
    optimal_threshold,
    quantile,
)


@given(share=st.floats(0, 1))
def test_square_noise_follows_the_quarter_circle(share: float) -> None:
    s = quantile(1.0, share)
    assert s * sqrt(4 - s * s) / (2 * pi) + 2 / pi * asin(s / 2) == pytest.approx(share, abs=1e-9)


@given(beta=st.floats(1e-3, 1), share=st.floats(0.01, 0.99))
def test_the_density_integrates_to_the_share(beta: float, share: float) -> None:
    low, high = 1 - sqrt(beta), 1 + sqrt(beta)
    angle = np.linspace(0, pi, 20001)  # s = middle - half·cos(angle) takes the roots at both ends away
    half = (quantile(beta, share) - low) / 2
    s = low + half * (1 - np.cos(angle))
    inside = np.clip((s**2 - low**2) * (high**2 - s**2), 0, None)
    density = np.divide(np.sqrt(inside), pi * beta * s, out=np.zeros_like(s), where=s > 0)
    assert np.trapezoid(density * half * np.sin(angle), angle) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("beta", [1.0, 0.5, 0.1])
def test_ends_of_the_law(beta: float) -> None:
    assert quantile(beta, 0.0) == pytest.approx(1 - sqrt(beta), abs=1e-7)
    assert quantile(beta, 1.0) == pytest.approx(edge(beta), abs=1e-7)


def test_published_constants() -> None:
    assert optimal_threshold(1.0) == pytest.approx(4 / sqrt(3))
    assert optimal_threshold(1.0) / quantile(1.0, 0.5) == pytest.approx(2.858, abs=5e-4)
    assert optimal_threshold(0.5) / quantile(0.5, 0.5) == pytest.approx(2.1711, abs=5e-4)


@pytest.mark.parametrize("shape", [(150, 150), (100, 200), (200, 100)])
def test_noise_level_of_simulated_noise(shape: tuple[int, int]) -> None:
    S = np.linalg.svd(np.random.default_rng(0).normal(scale=0.3, size=shape), compute_uv=False)
    assert noise_level(torch.tensor(S.copy()), shape) == pytest.approx(0.3, rel=0.03)


@pytest.mark.parametrize("beta", [0.0, -0.5, 1.5, float("nan")])
def test_impossible_aspect_ratios(beta: float) -> None:
    for call in (edge, optimal_threshold, lambda b: quantile(b, 0.5)):
        with pytest.raises(InputError, match=r"lies in \(0, 1\]"):
            call(beta)


def test_impossible_shares() -> None:
    with pytest.raises(InputError, match=r"lie in \[0, 1\]"):
        quantile(0.5, 1.5)


def test_quartiles_are_read_further_out_and_not_beyond_the_ends() -> None:
    S = torch.arange(9.0).flip(0)  # quartiles 2 and 6; a value more is a share of 1/9, 8/9 of a step
    assert interquartile_range(S) == 4
    assert interquartile_range(S, 1) == pytest.approx(4 + 2 * 8 / 9)
    assert interquartile_range(S, 100) == 8


@pytest.mark.parametrize("shape", [(300, 300), (200, 800), (800, 200)])
def test_the_range_of_noise_gives_its_level(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).normal(scale=0.3, size=shape)
    S = torch.tensor(np.linalg.svd(noise, compute_uv=False).copy())
    assert noise_level_iqr(S, shape) == pytest.approx(0.3, rel=0.03)
    assert noise_level_iqr(S, shape) < noise_level_iqr(S, shape, widened=1.5) < 0.33
