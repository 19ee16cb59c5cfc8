"""What each kind makes of a matrix."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from laser_lit.edits.change import Change, Changer, prune
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache
from laser_lit.linalg.rules import RULES
from laser_lit.linalg.svd import Svd

shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def random_matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def change(cache: FactorCache, W: Tensor, kind: str, svd: Svd | None = None, **amount: object) -> Change:
    return Changer(cache, svd or Svd()).change(W, Edit(3, "fc_in", kind=kind, **amount), "layer 3 fc_in")


@shared_folder
@given(rows=st.integers(2, 12), columns=st.integers(2, 12), seed=st.integers(0, 99), data=st.data())
def test_low_rank_and_high_order_add_up(
    cache: FactorCache, rows: int, columns: int, seed: int, data: st.DataObject
) -> None:
    W = random_matrix(rows, columns, seed)
    rank = data.draw(st.integers(1, min(rows, columns) - 1))
    low, high = (change(cache, W, kind, rank=rank) for kind in ("low_rank", "high_order"))
    assert (low.rank, high.rank) == (rank, rank)
    torch.testing.assert_close(low.W + high.W, W, atol=1e-5, rtol=0)
    S = np.linalg.svd(W.double().numpy(), compute_uv=False)
    assert float((W - low.W).norm()) == pytest.approx(np.sqrt((S[rank:] ** 2).sum()), abs=1e-5)
    assert float((W - high.W).norm()) == pytest.approx(np.sqrt((S[:rank] ** 2).sum()), abs=1e-5)


@shared_folder
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 99), data=st.data())
def test_low_rank_twice_is_low_rank_once(
    cache: FactorCache, rows: int, columns: int, seed: int, data: st.DataObject
) -> None:
    rank = data.draw(st.integers(1, min(rows, columns)))
    once = change(cache, random_matrix(rows, columns, seed), "low_rank", rank=rank).W
    twice = change(cache, once, "low_rank", rank=rank).W
    torch.testing.assert_close(twice, once, atol=1e-5, rtol=0)


@given(
    rows=st.integers(1, 9), columns=st.integers(1, 9), levels=st.integers(1, 9), seed=st.integers(0, 99), data=st.data()
)
def test_pruning_keeps_the_largest_to_an_exact_count(
    rows: int, columns: int, levels: int, seed: int, data: st.DataObject
) -> None:
    generator = torch.Generator().manual_seed(seed)
    W = torch.randint(1, levels + 1, (rows, columns), generator=generator).float()  # ties abound
    W *= torch.randint(0, 2, W.shape, generator=generator) * 2 - 1
    kept = data.draw(st.integers(1, W.numel()))
    pruned = prune(W, kept)
    stays = pruned != 0
    assert int(stays.sum()) == kept
    assert torch.equal(pruned[stays], W[stays])
    order = sorted(range(W.numel()), key=lambda i: (-abs(float(W.view(-1)[i])), i))
    assert sorted(order[:kept]) == stays.view(-1).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_pruning_keeps_the_bits_of_what_stays(dtype: torch.dtype) -> None:
    W = random_matrix(7, 5).to(dtype)
    pruned = prune(W, 12)
    assert pruned.dtype == dtype
    assert int((pruned != 0).sum()) == 12
    assert torch.equal(pruned[pruned != 0], W[pruned != 0])
    assert prune(W, 35) is W


@pytest.mark.parametrize(
    ("kind", "amount", "kept", "rank", "rho"),
    [
        ("low_rank", {"rho": 0.5}, None, 4, 0.5),
        ("low_rank", {"rho": 0.55}, None, 4, 0.55),
        ("low_rank", {"rank": 3}, None, 3, 0.375),
        ("low_rank", {"rate": 5}, None, 4, 0.5),
        ("low_rank", {"rule": "energy:0.0001"}, None, 1, 0.125),
        ("high_order", {"rho": 0.5}, None, 4, 0.5),
        ("prune", {"rho": 0.5}, 40, None, 0.5),
        ("prune", {"rate": 9.9}, 0, None, None),
        ("prune", {"rho": "0.33"}, 26, None, 0.33),
        ("prune", {"rank": 2}, 36, 2, 0.45),
        ("prune", {"rule": "energy:0.0001"}, 18, 1, 0.225),
        ("zero", {}, 0, 0, 0.0),
    ],
)
def test_amounts(
    cache: FactorCache, kind: str, amount: dict[str, object], kept: int | None, rank: int | None, rho: float | None
) -> None:
    W = random_matrix(8, 10)
    if rho is None:
        with pytest.raises(InputError, match=r"keeps 0 of 80; the smallest valid rho is 0\.0125"):
            change(cache, W, kind, **amount)
        return
    done = change(cache, W, kind, **amount)
    assert done.rank == rank
    assert done.rho == pytest.approx(rho)
    assert done.W.shape == W.shape
    if kept is not None:
        assert int((done.W != 0).sum()) == kept


@pytest.mark.parametrize("shape", [(20, 160), (160, 20)])
def test_rules_know_the_shape(cache: FactorCache, shape: tuple[int, int]) -> None:
    W = random_matrix(*shape) + 0.4 * torch.ones(shape)  # a component above the noise of this shape, not of a square
    S = torch.linalg.svdvals(W)
    assert RULES["mp_median"](S, shape) == 1
    assert RULES["mp_median"](S, (20, 20)) == 0
    assert change(cache, W, "low_rank", rule="mp_median").rank == 1


@pytest.mark.parametrize(
    ("kind", "amount"), [("low_rank", {"rho": 1}), ("low_rank", {"rank": 8}), ("prune", {"rho": 1})]
)
def test_keeping_everything_is_the_very_same_matrix(cache: FactorCache, kind: str, amount: dict[str, object]) -> None:
    W = random_matrix(8, 10)
    assert change(cache, W, kind, **amount).W is W


@pytest.mark.parametrize(
    ("kind", "amount", "says"),
    [
        ("low_rank", {"rank": 9}, "rank 9 for layer 3 fc_in: must lie in 1 … 8"),
        ("high_order", {"rank": 9}, "rank 9 for layer 3 fc_in: must lie in 1 … 8"),
        ("prune", {"rank": 9}, "rank 9 for layer 3 fc_in: must lie in 1 … 8"),
        ("high_order", {"rank": 8}, "rank 8 for layer 3 fc_in: high_order would leave nothing of 8"),
        ("prune", {"rank": 5}, "rank 5 for layer 3 fc_in: factors of that rank have 90 entries, the matrix 80; "),
        ("prune", {"rank": 5}, "prune takes ranks up to 4"),
        ("low_rank", {"rho": 0.1}, "rho 0.1 for layer 3 fc_in: keeps 0 of 8; the smallest valid rho is 0.125 "),
        ("low_rank", {"rule": "mp_median"}, "rule mp_median for layer 3 fc_in: keeps 0 of 8"),
    ],
)
def test_amounts_that_the_matrix_cannot_have(
    cache: FactorCache, kind: str, amount: dict[str, object], says: str
) -> None:
    W = torch.eye(8, 10)
    with pytest.raises(InputError) as caught:
        change(cache, W, kind, **amount)
    assert says in str(caught.value)


def test_randomized_factors_are_made_for_the_rank(cache: FactorCache) -> None:
    W = random_matrix(30, 20)
    svd = Svd("randomized", seed=2, n_iter=8)
    exact = change(cache, W, "low_rank", rank=4).W
    near = change(cache, W, "low_rank", svd, rank=4).W
    assert not torch.equal(near, exact)
    assert float((W - near).norm()) == pytest.approx(float((W - exact).norm()), rel=1e-2)
    assert torch.linalg.matrix_rank(near.double(), rtol=1e-5) == 4
    with pytest.raises(InputError, match=r"rule entropy for layer 3 fc_in needs all singular values"):
        change(cache, W, "low_rank", svd, rule="entropy")
    with pytest.raises(InputError, match=r"4 of 20 components"):
        change(cache, W, "high_order", svd, rank=4)


def test_double_precision_matrices_keep_it(cache: FactorCache) -> None:
    W = random_matrix(9, 6).double()
    low, high = (change(cache, W, kind, rank=2).W for kind in ("low_rank", "high_order"))
    torch.testing.assert_close(low + high, W, atol=1e-13, rtol=0)
