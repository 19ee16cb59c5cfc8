"""The histogram of a spectrum, and the law of noise beside it."""

from math import cos, pi, sin, sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.errors import InputError
from laser_lit.linalg.marchenko_pastur import noise_level, quantile
from laser_lit.linalg.spectrum import singular_values
from laser_lit.spectral.density import BINS, noise_density, spectral_density


def share_below(end: float, beta: float) -> float:
    """The integral of the law up to a value, by the midpoint rule in an angle, so that its edges do no harm."""
    low, steps = 1 - sqrt(beta), 300
    half = (end - low) / 2
    angles = [pi * (at + 0.5) / steps for at in range(steps)]
    return sum(noise_density(low + half * (1 - cos(a)), beta) * half * sin(a) * pi / steps for a in angles)


@given(st.floats(0.05, 1))
def test_the_law_integrates_to_one_and_has_the_law_s_quantiles(beta: float) -> None:
    assert share_below(1 + sqrt(beta), beta) == pytest.approx(1, abs=1e-3)
    for share in (0.25, 0.5, 0.9):
        assert share_below(quantile(beta, share), beta) == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize("beta", [0.0, -1.0, 1.01])
def test_beta_outside_its_range(beta: float) -> None:
    with pytest.raises(InputError, match="beta"):
        noise_density(1.0, beta)


@pytest.mark.parametrize("shape", [(300, 300), (200, 600), (600, 150)])
def test_noise_follows_the_law(shape: tuple[int, int]) -> None:
    S = singular_values(3 * torch.randn(shape, generator=torch.Generator().manual_seed(1)))
    density = spectral_density(S, shape, noise_level(S, shape))
    assert density is not None
    assert density.sigma == pytest.approx(3, rel=0.05)
    assert sum(density.counts) == min(shape)
    assert density.above == []
    law = [noise_density((at + 0.5) * density.width, density.beta) * density.width for at in range(BINS)]
    distance = sum(abs(count / min(shape) - share) for count, share in zip(density.counts, law, strict=True)) / 2
    assert distance < 0.1


def test_what_lies_beyond_the_last_bin_is_listed_from_the_top() -> None:
    S = torch.cat([torch.linspace(400, 300, 12), torch.linspace(2, 0.1, 52)])
    density = spectral_density(S, (64, 64), 0.1)
    assert density is not None
    assert sum(density.counts) == 52
    assert density.above == pytest.approx((S[:10] / 0.8).tolist())


def test_every_value_is_in_a_bin_or_beyond() -> None:
    S = torch.tensor([2.62, 2.61, 2.59, 0.0]) * 0.1 * 8  # 60 bins of 1.3·2/60 end at 2.6, another would at 2.643
    density = spectral_density(S, (64, 64), 0.1)
    assert density is not None
    assert density.above == pytest.approx([2.62, 2.61])
    assert (density.counts[0], density.counts[-1], sum(density.counts)) == (1, 1, 2)


def test_the_law_at_zero_is_its_limit() -> None:
    assert noise_density(0.0, 1.0) == pytest.approx(noise_density(1e-6, 1.0))
    assert noise_density(0.0, 0.5) == 0


def test_no_density_without_noise() -> None:
    assert spectral_density(torch.zeros(4), (4, 4), 0.0) is None
    assert spectral_density(torch.tensor([1e300, 1.0]).double(), (2, 2), 1e-20) is None
