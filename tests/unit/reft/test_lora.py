"""A LoRA that PEFT wrote, as changes of weights: PEFT's own logits, and the model as it was afterwards."""

import json
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from families import FAMILIES, inputs_of, output_of
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from weight_bits import bits, differing

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.matrices import find_matrices
from laser_lit.reft.adapter import load_adapter
from laser_lit.reft.lora import Lora
from laser_lit.reft.lora_folder import read_lora

TARGETS = {
    "gpt2": ["c_attn", "c_proj", "c_fc"],  # Conv1D
    "llama": ["q_proj", "v_proj", "down_proj"],
    "gptj": ["q_proj", "fc_in"],
    "bert": ["query", "value"],
}


def spread(model: nn.Module) -> None:
    """Draws every matrix of a LoRA anew: B begins at 0."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)


def trained(folder: Path, family: str = "gpt2", **fields: Any) -> tuple[Path, nn.Module]:
    """Returns a folder that PEFT wrote and PEFT's own model."""
    settings = {"r": 3, "lora_alpha": 5, "target_modules": TARGETS[family], **fields}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = peft.get_peft_model(FAMILIES[family](), peft.LoraConfig(**settings)).eval()
        spread(wrapped)
        wrapped.save_pretrained(folder, save_embedding_layers=False)
    return folder, wrapped


def test_weights_of_the_base_beside_a_lora_are_refused(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path / "lora")
    file = folder / "adapter_model.safetensors"
    save_file(load_file(file) | {"base_model.model.lm_head.base_layer.weight": torch.zeros(3, 3)}, file)
    with pytest.raises(InputError, match="save_embedding_layers=False"):
        read_lora(folder)


def logits_of(wrapped: Any, family: str) -> Tensor:
    with torch.no_grad():
        found: Tensor = wrapped(**inputs_of(FAMILIES[family]())).logits
        return found


SETTINGS = {
    "plain": {},
    "rank-stabilized": {"use_rslora": True},
    "dropout": {"lora_dropout": 0.3},
    "one layer": {"layers_to_transform": [1]},
    "ranks by module": {"rank_pattern": {"c_proj": 1, "0.attn.c_attn": 5}, "alpha_pattern": {"mlp.c_proj": 11}},
    "gaussian": {"init_lora_weights": "gaussian"},
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_logits_are_those_of_peft(tmp_path: Path, settings: str) -> None:
    folder, wrapped = trained(tmp_path / "lora", **SETTINGS[settings])
    model = FAMILIES["gpt2"]()
    with read_lora(folder).attached(model):
        torch.testing.assert_close(output_of(model), logits_of(wrapped, "gpt2"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", TARGETS)
def test_every_family_and_back_bit_for_bit(tmp_path: Path, family: str) -> None:
    folder, wrapped = trained(tmp_path / "lora", family)
    model = FAMILIES[family]()
    before, plain, own = bits(model), output_of(model), dict(model.named_parameters())
    lora = load_adapter(folder)
    with lora.attached(model):
        torch.testing.assert_close(output_of(model), logits_of(wrapped, family), rtol=1e-5, atol=1e-5)
        assert not torch.equal(output_of(model), plain)
    assert not differing(before, model)
    assert all(parameter is own[name] for name, parameter in model.named_parameters())
    assert torch.equal(output_of(model), plain)
    assert lora.label == "LoRA"
    assert lora.parameter_count == sum(p.numel() for name, p in wrapped.named_parameters() if "lora_" in name)
    assert lora.describe()["types"] == ["lora"]


def test_an_error_inside_takes_it_off_too(tmp_path: Path) -> None:
    model = FAMILIES["gpt2"]()
    before = bits(model)
    with pytest.raises(ZeroDivisionError), read_lora(trained(tmp_path / "lora")[0]).attached(model):
        raise ZeroDivisionError
    assert not differing(before, model)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_are_cast_once(tmp_path: Path, dtype: torch.dtype) -> None:
    folder, _ = trained(tmp_path / "lora")
    model = FAMILIES["gpt2"]().to(dtype)
    weight = model.transformer.h[0].attn.c_attn.weight.detach().clone()
    lora = read_lora(folder)
    pair = next(pair for pair in lora.pairs if pair.module == "transformer.h.0.attn.c_attn")
    expected = (weight.double() + (pair.scale * pair.B.double() @ pair.A.double()).T).to(dtype)
    with lora.attached(model):
        found = model.transformer.h[0].attn.c_attn.weight
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=1e-2 if dtype != torch.float64 else 1e-12, atol=1e-6)


def test_strength_is_a_factor_of_what_is_added(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path / "lora")
    model = FAMILIES["gpt2"]()
    plain = output_of(model)
    with load_adapter(folder, 0.0).attached(model):
        assert torch.equal(output_of(model), plain)
    full, half = load_adapter(folder), load_adapter(folder, 0.5)
    assert isinstance(full, Lora)
    doubled = Lora(tuple(type(p)(p.module, p.A, 2 * p.B, p.scale) for p in full.pairs), 0.5)
    with full.attached(model):
        expected = output_of(model)
    with doubled.attached(model):
        torch.testing.assert_close(output_of(model), expected)
    assert full.content == half.content != doubled.content
    assert read_lora(folder).content == full.content


def test_a_lora_is_added_to_edited_weights(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path / "lora", "gptj")
    model = FAMILIES["gptj"]()
    before = bits(model)
    lora, stack = read_lora(folder), Stack([Edit(1, "fc_in", rank=1)])
    handle = next(handle for id, handle in find_matrices(model).items() if (id.layer, id.matrix) == (1, "fc_in"))
    pair = next(pair for pair in lora.pairs if pair.module == handle.name.removesuffix(".weight"))
    with stack.applied(model):
        low = handle.read()
        with lora.attached(model):
            found = model.get_submodule(pair.module).weight
            torch.testing.assert_close(found, low + pair.scale * pair.B @ pair.A)
        assert torch.equal(handle.read(), low)
    assert not differing(before, model)


def test_a_weight_that_is_shared_changes_where_the_lora_names_it(tmp_path: Path) -> None:
    model = FAMILIES["gpt2"]()
    assert model.lm_head.weight is model.transformer.wte.weight
    folder, wrapped = trained(tmp_path / "lora", target_modules=["lm_head"])
    with read_lora(folder).attached(model):
        torch.testing.assert_close(output_of(model), logits_of(wrapped, "gpt2"), rtol=1e-5, atol=1e-5)
    assert model.lm_head.weight is model.transformer.wte.weight


PEFTS = {
    "use_dora=True": {"use_dora": True},
    "bias=all": {"bias": "all"},
    "modules_to_save=['lm_head']": {"modules_to_save": ["lm_head"]},
    "lora_bias=True": {"lora_bias": True},
    "trainable_token_indices=": {"trainable_token_indices": [1, 2]},
    "lora_embedding_A": {"target_modules": ["wte"]},
}


@pytest.mark.parametrize("words", PEFTS)
def test_more_than_a_lora_is_refused(tmp_path: Path, words: str) -> None:
    folder, _ = trained(tmp_path / "lora", **PEFTS[words])
    with pytest.raises(InputError) as error:
        read_lora(folder)
    assert words in str(error.value)


FIELDS = {
    "peft_type 'IA3' is not read": {"peft_type": "IA3"},
    "init_lora_weights=pissa": {"init_lora_weights": "pissa"},
    "some_new_kind=True": {"some_new_kind": True},
    "r must be a number above 0, not None": {"r": None},
    "lora_alpha must be a number above 0, not 'x'": {"lora_alpha": "x"},
    "says rank 7": {"r": 7},
    "merge_and_unload": {"use_qalora": True},
}


@pytest.mark.parametrize("words", FIELDS)
def test_configs_that_mean_something_else(tmp_path: Path, words: str) -> None:
    folder, _ = trained(tmp_path / "lora")
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | FIELDS[words]))
    with pytest.raises(InputError) as error:
        read_lora(folder)
    assert words in str(error.value)
    assert str(folder) in str(error.value)


def test_broken_folders(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path / "lora")
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if "lora_A" in name)
    for changed, words in (
        ({**tensors, name: tensors[name] * float("nan")}, "not finite"),
        ({key: tensor for key, tensor in tensors.items() if key != name}, "not its other side"),
        ({**tensors, name: tensors[name][:, :, None]}, "no LoRA of a linear"),
        ({**tensors, "odd": tensors[name].clone()}, "tensor odd"),
        ({}, "holds no tensors"),
    ):
        save_file(changed, file)
        with pytest.raises(InputError, match=words):
            read_lora(folder)
    file.write_bytes(b"no tensors")
    with pytest.raises(InputError, match="missing or broken"):
        read_lora(folder)
    file.unlink()
    (folder / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="a pickle"):
        read_lora(folder)
    (folder / "adapter_config.json").write_text("[]")
    with pytest.raises(InputError, match="a mapping is wanted"):
        read_lora(folder)
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        read_lora(folder)


def test_models_that_it_does_not_fit(tmp_path: Path) -> None:
    lora = read_lora(trained(tmp_path / "lora")[0])
    with pytest.raises(InputError, match=r"edits transformer.h.0.attn.c_attn, which this model does not have"):
        lora.check(FAMILIES["gptj"]())
    wide = FAMILIES["gpt2"]()
    wide.transformer.h[1].mlp.c_fc.weight = nn.Parameter(torch.zeros(16, 7))
    with pytest.raises(InputError, match=r"as \(out, in\) \(64, 16\), and this model has \(7, 16\)"):
        lora.check(wide)
    other = FAMILIES["gpt2"]()
    other.transformer.h[0].attn.c_attn = nn.LayerNorm(16)
    with pytest.raises(InputError, match="is a LayerNorm: linear layers alone"):
        lora.check(other)
    for dtype, device in ((torch.int8, "cpu"), (torch.float32, "meta")):
        odd = FAMILIES["gpt2"]()
        weight = torch.zeros(16, 48, dtype=dtype, device=device)
        odd.transformer.h[0].attn.c_attn.weight = nn.Parameter(weight, requires_grad=False)
        with pytest.raises(InputError, match="to which no LoRA can be added"):
            lora.check(odd)
    before = bits(wide)
    with pytest.raises(InputError), lora.attached(wide):
        pass
    assert not differing(before, wide)
