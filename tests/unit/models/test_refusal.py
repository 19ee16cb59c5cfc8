from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from laser_lit.errors import InputError
from laser_lit.models.matrices import find_matrices

Tiny = Callable[[str], nn.Module]


class Linear4bit(nn.Linear):
    """Stands for bitsandbytes' module, which is told by its name."""


@pytest.mark.parametrize(
    "config", [{"quant_method": "gptq"}, SimpleNamespace(quant_method=SimpleNamespace(value="awq"))]
)
def test_a_quantization_config_is_refused(tiny: Tiny, config: object) -> None:
    model = tiny("llama")
    model.config.quantization_config = config
    with pytest.raises(InputError, match=r"quantized \((gptq|awq)\) and cannot be edited; load the original weights"):
        find_matrices(model)


def test_quantized_modules_are_refused(tiny: Tiny) -> None:
    model = tiny("llama")
    model.model.layers[1].mlp.up_proj = Linear4bit(16, 24)
    with pytest.raises(InputError, match=r"model.layers.1.mlp.up_proj is quantized \(Linear4bit\)"):
        find_matrices(model)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn], ids=str)
def test_weights_of_other_types_are_refused(tiny: Tiny, dtype: torch.dtype) -> None:
    model = tiny("llama")
    weight = torch.zeros(24, 16, dtype=dtype)
    model.model.layers[1].mlp.up_proj.weight = nn.Parameter(weight, requires_grad=False)
    with pytest.raises(InputError, match=r"up_proj.weight is stored as torch\.\w+ and cannot be edited; load the"):
        find_matrices(model)


def test_offloaded_weights_are_refused(tiny: Tiny) -> None:
    model = tiny("llama")
    model.model.layers[1].to("meta")
    with pytest.raises(InputError, match=r"7 of 14 matrices are not in memory .*first model.layers.1.*device_map=None"):
        find_matrices(model)


class Shard(torch.Tensor):
    """Stands for DTensor and the tensor types of quantization libraries."""


def test_sharded_weights_are_refused(tiny: Tiny) -> None:
    model = tiny("llama")
    model.model.layers[1].mlp.up_proj.weight = nn.Parameter(torch.zeros(24, 16).as_subclass(Shard))
    with pytest.raises(InputError, match=r"up_proj.weight is a Shard, sharded or quantized, and cannot be"):
        find_matrices(model)


class Unknown(nn.Module):
    """A transformer of no known family, with many layers."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type="mystery")
        self.embed = nn.Embedding(8, 4)
        self.trunk = nn.ModuleList(nn.ModuleDict({"mix": nn.Linear(4, 12), "out": nn.Linear(4, 4)}) for _ in range(30))


def test_an_unknown_architecture_lists_its_matrices_and_a_file_to_begin_with() -> None:
    with pytest.raises(InputError) as caught:
        find_matrices(Unknown())
    message = str(caught.value)
    assert "no architecture file for Unknown (model_type 'mystery')" in message
    assert "  trunk.{layer}.mix.weight (12, 4)\n" in message
    assert "  embed.weight (8, 4)\n" in message
    assert "model.architecture=path.yaml" in message
    assert "  layers: trunk.{layer}\n  tensors:\n    - {name: mix.weight, holds: MATRIX}\n" in message
    assert len(message.splitlines()) < 24


def test_a_family_that_does_not_fit_says_so(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="architecture bert finds no matrix in LlamaForCausalLM"):
        find_matrices(tiny("llama"), architecture="bert")
    model = tiny("opt")
    del model.model.decoder.layers[0].fc1
    with pytest.raises(InputError, match=r"opt says that layer 0 has .*; the model has not"):
        find_matrices(model)
    model = tiny("gpt_neox")
    model.config.num_attention_heads = 5
    with pytest.raises(InputError, match=r"gpt_neox.layers.0.attention.query_key_value.weight: 48 fused rows do not"):
        find_matrices(model)


def test_a_family_can_be_borrowed(tiny: Tiny) -> None:
    model = tiny("llama")
    model.config.model_type = "llama_like"
    with pytest.raises(InputError, match="no architecture file for LlamaForCausalLM"):
        find_matrices(model)
    assert len(find_matrices(model, architecture="llama")) == 14
