"""safetensors files that are broken, missing or something else, and how it is said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from laser_lit.errors import InputError
from laser_lit.models.checkpoint import open_checkpoint
from laser_lit.models.shards import find_tensors, read_header

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


@pytest.fixture
def folder(tiny: Callable[[str], nn.Module], tmp_path: Path) -> Path:
    tiny("llama").save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def sharded(tiny: Callable[[str], nn.Module], tmp_path: Path) -> Path:
    tiny("llama").save_pretrained(tmp_path, max_shard_size="4KB")
    return tmp_path


def set_header(file: Path, header: bytes) -> None:
    file.write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 5), (2, 3, 4), (0, 4), (4, 0)], ids=str)
def test_every_shape_and_type_is_read_as_written(dtype: torch.dtype, shape: tuple[int, ...], tmp_path: Path) -> None:
    before, tensor = torch.zeros(3, dtype=torch.uint8), (torch.rand(shape) * 7).to(dtype)
    save_file({"a": before, "b": tensor, "c": before.clone()}, tmp_path / "model.safetensors")
    stored = find_tensors(tmp_path)["b"]
    assert (stored.dtype, stored.shape, stored.bytes) == (dtype, shape, tensor.nbytes)
    assert torch.equal(stored.read(), tensor)


def test_rows_and_slabs_are_read_alone(tmp_path: Path) -> None:
    tensor = torch.randn(3, 8, 4)
    save_file({"x": tensor}, tmp_path / "model.safetensors")
    stored = find_tensors(tmp_path)["x"]
    assert torch.equal(stored.read_rows([(0, 1), (2, 3)]), tensor[[0, 2]])
    assert torch.equal(stored.read_slab(1), tensor[1])
    assert torch.equal(stored.read_slab(2, [(1, 3), (6, 8)]), tensor[2, [1, 2, 6, 7]])


def test_a_missing_shard_is_named(sharded: Path) -> None:
    gone = sorted(sharded.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(InputError, match=rf"lacks 1 of the \d+ shards .* first {gone.name}: fetch"):
        open_checkpoint(sharded)


def test_a_tensor_that_the_index_promises_is_missed(sharded: Path) -> None:
    index = sharded / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    file = content["weight_map"]["lm_head.weight"]
    content["weight_map"]["lm_tail.weight"] = file
    index.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"has no lm_tail\.weight, though"):
        open_checkpoint(sharded)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": 3}'])
def test_an_index_that_is_none(sharded: Path, content: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(content)
    with pytest.raises(InputError, match=r"index\.json (is no index|names no shards)"):
        open_checkpoint(sharded)


@pytest.mark.parametrize("left", [0, 7, 8, 100, -1])
def test_a_file_that_is_cut_short(folder: Path, left: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(InputError, match=r"cut short|is not a safetensors file, or is broken"):
        open_checkpoint(folder)


def test_a_file_that_loses_bytes_after_it_was_opened(folder: Path) -> None:
    checkpoint, file = open_checkpoint(folder), folder / "model.safetensors"
    last = list(checkpoint.tensors)[-1]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match="has changed since the checkpoint was opened"):
        checkpoint.read(last)
    file.unlink()
    with pytest.raises(InputError, match="is gone"):
        checkpoint.read(last)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"{nonsense}", "is not JSON"),
        (b"\xff\xfe\x00{}", "is not JSON"),
        (b"[1, 2]", "is not a mapping"),
        (b'{"x": {"dtype": "F32"}}', "'x' is not one of a tensor"),
        (b'{"x": 3}', "'x' is not one of a tensor"),
        (b'{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}', "'x' is not one of a tensor"),
        (b'{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', "gives 'x' 4 bytes, and its shape 8"),
        (b'{"x": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}', "is stored as F4"),
        (b'{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', "cut short"),
    ],
)
def test_a_broken_header(tmp_path: Path, header: bytes, said: str) -> None:
    set_header(tmp_path / "model.safetensors", header)
    with pytest.raises(InputError, match=said):
        read_header(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("pytorch_model.bin", "not in safetensors; convert it once"),
        ("pytorch_model-00001-of-00002.bin", "not in safetensors; convert it once"),
        ("model.Q4_K_M.gguf", "usually quantized"),
        ("adapter_model.safetensors", "merge it"),
        ("README.md", "not a checkpoint that save_pretrained wrote"),
    ],
)
def test_weights_in_another_format(folder: Path, file: str, said: str) -> None:
    (folder / "model.safetensors").rename(folder / file)
    with pytest.raises(InputError, match=said):
        open_checkpoint(folder)


def test_quantized_weights_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "awq"}}))
    with pytest.raises(InputError, match=r"quantized weights \(awq\)"):
        open_checkpoint(folder)


def test_a_config_that_is_no_mapping(folder: Path) -> None:
    for content in ("[]", "{"):
        (folder / "config.json").write_text(content)
        with pytest.raises(InputError, match=r"config\.json is not"):
            open_checkpoint(folder)


def test_what_is_neither_a_folder_nor_an_id(folder: Path) -> None:
    with pytest.raises(InputError, match="is a file; give the model's folder"):
        open_checkpoint(folder / "model.safetensors")
    with pytest.raises(InputError, match=r"without config\.json"):
        open_checkpoint(folder.parent)
    with pytest.raises(InputError, match="no model folder at a/b/c"):
        open_checkpoint("a/b/c")


def test_a_hub_id_is_read_from_the_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "hub"
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = cache / "models--someone--small" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (cache / "models--someone--small" / "refs").mkdir()
    (cache / "models--someone--small" / "refs" / "main").write_text(commit)
    for name in ("config.json", "model.safetensors"):
        (folder / name).rename(snapshot / name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    checkpoint = open_checkpoint("someone/small")
    assert checkpoint.folder == snapshot
    assert open_checkpoint("someone/small", revision=commit).matrices.layers == {None: 2}
    with pytest.raises(
        InputError, match=r"someone/else is no folder here and not in the hub's cache, and HF_HUB_OFFLINE forbids"
    ):
        open_checkpoint("someone/else")
    (snapshot / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config\.json in the cache"):
        open_checkpoint("someone/small")
