"""The architecture battery: every matrix of every family is read, written, saved, loaded and put back."""

from pathlib import Path

import pytest
import torch
from families import FAMILY_FILES, output_of
from safetensors.torch import load_file
from torch import Tensor, nn

from laser_lit.models.matrices import MATRICES, MatrixHandle, MatrixId, find_matrices

GATED = {"llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gemma2", "gemma3", "phi3", "stablelm", "olmo2"}
GATED |= {"cohere", "t5_gated"}
PARTS = {"encoder": 2, "decoder": 3, "cross": 3}


def noise(handle: MatrixHandle, seed: int = 0) -> Tensor:
    return torch.randn(handle.shape, generator=torch.Generator().manual_seed(seed)).to(handle.dtype)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int16 if tensor.element_size() == 2 else torch.int32)


def same_bits(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    return all(torch.equal(bits(before[name]), bits(after[name])) for name in before)


def representatives(matrices: dict[MatrixId, MatrixHandle]) -> list[MatrixId]:
    """The first and the last id of every kind of matrix."""
    kinds: dict[tuple[str | None, str], list[MatrixId]] = {}
    for id in matrices:
        kinds.setdefault((id.part, id.matrix), []).append(id)
    return [id for ids in kinds.values() for id in dict.fromkeys((ids[0], ids[-1]))]


def test_every_matrix_is_found_and_nothing_else(family: str, model: nn.Module) -> None:
    matrices = find_matrices(model)
    assert matrices.architecture == FAMILY_FILES.get(family, family)
    assert matrices.layers == (PARTS if family.startswith("t5") else {None: 2})
    expected = {matrix for matrix in MATRICES if matrix != "fc_up" or family in GATED}
    assert {id.matrix for id in matrices} == expected
    for part, count in matrices.layers.items():
        in_part = expected if part != "cross" else expected & set(MATRICES[:4])
        for layer in range(count):
            assert {id.matrix for id in matrices if (id.part, id.layer) == (part, layer)} == in_part
    inside = sum(handle.read().numel() for handle in matrices.values())
    stored = {handle.name: handle.parameter.numel() for handle in matrices.values()}
    assert inside == sum(stored.values())  # the regions cover their parameters, none twice
    outside = {name for name, p in model.named_parameters() if p.dim() > 1 and name not in stored}
    assert not any(
        f"s.{n}." in name or f"h.{n}." in name for name in outside for n in "01" if "gate.weight" not in name
    )


def test_writing_one_matrix_changes_it_alone_and_the_output(model: nn.Module) -> None:
    matrices = find_matrices(model)
    output, before = output_of(model), weights(model)
    reads = {id: handle.read() for id, handle in matrices.items()}
    for id in representatives(matrices):
        handle = matrices[id]
        snapshot, W = handle.save(), noise(handle)
        handle.write(W)
        assert torch.equal(handle.read(), W)
        assert not torch.allclose(output_of(model), output, atol=1e-6), id
        assert all(torch.equal(matrices[other].read(), reads[other]) for other in matrices if other != id), id
        changed = {name for name, tensor in weights(model).items() if not torch.equal(tensor, before[name])}
        assert changed == {handle.name}
        handle.restore(snapshot)
        assert same_bits(before, weights(model)), id
    assert torch.equal(output_of(model), output)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_restore_brings_every_bit_back(model: nn.Module, dtype: torch.dtype) -> None:
    model.to(dtype)
    matrices = find_matrices(model)
    with torch.no_grad():
        for handle in matrices.values():
            handle.parameter.view(-1)[:3] = torch.tensor([float("nan"), -0.0, 1e-7], dtype=dtype)
    before = weights(model)
    snapshots = {id: handle.save("cpu") for id, handle in matrices.items()}
    for id, handle in matrices.items():
        assert handle.dtype == dtype
        handle.write(noise(handle).double())
        assert torch.equal(handle.read(), noise(handle).double().to(dtype)), id
    assert not same_bits(before, weights(model))
    for id in reversed(list(matrices)):
        matrices[id].restore(snapshots[id])
    assert same_bits(before, weights(model))


def test_matrices_survive_the_disk_under_their_disk_names(model: nn.Module, tmp_path: Path) -> None:
    matrices = find_matrices(model)
    written = {id: noise(handle, seed) for seed, (id, handle) in enumerate(matrices.items())}
    for id, W in written.items():
        matrices[id].write(W)
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    for id, handle in matrices.items():
        expert = id.expert if handle.disk_layout.stacked else None
        assert torch.equal(handle.disk_layout.matrix(stored[handle.disk_name], expert), written[id]), handle.disk_name
    again = find_matrices(type(model).from_pretrained(tmp_path))
    assert list(again) == list(matrices)
    assert all(torch.equal(again[id].read(), W) for id, W in written.items())


def test_the_base_model_without_its_head_has_the_same_matrices(model: nn.Module) -> None:
    base = model.base_model
    if base is model:
        pytest.skip("the family has no base model")
    assert [(id, h.shape) for id, h in find_matrices(base).items()] == [
        (id, h.shape) for id, h in find_matrices(model).items()
    ]


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_experts_are_single_matrices_on_disk(family: str, model: nn.Module) -> None:
    matrices = find_matrices(model)
    ids = matrices.select(1, "fc_up")
    assert [id.expert for id in ids] == [0, 1, 2]
    assert len({matrices[id].name for id in ids}) == 1
    assert len({matrices[id].disk_name for id in ids}) == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_matrices_are_read_and_restored_on_cuda(model: nn.Module) -> None:
    model.to("cuda", torch.bfloat16)
    before = weights(model)
    matrices = find_matrices(model)
    for id, handle in matrices.items():
        snapshot, W = handle.save(), noise(handle)
        handle.write(W)
        assert handle.device.type == "cuda"
        assert torch.equal(handle.read().cpu(), W), id
        handle.restore(snapshot)
    assert same_bits(before, weights(model))
