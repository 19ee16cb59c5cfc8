"""The basis stays orthonormal, begins where it is told to, and has torch's own parametrization and its gradient."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from laser_lit.errors import InputError
from laser_lit.reft.basis import OrthonormalBasis

SHAPES = [(1, 1), (2, 1), (6, 1), (6, 3), (6, 5), (6, 6), (24, 8)]


def error_of(R: Tensor) -> float:
    """Returns the spectral norm of RᵀR - I."""
    R = R.detach().double()
    return float(torch.linalg.matrix_norm(R.mT @ R - torch.eye(R.shape[1]).double(), 2))


def random_basis(size: int, rank: int, seed: int = 0) -> OrthonormalBasis:
    return OrthonormalBasis(size, rank, torch.Generator().manual_seed(seed))


def orthonormal(size: int, rank: int, seed: int = 0) -> Tensor:
    A = torch.randn(size, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(A).Q


def train(basis: OrthonormalBasis, optimizer: torch.optim.Optimizer, steps: int, seed: int = 0) -> None:
    """Pulls the basis towards targets that change all the time."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        (basis() * torch.randn(basis.weight.shape, generator=generator)).sum().backward()
        optimizer.step()


@pytest.mark.parametrize(("size", "rank"), SHAPES)
def test_it_is_orthonormal_over_1000_steps_with_weight_decay(size: int, rank: int) -> None:
    basis = random_basis(size, rank)
    before = basis().detach()
    assert error_of(before) < 1e-5
    train(basis, torch.optim.AdamW(basis.parameters(), lr=1e-2, weight_decay=0.01), 1000)
    assert error_of(basis()) < 1e-5
    assert basis().dtype == torch.float32
    assert size == 1 or (basis() - before).abs().max() > 0.1


@pytest.mark.parametrize("rate", [1.0, 1e4, 1e12, 1e25])
def test_no_learning_rate_leads_off_the_manifold(rate: float) -> None:
    basis = random_basis(12, 4)
    train(basis, torch.optim.SGD(basis.parameters(), lr=rate), 50)
    assert basis.weight.abs().max() > rate / 1e3
    assert error_of(basis()) < 1e-5


@pytest.mark.parametrize(
    ("dtype", "optimizer"),
    [
        (torch.bfloat16, torch.optim.Adam),
        (torch.bfloat16, torch.optim.SGD),
        (torch.float16, torch.optim.SGD),  # Adam's epsilon is 0 there
    ],
)
def test_parameters_of_low_precision_give_a_basis_of_float32(
    dtype: torch.dtype, optimizer: type[torch.optim.Optimizer]
) -> None:
    basis = random_basis(16, 4).to(dtype)
    assert basis.base.dtype == dtype
    assert error_of(basis()) < 1e-5
    train(basis, optimizer(basis.parameters(), lr=1e-2), 200)
    assert basis.weight.dtype == dtype
    assert basis().dtype == torch.float32
    assert error_of(basis()) < 1e-5


@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 10),
    spread=st.sampled_from([1e-30, 1e-3, 1.0, 1e3, 1e18, 1e30]),
    data=st.data(),
)
def test_any_parameter_gives_an_orthonormal_basis(seed: int, size: int, spread: float, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, size))
    same = data.draw(st.booleans())
    basis = random_basis(size, rank, seed)
    noise = torch.randn(size, rank, generator=torch.Generator().manual_seed(seed + 1))
    basis.weight.data.copy_((noise[:, :1] if same else noise) * spread)
    assert error_of(basis()) < 1e-5


def test_a_state_dict_round_trip_and_further_training() -> None:
    first = random_basis(16, 4)
    train(first, torch.optim.AdamW(first.parameters(), lr=1e-2), 100)
    second = random_basis(16, 4, seed=9)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert torch.equal(second(), first())
    for basis in (first, second):
        train(basis, torch.optim.AdamW(basis.parameters(), lr=1e-2), 100, seed=3)
    assert torch.equal(second(), first())
    assert error_of(second()) < 1e-5


@given(seed=st.integers(0, 10**6), size=st.integers(1, 12), data=st.data())
def test_it_begins_at_any_given_basis(seed: int, size: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, size))
    generator = torch.Generator().manual_seed(seed)
    R = orthonormal(size, rank, seed)
    if data.draw(st.booleans()):  # axes, some of them turned round: QR leaves reflections out
        axes = torch.randperm(size, generator=generator)[:rank]
        R = torch.eye(size).double()[:, axes] * torch.randn(rank, generator=generator).sign()
    basis = OrthonormalBasis.of(R)
    torch.testing.assert_close(basis(), R.float(), atol=1e-5, rtol=0)
    completed = torch.linalg.qr(torch.cat([R, torch.randn(size, size, dtype=torch.float64)], 1)).Q[:, :size]
    completed[:, : R.shape[1]] = R
    other = OrthonormalBasis.of(R, completed=completed)
    torch.testing.assert_close(other(), R.float(), atol=1e-5, rtol=0)
    assert basis.weight.shape == other.weight.shape == R.shape
    assert not basis.weight.any()


def test_what_is_no_basis_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(4, 2\) is not orthonormal"):
        OrthonormalBasis.of(torch.ones(4, 2))
    with pytest.raises(InputError, match="not orthonormal"):
        OrthonormalBasis.of(torch.full((4, 2), torch.nan))
    for rank in (0, 5):
        with pytest.raises(InputError, match=rf"rank {rank}: must lie in \[1, 4\]"):
            OrthonormalBasis(4, rank)


@pytest.mark.parametrize(("size", "rank"), SHAPES)
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_its_gradient(size: int, rank: int, seed: int) -> None:
    basis = random_basis(size, rank, seed).double()
    basis.weight.data.copy_(torch.randn(size, rank, generator=torch.Generator().manual_seed(seed)))

    def found(weight: Tensor) -> Tensor:
        return torch.func.functional_call(basis, {"weight": weight}, ())

    assert found(basis.weight).dtype == torch.float64
    assert torch.autograd.gradcheck(found, (basis.weight,))


@pytest.mark.parametrize(("size", "rank"), [shape for shape in SHAPES if shape[0] > 1])
def test_it_is_the_parametrization_of_torch(size: int, rank: int) -> None:
    generator = torch.Generator().manual_seed(1)
    theirs = nn.Linear(rank, size, bias=False).double()
    orthogonal(theirs, orthogonal_map="householder", use_trivialization=True)
    part = theirs.parametrizations.weight
    weight = torch.randn(size, rank, generator=generator, dtype=torch.float64).tril(-1)
    part.original.data.copy_(weight - torch.eye(size, rank))
    base = part[0].base  # (d, d) or (d, r)
    ours = OrthonormalBasis.of(base[:, :rank], completed=base).double()
    ours.weight.data.copy_(weight)
    torch.testing.assert_close(ours(), theirs.weight, atol=1e-6, rtol=0)
    target = torch.randn(size, rank, generator=generator, dtype=torch.float64)
    (ours() * target).sum().backward()
    (theirs.weight * target).sum().backward()
    assert part.original.grad.abs().max() > 1e-2 or size == rank
    torch.testing.assert_close(ours.weight.grad, part.original.grad, atol=1e-5, rtol=0)
    assert not ours.weight.grad.triu().any()
