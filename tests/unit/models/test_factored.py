"""Models with thin factors in place of matrices: their checkpoints, and what can be asked of them."""

import copy
import json
import pickle
from pathlib import Path

import pytest
import torch
from checkpoints import save_checkpoint
from families import FAMILIES, output_of
from torch import nn

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.export.write import export_model
from laser_lit.files import UNFINISHED
from laser_lit.models.content import content_hash
from laser_lit.models.factored import factored_modules, is_linear, make_dense
from laser_lit.models.load import load_model, load_weights
from laser_lit.models.matrices import MatrixId, find_matrices

STACK = Stack([Edit(1, "mlp", rank=2)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model, _ = load_model(save_checkpoint(tmp_path / "source"))
    export_model(model, STACK, tmp_path / "factored", "factored")
    return tmp_path / "factored"


def change(folder: Path, **fields: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_the_model_is_one_like_any_other(folder: Path) -> None:
    model, tokenizer = load_model(folder)
    assert type(model).__name__ == "GPTJForCausalLM"
    assert type(model).__module__.startswith("transformers.")
    assert not model.training
    assert list(factored_modules(model)) == ["transformer.h.1.mlp.fc_in", "transformer.h.1.mlp.fc_out"]
    assert not any(weight.is_meta for weight in (*model.parameters(), *model.buffers()))
    assert tokenizer.pad_token is not None
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert content_hash(other) == content_hash(model)
        assert torch.equal(output_of(other), output_of(model))
    assert load_weights(folder, dtype="bfloat16").transformer.h[1].mlp.fc_in.US.dtype == torch.bfloat16
    assert len(tokenizer(["w1 w2"], return_tensors="pt").input_ids) == 1


def test_factors_are_read_and_not_edited(folder: Path, tmp_path: Path) -> None:
    model, base = load_weights(folder), load_weights(tmp_path / "source")
    matrices = find_matrices(model)
    assert matrices.keys() == find_matrices(base).keys()
    handle = matrices[MatrixId(1, "fc_out")]
    assert (handle.shape, handle.dtype) == ((32, 128), torch.float32)
    with STACK.applied(base):
        assert torch.equal(handle.read(), find_matrices(base)[MatrixId(1, "fc_out")].read())
    assert torch.equal(handle.save(), handle.read())
    for refused in (
        lambda: Stack([Edit("all", "mlp", rank=1)]).resolve(model),
        lambda: matrices.select(1, "fc_in"),
        lambda: handle.write(handle.read()),
    ):
        with pytest.raises(InputError, match=r"layer 1 fc_.* is stored as factors of rank 2 and cannot be edited"):
            refused()
    with Stack([Edit(0, "mlp", rank=1)]).applied(model) as rows:
        assert len(rows) == 2


def test_a_model_with_factors_is_not_saved_as_a_plain_one(folder: Path, tmp_path: Path) -> None:
    model = load_weights(folder)
    with pytest.raises(InputError, match=r"nothing can load: copy the folder .* --format dense"):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
    make_dense(model)
    model.save_pretrained(tmp_path / "saved")
    assert torch.equal(output_of(load_weights(tmp_path / "saved")), output_of(model))


def test_a_config_that_does_not_fit_is_said(folder: Path) -> None:
    good = (folder / "config.json").read_text()
    for fields, message in (
        ({"schema": 2}, r"factored schema 2, and this laser_lit reads 1"),
        ({"ranks": None}, r"its config\.json lacks ranks or model"),
        ({"ranks": {"transformer.h.9.mlp.fc_in": 2}}, r"names factors of transformer\.h\.9\.mlp\.fc_in, which GPTJ"),
        ({"ranks": {"transformer.wte": 2}}, r"names factors of transformer\.wte, which is a Embedding"),
        ({"ranks": {}}, r"lacks weights, which would be random"),
        ({"model_type": "gptj"}, r"cannot load"),
    ):
        (folder / "config.json").write_text(good)
        change(folder, **fields)
        with pytest.raises(InputError, match=message):
            load_weights(folder)


def test_half_written_and_cut_short_folders_do_not_load(folder: Path) -> None:
    weights = folder / "model.factored.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="broken"):
        load_model(folder)
    weights.write_bytes(whole)
    (folder / UNFINISHED).touch()
    for load in (load_model, load_weights):
        with pytest.raises(InputError, match="is half-written"):
            load(folder)


def test_only_plain_linear_layers_are_taken_for_such() -> None:
    class Scaled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    assert is_linear(nn.Linear(2, 2))
    assert not is_linear(Scaled(2, 2))
    assert not is_linear(nn.Embedding(2, 2))
    kinds = {type(m).__name__ for m in FAMILIES["falcon_7b"]().modules() if is_linear(m)}
    assert kinds == {"FalconLinear", "Linear"}
