"""Thin factors: those of a factorization, and the layer that holds them."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from laser_lit.errors import InputError
from laser_lit.linalg.lowrank import LowRankLinear, is_smaller
from laser_lit.linalg.svd import factorize

SIZES = st.integers(1, 9)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(SIZES, SIZES, st.data())
def test_thin_factors_multiply_to_the_matrix_of_their_rank(out: int, inputs: int, data: st.DataObject) -> None:
    factors = factorize(noise(out, inputs))
    rank = data.draw(st.integers(0, min(out, inputs)))
    US, Vh = factors.thin(rank)
    assert (US.shape, Vh.shape) == ((out, rank), (rank, inputs))
    product = (US.double() @ Vh.double()).float()
    assert torch.equal(product, factors.low_rank(rank))
    assert Vh.untyped_storage().data_ptr() == factors.Vh.untyped_storage().data_ptr()


@pytest.mark.parametrize("rank", [-1, 5])
def test_thin_factors_of_a_rank_that_is_not_there(rank: int) -> None:
    with pytest.raises(InputError, match=rf"rank {rank} for a 4 by 6 matrix: 0 … 4"):
        factorize(noise(4, 6)).thin(rank)


@given(SIZES, SIZES, st.integers(0, 9), st.booleans())
def test_the_layer_is_the_linear_layer_of_the_product(out: int, inputs: int, rank: int, bias: bool) -> None:
    rank = min(rank, out, inputs)
    US, Vh, b = noise(out, rank), noise(rank, inputs, seed=1), noise(out, seed=2) if bias else None
    layer = LowRankLinear.of(US, Vh, b)
    x = noise(2, 3, inputs, seed=3)
    assert (layer.in_features, layer.out_features, layer.rank, layer.shape) == (inputs, out, rank, (out, inputs))
    assert torch.allclose(layer(x), functional.linear(x, US @ Vh, b), atol=1e-4)
    assert torch.allclose(layer.dense(), US @ Vh, atol=1e-5)
    assert sum(p.numel() for p in layer.parameters()) == rank * (out + inputs) + (out if bias else 0)


def test_the_layer_holds_the_factors_it_was_given() -> None:
    US, Vh = noise(5, 2), noise(2, 3)
    layer = LowRankLinear.of(US, Vh)
    assert layer.US.data_ptr() == US.data_ptr()
    assert layer.Vh.data_ptr() == Vh.data_ptr()
    assert layer.bias is None


def test_state_copies_and_gradients_are_a_modules() -> None:
    layer = LowRankLinear.of(noise(5, 2), noise(2, 3, seed=1), noise(5, seed=2))
    assert list(layer.state_dict()) == ["US", "Vh", "bias"]
    other = LowRankLinear(3, 5, 2)
    other.load_state_dict(layer.state_dict())
    x = noise(4, 3, seed=4)
    assert torch.equal(other(x), copy.deepcopy(layer)(x))
    layer(x).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
    assert repr(layer) == "LowRankLinear(in_features=3, out_features=5, rank=2, bias=True)"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_type_is_the_factors(dtype: torch.dtype) -> None:
    layer = LowRankLinear(3, 5, 2, dtype=dtype)
    nn.init.ones_(layer.US), nn.init.ones_(layer.Vh)
    layer.load_state_dict({"bias": torch.zeros(5)}, strict=False)
    assert layer(torch.ones(1, 3, dtype=dtype)).tolist() == [[6.0] * 5]
    assert layer.dense().dtype == layer.weight.dtype == dtype


def test_code_that_computes_with_the_weight_that_is_not_there_fails() -> None:
    layer = LowRankLinear.of(noise(5, 2), noise(2, 3))
    assert (tuple(layer.weight.shape), layer.weight.dtype) == ((5, 3), torch.float32)
    assert "weight" not in dict(layer.named_parameters())
    x = noise(1, 3)
    uses = (
        lambda weight: functional.linear(x, weight),
        lambda weight: x @ weight.T,
        lambda weight: weight.data,
        lambda weight: weight * 2,
        lambda weight: weight.float(),
        lambda weight: weight[0],
        lambda weight: weight.copy_(x),
        nn.init.normal_,
    )
    for use in uses:
        with pytest.raises(RuntimeError, match="two thin factors, US and Vh, and no weight"):
            use(layer.weight)


@pytest.mark.parametrize(
    ("US", "Vh", "bias", "message"),
    [
        (noise(5, 2), noise(3, 4), None, r"factors of shapes \(5, 2\) and \(3, 4\)"),
        (noise(5), noise(3, 4), None, r"factors of shapes \(5,\) and \(3, 4\)"),
        (noise(5, 2), noise(2, 4), noise(4), r"a bias of shape \(4,\) for 5 outputs"),
        (noise(2, 3), noise(3, 2), None, r"rank 3 for 2 by 2 factors: 0 … 2"),
    ],
)
def test_factors_that_do_not_go_together(US: Tensor, Vh: Tensor, bias: Tensor | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LowRankLinear.of(US, Vh, bias)


@given(SIZES, SIZES, st.integers(0, 9))
def test_smaller_is_counted_in_entries(out: int, inputs: int, rank: int) -> None:
    layer = LowRankLinear(inputs, out, min(rank, out, inputs), bias=False)
    entries = sum(parameter.numel() for parameter in layer.parameters())
    assert is_smaller(layer.rank, layer.shape) == (entries < out * inputs)
