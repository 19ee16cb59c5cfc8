"""How many components a rule finds in a spectrum."""

import numpy as np
import pytest
import torch

from laser_lit.errors import InputError, UnknownNameError
from laser_lit.linalg.power_law import fit_power_law
from laser_lit.linalg.rules import RULES, rank_from_rule, rule_named
from laser_lit.linalg.svd import factorize


def test_energy_keeps_the_fewest_that_reach_the_share() -> None:
    S = torch.tensor([3.0, 2.0, 1.0, 1.0, 1.0])  # squares 9 4 1 1 1 of 16
    for share, rank in [(0.5, 1), (9 / 16, 1), (0.57, 2), (13 / 16, 2), (0.9, 4), (1, 5)]:
        assert RULES["energy"](S, (5, 9), share) == rank
    assert rule_named("energy")(S, (5, 9)) == 5
    assert rule_named("energy:0.9")(S, (5, 9)) == 4
    assert rule_named("energy:1")(torch.tensor([1.0, 0.0]), (2, 2)) == 1


def test_entropy_is_the_effective_rank() -> None:
    assert RULES["entropy"](torch.ones(7), (7, 7)) == 7
    assert RULES["entropy"](torch.tensor([1.0, 0, 0]), (3, 3)) == 1
    p = np.array([0.5, 0.3, 0.2])
    assert RULES["entropy"](torch.tensor(p), (3, 3)) == round(np.exp(-(p * np.log(p)).sum()))


def test_laser_rmt_goes_by_the_interquartile_range() -> None:
    S = torch.tensor([100.0, 4.0, 3.0, 2.0, 1.0])  # quartiles 2 and 4: thresholds 2.97 and 2.22
    assert RULES["laser_rmt"](S, (5, 5)) == 3
    assert RULES["laser_rmt"](S / 2, (5, 20)) == 3
    assert RULES["laser_rmt"](S.where(S != 3, 2.5), (5, 5)) == 2
    assert RULES["laser_rmt"](S.where(S != 3, 2.5), (20, 5)) == 3


@pytest.mark.parametrize("method", ["exact", "gram"])
@pytest.mark.parametrize("rule", ["mp_median", "mp_iqr", "gavish_donoho"])
def test_rounding_is_no_signal(rule: str, method: str) -> None:
    for seed, (rows, columns) in enumerate([(64, 64), (64, 256), (300, 40)]):
        generator = torch.Generator().manual_seed(seed)
        for rank in (1, 10):
            W = torch.randn(rows, rank, generator=generator) @ torch.randn(rank, columns, generator=generator)
            assert RULES[rule](factorize(W, method).S, (rows, columns)) == rank


@pytest.mark.parametrize("rule", RULES)
def test_rules_count_between_nothing_and_all(rule: str) -> None:
    rng = np.random.default_rng(0)
    for shape in [(1, 1), (1, 9), (9, 1), (6, 6), (20, 7)]:
        S = torch.tensor(np.linalg.svd(rng.normal(size=shape), compute_uv=False).copy())
        assert 0 <= RULES[rule](S, shape) <= min(shape)
        assert RULES[rule](torch.zeros_like(S), shape) == 0


@pytest.mark.parametrize("rule", ["mp_median", "mp_iqr", "gavish_donoho"])
@pytest.mark.parametrize("shape", [(80, 80), (60, 150), (150, 60)])
@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_planted_ranks_are_found(rule: str, shape: tuple[int, int], scale: float) -> None:
    rng = np.random.default_rng(1)
    signal = np.linalg.qr(rng.normal(size=(shape[0], 5)))[0] @ np.linalg.qr(rng.normal(size=(shape[1], 5)))[0].T
    W = (rng.normal(size=shape) + 4 * max(shape) ** 0.5 * signal) * scale
    S = torch.tensor(np.linalg.svd(W, compute_uv=False).copy())
    assert RULES[rule](S, shape) == 5


@pytest.mark.parametrize("text", ["energi", "mp", "", "energy_0.9"])
def test_unknown_rules(text: str) -> None:
    with pytest.raises(UnknownNameError, match=", ".join(RULES)):
        rule_named(text)


@pytest.mark.parametrize(
    "text", ["energy:", "energy:0", "energy:0.0", "energy:.00", "energy:1.5", "energy:-1", "energy:x", "entropy:0.5"]
)
def test_wrong_shares_of_rules(text: str) -> None:
    with pytest.raises(InputError, match=r"in \(0, 1\]"):
        rule_named(text)  # before anything is factorized


def test_a_rule_that_keeps_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="rule mp_median for layer 3 fc_in: keeps 0 of 9"):
        rank_from_rule("mp_median", torch.zeros(9), (9, 20), "layer 3 fc_in")
    assert rank_from_rule("entropy", torch.ones(9), (9, 20)) == 9


def test_detx_keeps_the_fewest_with_a_product_below_one() -> None:
    S = torch.tensor([4.0, 2.0, 2.0, 1.0])  # squares over their mean: 2.56 .64 .64 .16; products 2.56 1.64 1.05 .17
    assert RULES["detx"](S, (4, 4)) == 4
    assert RULES["detx"](torch.tensor([3.0, 2.0, 0.1, 0.1]), (4, 4)) == 3
    assert RULES["detx"](torch.tensor([2.0, 0.1, 0.1, 0.1]), (4, 4)) == 2
    for size in (3, 300, 1001):  # of a constant spectrum no product is below 1, but for rounding
        assert RULES["detx"](torch.full((size,), 0.3, dtype=torch.float64), (size, size)) == size


def test_detx_of_long_spectra_does_not_underflow() -> None:
    S = torch.linspace(2, 0.5, 6000, dtype=torch.float64)
    logs = (S.square() / S.square().mean()).log().cumsum(0)
    assert RULES["detx"](S, (6000, 6000)) == int((logs >= 0).sum()) + 1


def test_xmin_and_auto_follow_the_power_law() -> None:
    heavy = torch.tensor(np.random.default_rng(0).uniform(size=200) ** -0.5).sort(descending=True).values
    assert fit_power_law(heavy.square()).alpha < 6
    assert RULES["ww_auto"](heavy, (200, 400)) == RULES["detx"](heavy, (200, 400))
    assert RULES["xmin"](heavy, (200, 400)) == fit_power_law(heavy.square()).n
    assert RULES["xmin"](torch.full((9,), 1e-4), (9, 9)) == 0


@pytest.mark.parametrize(("exponent", "alpha", "rule"), [(5.2, 5.93, "detx"), (5.5, 6.28, "ww_rmt")])
def test_auto_turns_at_an_alpha_of_six(exponent: float, alpha: float, rule: str) -> None:
    values = np.random.default_rng(1).uniform(size=200) ** (1 / (1 - exponent))  # eigenvalues
    S = torch.tensor(values).sqrt().sort(descending=True).values
    assert fit_power_law(S.square()).alpha == pytest.approx(alpha, abs=0.01)
    assert RULES["detx"](S, (200, 400)) > 100 > 10 > RULES["ww_rmt"](S, (200, 400))
    assert RULES["ww_auto"](S, (200, 400)) == RULES[rule](S, (200, 400))
