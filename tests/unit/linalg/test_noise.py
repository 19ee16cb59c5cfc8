"""The noise edges: planted components are found and noise is not, in many seeded draws of four shapes."""

from functools import cache
from math import sqrt

import pytest
import torch
from torch import Tensor

from laser_lit.linalg import noise
from laser_lit.linalg.marchenko_pastur import noise_level_iqr
from laser_lit.linalg.noise import gavish_donoho, mp_iqr, mp_iqr_plain, mp_median

SHAPES = [(64, 64), (64, 172), (300, 60), (96, 96)]
DRAWS = 200


@cache
def spectra(shape: tuple[int, int], rank: int) -> list[Tensor]:
    """Returns singular values of noise with components planted at 2 to 4 times its edge, a tensor a draw."""
    generator = torch.Generator().manual_seed(1000 * rank + shape[0])
    W = torch.randn(DRAWS, *shape, generator=generator, dtype=torch.float64)
    if rank:
        left = torch.linalg.qr(torch.randn(DRAWS, shape[0], rank, generator=generator, dtype=torch.float64)).Q
        right = torch.linalg.qr(torch.randn(DRAWS, shape[1], rank, generator=generator, dtype=torch.float64)).Q
        strength = torch.linspace(2, 4, rank, dtype=torch.float64) * (sqrt(shape[0]) + sqrt(shape[1]))
        W += (left * strength) @ right.mT
    return list(torch.linalg.svdvals(W if shape[0] >= shape[1] else W.mT))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rank", [4, 8, 16])
@pytest.mark.parametrize("rule", [mp_median, mp_iqr, gavish_donoho])
def test_planted_ranks_are_found_in_95_of_100_draws(rule: noise.Rule, rank: int, shape: tuple[int, int]) -> None:
    found = [rule(S, shape).rank for S in spectra(shape, rank)]
    assert sum(kept == rank for kept in found) >= 0.95 * DRAWS


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rule", [mp_median, mp_iqr, gavish_donoho])
def test_noise_keeps_one_component_at_most_in_95_of_100_draws(rule: noise.Rule, shape: tuple[int, int]) -> None:
    assert sum(rule(S, shape).rank <= 1 for S in spectra(shape, 0)) >= 0.95 * DRAWS


def test_the_plain_range_keeps_more_of_noise() -> None:
    plain = sum(mp_iqr_plain(S, (64, 172)).rank <= 1 for S in spectra((64, 172), 0))
    assert plain < 0.95 * DRAWS


@pytest.mark.parametrize("rule", [mp_median, mp_iqr, mp_iqr_plain, gavish_donoho, noise.laser_rmt])
def test_cuts_go_with_the_unit_and_not_with_the_orientation(rule: noise.Rule) -> None:
    S = spectra((64, 172), 8)[0]
    cut, scaled = rule(S, (64, 172)), rule(S * 1e3, (172, 64))
    assert scaled.rank == cut.rank == int((cut.threshold < S).sum())
    assert scaled.sigma == pytest.approx(cut.sigma * 1e3)
    assert scaled.threshold == pytest.approx(cut.threshold * 1e3)


@pytest.mark.parametrize("rule", [mp_median, mp_iqr, mp_iqr_plain])
def test_sigma_is_that_of_the_entries(rule: noise.Rule) -> None:
    S = torch.linalg.svdvals(torch.randn(600, 400, generator=torch.Generator().manual_seed(6), dtype=torch.float64))
    assert rule(S * 0.02, (600, 400)).sigma == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_iterated_edge_is_that_of_the_bulk(shape: tuple[int, int]) -> None:
    S = spectra(shape, 8)[0]
    cut, rest = mp_iqr(S, shape), (shape[0] - 8, shape[1] - 8)
    assert cut.rank == 8
    assert cut.sigma == pytest.approx(noise_level_iqr(S[8:], rest, 1.5))
    assert cut.threshold == pytest.approx(cut.sigma * (sqrt(rest[0]) + sqrt(rest[1])))


def test_the_edge_is_found_again_until_the_bulk_stays_the_same() -> None:
    S = torch.arange(1, 65, dtype=torch.float64) ** -1.5
    assert mp_median(S, (64, 172)).rank == 22
    assert mp_iqr(S, (64, 172)).rank == 16
    no_bulk = torch.arange(1, 65, dtype=torch.float64) ** -0.5
    assert mp_iqr(no_bulk, (64, 172)).rank == 64


def test_the_optimal_threshold_is_above_the_edge() -> None:
    S = spectra((64, 64), 4)[0]
    assert gavish_donoho(S, (64, 64)).threshold == pytest.approx(mp_median(S, (64, 64)).threshold * 2 / sqrt(3))
    assert gavish_donoho(S, (64, 64)).sigma == mp_median(S, (64, 64)).sigma


def test_the_iteration_ends_where_nothing_is_left_to_take_out() -> None:
    S = torch.tensor([2.0**-i for i in range(30)], dtype=torch.float64)
    assert 0 < mp_iqr(S, (30, 30)).rank <= 30
    assert mp_iqr(torch.ones(2), (2, 9)).rank == mp_median(torch.ones(2), (2, 9)).rank == 0
