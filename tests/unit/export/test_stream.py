"""Checkpoints edited in their files, against loading, editing and saving."""

import json
import shutil

import pytest
import torch
from checkpoints import save_checkpoint, spoil

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.export import stream
from laser_lit.export.origin import Origin
from laser_lit.export.stream import edit_checkpoint
from laser_lit.export.write import export_model
from laser_lit.linalg.cache import FactorCache
from laser_lit.models.checkpoint import open_checkpoint
from laser_lit.models.load import load_model, load_weights

STACK = Stack([Edit("all", "mlp", rank=2), Edit(0, ["q_proj", "k_proj"], rho=0.3), Edit(1, "out_proj", kind="zero")])
SMALL = 8000
"""Bytes a shard, of which every tiny model has several."""


def edited(folder, stack, out):
    return edit_checkpoint(open_checkpoint(folder), stack, out, Origin.at(folder))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", ["llama", "mixtral", "qwen3_moe", "gpt2", "gptj", "falcon_40b", "phi3", "t5_gated"])
def test_every_tensor_is_that_of_loading_editing_and_saving(on_disk, tensors, same, tmp_path, family, dtype):
    source = on_disk(family, dtype, SMALL)
    before = tensors(source)
    result = edited(source, STACK, tmp_path / "edited")
    model = load_weights(source, kind="seq2seq" if family.startswith("t5") else None)
    export_model(model, STACK, tmp_path / "saved")
    after = tensors(tmp_path / "edited")
    assert same(after, tensors(tmp_path / "saved"))
    assert same(before, tensors(source))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert len(list(source.glob("*.safetensors"))) > 1
    wanted = {file.name for file in source.iterdir()} | {"README.md", "stack.yaml"}
    assert {file.name for file in (tmp_path / "edited").iterdir()} == wanted
    for name in ("config.json", "model.safetensors.index.json"):
        assert (tmp_path / "edited" / name).read_bytes() == (source / name).read_bytes()
    assert result.bytes_before == result.exported.bytes
    assert result.exported.causal == (family != "t5_gated")
    assert result.exported.parameters == sum(tensor.numel() for tensor in before.values())


def test_experts_stacked_on_disk_are_edited_where_they_lie(loaded, tensors, same, tmp_path):
    model = loaded("mixtral")
    source = tmp_path / "stacked"
    model.save_pretrained(source, save_original_format=False)
    stack = Stack([Edit(1, "mlp", rank=2, expert=2)])
    edited(source, stack, tmp_path / "edited")
    with stack.applied(model):
        model.save_pretrained(tmp_path / "saved", save_original_format=False)
    assert same(tensors(tmp_path / "edited"), tensors(tmp_path / "saved"))


def test_one_file_and_what_lies_beside_it(tmp_path):
    source = save_checkpoint(tmp_path / "source")
    (source / "LICENSE").write_text("mine")
    result = edited(source, STACK, tmp_path / "edited")
    model, tokenizer = load_model(tmp_path / "edited")
    assert tokenizer("w1 w2").input_ids == load_model(source)[1]("w1 w2").input_ids
    assert (tmp_path / "edited" / "LICENSE").read_text() == "mine"
    assert result.exported.causal
    assert f"{model.num_parameters():,}" in (tmp_path / "edited" / "README.md").read_text()
    again = Stack.load(tmp_path / "edited" / "stack.yaml").resolve(load_weights(source))
    assert [(row.name, row.rank, row.relative_error) for row in again] == [
        (row.name, row.rank, pytest.approx(row.relative_error)) for row in result.rows
    ]


def test_config_comes_last_so_that_nothing_loads_by_half(on_disk, tmp_path, monkeypatch):
    def interrupted(handle, folder, W):
        assert not (folder / "config.json").exists()
        assert list(folder.glob("*.safetensors"))
        raise KeyboardInterrupt

    monkeypatch.setattr(stream, "_overwrite", interrupted)
    with pytest.raises(KeyboardInterrupt):
        edited(on_disk("llama"), STACK, tmp_path / "edited")


@pytest.mark.parametrize("inside", [True, False])
def test_an_index_that_leads_elsewhere_is_refused(on_disk, tmp_path, inside):
    source = on_disk("llama", size=SMALL)
    index = source / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    shard = sorted(set(content["weight_map"].values()))[0]
    elsewhere = f"inner/{shard}" if inside else f"../{shard}"
    (source / elsewhere).parent.mkdir(exist_ok=True)
    (source / shard).rename(source / elsewhere)
    names = {name: elsewhere if file == shard else file for name, file in content["weight_map"].items()}
    index.write_text(json.dumps(content | {"weight_map": names}))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    with pytest.raises(InputError, match="which does not lie beside it"):
        edited(source, STACK, tmp_path / "edited")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")} == before


def test_sizes_are_those_of_the_weights_alone(on_disk, tmp_path):
    source = on_disk("llama")
    shutil.copy(source / "model.safetensors", source / "model.fp16.safetensors")  # another variant
    result = edited(source, STACK, tmp_path / "edited")
    assert result.bytes_before == result.exported.bytes == (source / "model.safetensors").stat().st_size
    assert not (tmp_path / "edited" / "model.fp16.safetensors").exists()


def test_factors_are_not_held(on_disk, tmp_path, monkeypatch):
    held = []
    monkeypatch.setattr(FactorCache, "_remember", lambda self, key, factors: held.append(self.max_memory_bytes))
    edited(on_disk("llama"), Stack([Edit("all", "fc_in", rank=2)]), tmp_path / "edited")
    assert held == [0, 0]


@pytest.mark.parametrize(
    ("edit", "message"),
    [(Edit(7, "fc_in", rank=2), "layer 7"), (Edit(1, "fc_in", rank=99), "rank 99 for layer 1 fc_in")],
)
def test_an_edit_that_cannot_be_had_leaves_nothing(on_disk, tmp_path, edit, message):
    source = on_disk("llama", size=SMALL)
    with pytest.raises(InputError, match=message):
        edited(source, Stack([Edit(0, "fc_in", rank=1), edit]), tmp_path / "edited")
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_a_matrix_that_is_not_there_is_refused_before_anything_is_copied(on_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "_copy", lambda *_: pytest.fail("copied"))
    with pytest.raises(InputError, match="layer 7"):
        edited(on_disk("llama"), Stack([Edit(0, "fc_in", rank=1), Edit(7, "fc_in", rank=2)]), tmp_path / "edited")


def test_weights_that_are_no_numbers_leave_nothing(tmp_path):
    source = save_checkpoint(tmp_path / "source")
    spoil(source, "transformer.h.1.mlp.fc_in.weight")
    with pytest.raises(InputError, match="NaN or infinite"):
        edited(source, Stack([Edit("all", "fc_in", rank=2)]), tmp_path / "edited")
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_a_folder_in_use_is_left_alone(on_disk, tmp_path):
    source = on_disk("llama")
    shutil.copytree(source, tmp_path / "used")
    before = {file.name: file.read_bytes() for file in (tmp_path / "used").iterdir()}
    with pytest.raises(InputError, match="not empty"):
        edited(source, STACK, tmp_path / "used")
    assert {file.name: file.read_bytes() for file in (tmp_path / "used").iterdir()} == before


def test_a_factored_export_is_not_edited_in_its_files(loaded, tmp_path):
    export_model(loaded("llama"), STACK, tmp_path / "factored", "factored")
    with pytest.raises(InputError, match=r"holds factors; python -m laser_lit\.export .* --format dense"):
        edited(tmp_path / "factored", STACK, tmp_path / "edited")
