from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from laser_lit.errors import InputError
from laser_lit.models.content import content_hash

Tiny = Callable[[str], nn.Module]


def test_the_same_weights_have_the_same_hash_also_after_the_disk(tiny: Tiny, tmp_path: Path) -> None:
    model = tiny("gpt2")
    assert len(content_hash(model)) == 32
    assert content_hash(model) == content_hash(tiny("gpt2"))
    model.save_pretrained(tmp_path)
    assert content_hash(type(model).from_pretrained(tmp_path)) == content_hash(model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_one_bit_changes_the_hash(tiny: Tiny, dtype: torch.dtype) -> None:
    model = tiny("llama").to(dtype)
    before = content_hash(model)
    with torch.no_grad():
        weight = model.model.layers[1].mlp.up_proj.weight
        weight.view(torch.int16 if weight.element_size() == 2 else torch.int32)[3, 5] ^= 1
    assert content_hash(model) != before


def test_names_shapes_types_and_buffers_count() -> None:
    def hashed(name: str, tensor: torch.Tensor, buffer: float = 0.0) -> str:
        module = nn.Module()
        module.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        module.register_buffer("count", torch.tensor(buffer))
        module.register_buffer("derived", torch.rand(3), persistent=False)
        return content_hash(module)

    zero = torch.zeros(2, 3)
    assert hashed("a", zero) == hashed("a", zero)
    others = [("b", zero), ("a", zero.T), ("a", zero.half()), ("a", zero, 1.0)]
    assert len({hashed("a", zero), *(hashed(*other) for other in others)}) == 5
    wide = torch.arange(6.0).view(2, 3)
    assert hashed("a", wide.T.contiguous().T) == hashed("a", wide)  # strides do not count


def test_tied_weights_count_once() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    alone = content_hash(nn.Sequential(module[0]))
    module[1] = module[0]
    assert content_hash(module) == alone


def test_weights_that_are_not_there_have_no_hash() -> None:
    with pytest.raises(InputError, match="weight is on the meta device"):
        content_hash(nn.Linear(2, 2, bias=False, device="meta"))
