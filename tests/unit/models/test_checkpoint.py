"""Checkpoints on disk: the same matrices as in memory, read one at a time."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import FAMILIES
from safetensors.torch import load_file
from torch import nn

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.checkpoint import kind_of, open_checkpoint
from laser_lit.models.matrices import find_matrices

FUSED = ("gpt2", "bloom", "falcon_40b", "mixtral", "llama")


def saved(model: nn.Module, folder: Path, **how: object) -> Path:
    model.save_pretrained(folder, **how)
    return folder


def test_the_map_of_a_checkpoint_is_that_of_the_model(model: nn.Module, tmp_path: Path) -> None:
    in_memory, on_disk = find_matrices(model), open_checkpoint(saved(model, tmp_path)).matrices
    assert list(on_disk) == list(in_memory)
    assert (on_disk.architecture, on_disk.layers) == (in_memory.architecture, in_memory.layers)
    for id, handle in on_disk.items():
        twin = in_memory[id]
        assert (handle.id, handle.name, handle.disk_name) == (twin.id, twin.name, twin.disk_name)
        assert (handle.shape, handle.dtype, handle.disk_layout) == (twin.shape, twin.dtype, twin.disk_layout)
        read = handle.read()
        assert torch.equal(read, twin.read()), id
        assert read.is_contiguous()
        assert torch.equal(handle.disk_layout.matrix(open_tensor(tmp_path, handle.disk_name), id.expert), read)


def open_tensor(folder: Path, name: str) -> torch.Tensor:
    return load_file(folder / "model.safetensors")[name]


def test_every_other_matrix_is_listed(model: nn.Module, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(saved(model, tmp_path))
    stored = load_file(tmp_path / "model.safetensors")
    assert {name: tensor.shape for name, tensor in checkpoint.tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in stored.items()
    }
    others = {tensor.name for tensors in checkpoint.other.values() for tensor in tensors}
    named = {handle.disk_name for handle in checkpoint.matrices.values()}
    assert others.isdisjoint(named)
    assert others | named == {name for name, tensor in stored.items() if tensor.dim() > 1}
    assert all(torch.equal(checkpoint.read(name), stored[name]) for name in stored)


@pytest.mark.parametrize("family", FUSED)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_shards_and_types(family: str, dtype: torch.dtype, model: nn.Module, tmp_path: Path) -> None:
    saved(model.to(dtype), tmp_path, max_shard_size="4KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    matrices = open_checkpoint(tmp_path).matrices
    assert {handle.dtype for handle in matrices.values()} == {dtype}
    assert all(torch.equal(matrices[id].read(), handle.read()) for id, handle in find_matrices(model).items())


@pytest.mark.parametrize("family", FUSED)
def test_a_stack_computes_the_same_from_disk(family: str, model: nn.Module, tmp_path: Path) -> None:
    stack = Stack([Edit(layer=-1, matrix="fc_in", rho=0.3), Edit(layer=0, matrix="attn", rank=2)])
    checkpoint = open_checkpoint(saved(model, tmp_path))
    assert stack.resolve(checkpoint.matrices) == stack.resolve(model)
    for from_disk, from_memory in zip(stack.writes(checkpoint.matrices), stack.writes(model), strict=True):
        assert torch.equal(from_disk.W, from_memory.W)


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_experts_may_lie_stacked_on_disk_too(family: str, model: nn.Module, tmp_path: Path) -> None:
    matrices = open_checkpoint(saved(model, tmp_path, save_original_format=False)).matrices
    handles = find_matrices(model)
    assert all(torch.equal(matrices[id].read(), handle.read()) for id, handle in handles.items())
    assert {handle.disk_name for handle in matrices.values()} == {handle.name for handle in handles.values()}


def test_a_model_without_its_head_is_found(tiny: Callable[[str], nn.Module], tmp_path: Path) -> None:
    matrices = open_checkpoint(saved(tiny("llama").model, tmp_path)).matrices
    assert matrices.layers == {None: 2}
    assert next(iter(matrices.values())).disk_name == "layers.0.self_attn.q_proj.weight"


def test_a_handle_on_disk_does_not_write(tiny: Callable[[str], nn.Module], tmp_path: Path) -> None:
    handle = next(iter(open_checkpoint(saved(tiny("llama"), tmp_path)).matrices.values()))
    with pytest.raises(InputError, match="task=edit_checkpoint"):
        handle.write(handle.read())


def test_an_unknown_family_has_tensors_but_no_matrices(tiny: Callable[[str], nn.Module], tmp_path: Path) -> None:
    saved(tiny("llama"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "novel"}))
    checkpoint = open_checkpoint(tmp_path)
    assert len(checkpoint.other["mlp.down_proj"]) == 2
    with pytest.raises(InputError, match=r"no architecture file for LlamaForCausalLM \(model_type 'novel'\)"):
        _ = checkpoint.matrices
    assert open_checkpoint(tmp_path, architecture="llama").matrices.layers == {None: 2}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.layers.3.mlp.down_proj.weight", "mlp.down_proj"),
        ("model.layers.3.block_sparse_moe.experts.11.w1.weight", "block_sparse_moe.experts.*.w1"),
        ("encoder.block.0.layer.1.DenseReluDense.wi.weight", "layer.*.DenseReluDense.wi"),
        ("model.embed_tokens.weight", "model.embed_tokens"),
        ("lm_head.weight", "lm_head"),
        ("classifier.0.weight", "classifier.*"),
    ],
)
def test_the_kind_of_a_module_has_no_layer_and_no_expert(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize("family", list(FAMILIES))
def test_no_file_stays_open(family: str, model: nn.Module, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(saved(model, tmp_path))
    next(iter(checkpoint.matrices.values())).read()
    open_files = {str(path.resolve()) for path in Path("/proc/self/fd").iterdir() if path.exists()}
    assert not {name for name in open_files if str(tmp_path) in name}
    maps = Path("/proc/self/maps").read_text()
    assert str(tmp_path) not in maps
