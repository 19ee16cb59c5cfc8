"""The power law of a tail: found where there is one, the same as by trying every tail, None where there is none."""

from math import log, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.linalg import power_law
from laser_lit.linalg.power_law import PowerLaw, fit_power_law


def by_trying(values: list[float]) -> PowerLaw | None:
    """Returns the fit, tail by tail."""
    values = sorted(value for value in values if value > 1e-5)
    few, best = len(values) < 20, None
    for first in range(len(values) - 1):
        tail = values[first:]
        n, spread = len(tail), sum(log(value / tail[0]) for value in tail)
        if (few and n < 8) or spread <= 1e-12 * n:
            continue
        alpha = 1 + (n - few) / spread
        D = max(abs(1 - (value / tail[0]) ** (1 - alpha) - i / n) for i, value in enumerate(tail))
        score = D - 0.868 / sqrt(n) if few else D
        if best is None or score < best[0]:
            best = (score, PowerLaw(alpha, D, tail[0], (alpha - 1) / sqrt(n), n))
    return best[1] if best and len(values) >= 8 else None


@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), shape=st.sampled_from([0.5, 2.0]))
def test_every_tail_is_tried(seed: int, n: int, shape: float) -> None:
    values = np.random.default_rng(seed).gamma(shape, size=n)
    found, expected = fit_power_law(torch.tensor(values)), by_trying(values.tolist())
    assert (found is None) == (expected is None)
    if found and expected:
        assert found.n == expected.n
        for field in ("alpha", "D", "xmin", "sigma"):
            assert getattr(found, field) == pytest.approx(getattr(expected, field), rel=1e-9)


@pytest.mark.parametrize("alpha", [1.6, 2.5, 5.0])
def test_the_exponent_of_a_power_law(alpha: float) -> None:
    uniform = np.random.default_rng(0).uniform(size=3000)
    fit = fit_power_law(torch.tensor(0.3 * uniform ** (1 / (1 - alpha))))
    assert fit is not None
    assert abs(fit.alpha - alpha) < 4 * fit.sigma
    assert fit.D < 0.05


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.tensor(np.random.default_rng(1).exponential(size=300))
    whole = fit_power_law(values)
    monkeypatch.setattr(power_law, "_CHUNK", 700)
    assert fit_power_law(values) == whole


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_unit_of_eigenvalues_is_no_matter_above_the_smallest(scale: float) -> None:
    values = torch.tensor(np.random.default_rng(2).uniform(1, 9, size=100))
    fit, scaled = fit_power_law(values), fit_power_law(values * scale)
    assert fit is not None
    assert scaled is not None
    assert (scaled.n, scaled.alpha, scaled.D) == (fit.n, pytest.approx(fit.alpha), pytest.approx(fit.D))
    assert scaled.xmin == pytest.approx(fit.xmin * scale)


def test_eight_eigenvalues_above_the_smallest_are_enough() -> None:
    others = [1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0]
    fit = fit_power_law(torch.tensor([1.1e-5, *others], dtype=torch.float64))
    assert fit is not None
    assert (fit.n, fit.xmin) == (8, 1.1e-5)
    assert fit_power_law(torch.tensor([1e-5, *others], dtype=torch.float64)) is None


@pytest.mark.parametrize("values", [[1.0] * 50, [0.3] * 50, [0.7] * 9, [1e-6] * 50, [1.0, 2.0, 3.0], [0.0] * 9, []])
def test_where_there_is_no_tail_there_is_no_fit(values: list[float]) -> None:
    assert fit_power_law(torch.tensor(values, dtype=torch.float64)) is None
