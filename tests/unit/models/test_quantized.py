"""Bases in 4 and 8 bits: what is refused before anything is loaded, and interventions beside quantized layers."""

import importlib.util

import pytest
import torch
from families import FAMILIES, inputs_of
from torch import nn
from torch.nn import functional

from laser_lit import InputError, Intervention, Reft, find_matrices
from laser_lit.models import quantized
from laser_lit.models.quantized import bitsandbytes_config


class Linear4bit(nn.Module):
    """What bitsandbytes' layer shows of itself: a packed weight (n, 1) of bytes, and its widths as attributes."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        packed = torch.zeros(linear.weight.numel() // 2, 1, dtype=torch.uint8)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self._dense = linear.weight.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self._dense)


@pytest.fixture
def packed() -> nn.Module:
    model = FAMILIES["llama"]()
    for layer in model.model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, child in list(part.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(part, name, Linear4bit(child))
    return model


def test_without_bitsandbytes_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs bitsandbytes, which is not installed: pip install bitsandbytes"):
        bitsandbytes_config("4bit", torch.float32)


def test_another_number_of_bits_is_refused() -> None:
    with pytest.raises(InputError, match=r"'3bit'.*4bit, 8bit"):
        bitsandbytes_config("3bit", torch.float32)


@pytest.mark.parametrize("component", ["block_output", "query_output", "mlp_activation", "mlp_output", "mlp_input"])
def test_interventions_find_their_places_beside_packed_weights(packed: nn.Module, component: str) -> None:
    dense = FAMILIES["llama"]()
    said = [Intervention(layer="all", component=component, rank=2, positions="f1+l1")]
    reft = Reft.on(packed, said)
    assert [place.size for place in reft.places] == [place.size for place in Reft.on(dense, said).places]
    inputs = inputs_of(packed)
    with reft.attached(packed):
        edited = packed(**inputs).logits
    with reft.attached(dense):
        torch.testing.assert_close(edited, dense(**inputs).logits)
    edited.sum().backward()
    assert all(parameter.grad is not None for parameter in reft.parameters())


def test_packed_weights_are_still_no_matrices_to_edit(packed: nn.Module) -> None:
    with pytest.raises(InputError, match="quantized"):
        find_matrices(packed)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_the_config_is_one_that_transformers_takes() -> None:
    assert bitsandbytes_config("4bit", torch.bfloat16).bnb_4bit_quant_type == "nf4"
    assert bitsandbytes_config("8bit", torch.bfloat16).load_in_8bit
