"""The measures of one matrix: what they are by definition, and that nothing that is not a number leaves."""

import json
from math import isfinite, log, log10, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg.rules import RULES
from laser_lit.linalg.spectrum import singular_values
from laser_lit.spectral.measures import Measures, measure, measure_spectrum


def diagonal(*S: float) -> Tensor:
    return torch.diag(torch.tensor(S, dtype=torch.float64))


def test_norms_and_ranks_by_hand() -> None:
    found = measure(torch.cat([diagonal(4, 2, 2, 1), torch.zeros(4, 2)], dim=1))
    assert (found.s_max, found.s_min, found.frobenius_norm) == (4, 1, 5)
    assert (found.spectral_norm, found.log_norm) == (16, pytest.approx(log10(25)))
    assert found.stable_rank == pytest.approx(25 / 16)
    assert found.breakeven_rank == 24 / 10
    assert found.numerical_rank == 4
    p = np.array([16, 4, 4, 1]) / 25
    assert found.entropy == pytest.approx(-(p * np.log(p)).sum() / log(4))
    p = np.array([4, 2, 2, 1]) / 9
    assert found.effective_rank == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    ranks = found.energy_rank_50, found.energy_rank_90, found.energy_rank_95, found.energy_rank_99
    assert ranks == (1, 3, 3, 4)
    assert found.detX_num == 4  # products of 16, 4, 4, 1 over their mean 6.25: 2.56, 1.64, 1.05, .17
    assert found.alpha is None  # four eigenvalues are too few


def test_the_signal_to_noise_ratio() -> None:
    found = measure(diagonal(100, 4, 3, 2, 1))  # quartiles 2 and 4, threshold 2.97
    assert found.laser_rmt_sigma == pytest.approx(2 / 1.349)
    assert (found.laser_rmt_threshold, found.laser_rmt_rank) == (pytest.approx(4 / 1.349), 3)
    assert (found.snr, found.snr_ratio) == (pytest.approx(107 / 3), pytest.approx(1.07 / 3))
    assert not found.snr_is_infinite
    above = measure(torch.eye(6))
    assert (above.snr, above.snr_ratio, above.snr_is_infinite) == (None, None, True)


def test_a_matrix_of_zeros_has_no_spread_and_no_signal() -> None:
    found = measure(torch.zeros(3, 4))
    assert (found.effective_rank, found.stable_rank, found.entropy, found.log_norm) == (None, None, None, None)
    assert (found.snr, found.snr_is_infinite, found.numerical_rank) == (None, False, 0)


def test_rounding_counts_for_no_rank() -> None:
    S = torch.tensor([2.0, 1.0, 1e-13], dtype=torch.float64)
    assert measure_spectrum(S, (3, 3)).numerical_rank == 3
    found = measure_spectrum(S, (3, 1000))  # tolerance 2·1000·2^-52 = 4.4e-13
    assert found.numerical_rank == 2
    assert found.entropy == pytest.approx((0.8 * log(1 / 0.8) + 0.2 * log(1 / 0.2)) / log(2))


@pytest.mark.parametrize("shape", [(200, 200), (150, 300)])
def test_the_fitted_bulk_is_in_the_unit_of_the_entries(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(3)
    spikes = torch.randn(shape[0], 5, generator=generator) @ torch.randn(5, shape[1], generator=generator)
    W = 0.02 * (torch.randn(shape, generator=generator) + 0.3 * spikes)
    found = measure(W)
    assert found.mp_fit_sigma == pytest.approx(0.02, rel=0.05)
    assert found.mp_fit_edge == pytest.approx(0.02 * (sqrt(shape[0]) + sqrt(shape[1])), rel=0.05)
    assert found.mp_fit_rank == 5
    assert found.bulk_max == pytest.approx((found.mp_softrank or 0) * found.spectral_norm)
    assert ((found.bulk_max or 0) == pytest.approx((found.mp_fit_edge or 0) ** 2)) == (shape[0] != shape[1])


def test_ranks_are_those_of_the_rules() -> None:
    W = torch.randn(60, 90, generator=torch.Generator().manual_seed(0)) + 2
    found, S = measure(W), singular_values(W)
    columns = {
        "laser_rmt": "laser_rmt_rank",
        "mp_median": "mp_median_rank",
        "mp_iqr": "mp_iqr_rank",
        "gavish_donoho": "gavish_donoho_rank",
        "mp_fit": "mp_fit_rank",
        "ww_rmt": "num_spikes",
        "xmin": "num_pl_spikes",
        "detx": "detX_num",
        "energy:0.9": "energy_rank_90",
    }
    for rule, column in columns.items():
        name, _, share = rule.partition(":")
        expected = RULES[name](S, (60, 90), *map(float, filter(None, [share])))
        assert getattr(found, column) == expected, rule
    assert round(found.effective_rank or 0) == RULES["entropy"](S, (60, 90))
    assert found.alpha_weighted == pytest.approx((found.alpha or 0) * log10(found.spectral_norm))


def test_a_known_spectrum_is_not_computed_again() -> None:
    W = torch.randn(30, 50, generator=torch.Generator().manual_seed(1))
    S = singular_values(W)
    assert measure(W, S=S) == measure(W) == measure_spectrum(S, (30, 50))
    assert measure(W, S=2 * S).s_max == 2 * float(S[0])
    assert measure(W.T).snr == pytest.approx(measure(W).snr)


@pytest.mark.parametrize(
    "W",
    [
        torch.zeros(5, 7),
        torch.zeros(1, 1),
        torch.ones(1, 9),
        torch.ones(9, 1),
        torch.full((12, 12), 3.0),
        torch.full((12, 40), -1e-20),
        torch.eye(2),
        torch.eye(30),
        torch.tensor([[1.0, 2], [3, 4]]),
        torch.cat([torch.ones(30, 1), torch.zeros(30, 20)], dim=1),
        torch.full((25, 30), 3e38),
        torch.randn(25, 60, generator=torch.Generator().manual_seed(2)).bfloat16(),
    ],
    ids=lambda W: f"{W.dtype}-{tuple(W.shape)}-{float(W[0, 0])}",
)
def test_nothing_but_numbers_leaves(W: Tensor) -> None:
    found = measure(W, randomize=True).as_dict()
    json.dumps(found, allow_nan=False)
    assert all(value is None or isfinite(value) for value in found.values())
    assert list(found) == list(Measures.__dataclass_fields__)
    assert sum(value is not None for value in found.values()) > 25


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), levels=st.integers(1, 3), seed=st.integers(0, 99))
def test_matrices_of_few_values_are_measured(rows: int, columns: int, levels: int, seed: int) -> None:
    W = torch.randint(levels, (rows, columns), generator=torch.Generator().manual_seed(seed)).float()
    found = measure(W)
    assert found.numerical_rank == int(np.linalg.matrix_rank(W.double().numpy()))
    assert found.frobenius_norm == pytest.approx(sqrt(float(W.square().sum())))
    json.dumps(found.as_dict(), allow_nan=False)


def test_what_cannot_be_measured_is_named() -> None:
    with pytest.raises(InputError, match="layer 3 fc_in has 1 NaN"):
        measure(torch.tensor([[1.0, float("nan")]]), name="layer 3 fc_in")
    with pytest.raises(InputError, match="leave float64"):
        measure(torch.ones(3, 3, dtype=torch.float64) * 1e200)
    with pytest.raises(InputError, match="leave float64"):
        measure(torch.ones(3, 3, dtype=torch.float64) * 1e-152)
