"""The comparison with shuffled entries: seeded, of the same entries, and telling structure from noise."""

import pytest
import torch
from numpy.random import default_rng

from laser_lit.linalg.bulk_fit import fit_bulk
from laser_lit.linalg.spectrum import singular_values
from laser_lit.spectral.measures import measure
from laser_lit.spectral.randomized import _shuffled


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_shuffle_moves_entries_and_changes_none(dtype: torch.dtype) -> None:
    W = torch.randn(20, 31, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = W.clone()
    moved = _shuffled(W, default_rng(0))
    assert torch.equal(W, before)
    assert moved.shape == W.shape
    assert not torch.equal(moved, W)
    assert torch.equal(moved.flatten().sort().values, W.flatten().sort().values)
    assert torch.equal(_shuffled(W, default_rng(0)), moved)
    assert torch.equal(_shuffled(W.T, default_rng(0)).flatten().sort().values, W.flatten().sort().values)


@pytest.mark.parametrize("shape", [(40, 60), (120, 150)])  # five shuffles, and one
def test_structure_is_above_the_shuffled_edge(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(shape, generator=generator)
    signal = torch.randn(shape[0], 3, generator=generator) @ torch.randn(3, shape[1], generator=generator)
    plain, planted = measure(noise, randomize=True), measure(noise + 2 * signal, randomize=True)
    assert plain.num_spikes_above_rand in (0, 1)
    assert planted.num_spikes_above_rand == 3
    assert plain.rand_num_spikes == 0
    assert plain.rand_sigma_mp == pytest.approx(1, rel=0.05)
    assert (plain.rand_distance or 1) < 0.1 < (planted.rand_distance or 0)
    assert (planted.ww_softrank or 1) < 0.5 < (plain.ww_softrank or 0)
    assert planted.ww_maxdist == pytest.approx(planted.spectral_norm * (1 - (planted.ww_softrank or 0)))
    assert (planted.max_rand_eval or 0) >= planted.spectral_norm * (planted.ww_softrank or 0) * (1 - 1e-12)


@pytest.mark.parametrize(("d", "shuffles"), [(99, 5), (100, 1)])
def test_few_singular_values_take_five_shuffles(d: int, shuffles: int) -> None:
    W, rng = torch.randn(d, 120, generator=torch.Generator().manual_seed(4)), default_rng(7)
    spectra = [singular_values(_shuffled(W, rng)) for _ in range(shuffles)]
    edge = max(float(S[0]) for S in spectra)
    found, S = measure(W, randomize=True, seed=7), singular_values(W)
    assert found.max_rand_eval == edge**2
    assert found.ww_maxdist == float(S[0]) ** 2 - float(spectra[0][0]) ** 2
    assert found.num_spikes_above_rand == int((edge < S).sum())
    bulk = fit_bulk(torch.cat(spectra).sort(descending=True).values, (d, 120))
    assert bulk is not None
    assert (found.rand_sigma_mp, found.rand_bulk_max) == (bulk.sigma, bulk.high)


def test_the_comparison_is_seeded_and_only_made_when_asked_for() -> None:
    W = torch.randn(50, 30, generator=torch.Generator().manual_seed(2))
    assert measure(W, randomize=True, seed=3) == measure(W, randomize=True, seed=3)
    assert measure(W, randomize=True, seed=3).max_rand_eval != measure(W, randomize=True, seed=4).max_rand_eval
    assert measure(W).max_rand_eval is None
