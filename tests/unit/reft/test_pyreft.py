from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from families import FAMILIES
from pyreft_folders import KINDS, part, tensors_of, write_pyreft
from safetensors.torch import save_file
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.reft.__main__ import main
from laser_lit.reft.methods import FORMS
from laser_lit.reft.positions import Slot
from laser_lit.reft.pyreft import import_pyreft
from laser_lit.reft.saving import load_reft

D = 16


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return FAMILIES["llama"]()


def expected(type: str, t: dict[str, Tensor], h: Tensor, act: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
    """Returns what pyreft's forward gives, written out."""
    D = t["rotate_layer.weight"] if FORMS[type].basis else t["proj_layer.weight"].T
    if FORMS[type].source == "linear":
        new = act(h @ t["learned_source.weight"].T + t["learned_source.bias"])
    else:
        new = t["learned_source"]
    if FORMS[type].subtracts:
        new = new - h @ D - t.get("proj_layer.bias", torch.zeros(1))
    return h + new @ D.T


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pyreft(tmp_path / "pyreft", [part(1)])
    return tmp_path / "pyreft"


@pytest.mark.parametrize("act_fn", ["linear", "relu"])
@pytest.mark.parametrize("type", FORMS)
def test_every_type_does_to_states_what_it_did(type: str, act_fn: str, model: nn.Module, tmp_path: Path) -> None:
    tensors = tensors_of(type)
    write_pyreft(tmp_path / "pyreft", [(1, "block_output", KINDS[type], tensors)])
    reft = import_pyreft(tmp_path / "pyreft", model, positions="f1+l2", act_fn=act_fn, dropout=0.5)
    assert not reft.training
    [said], [slot], [edit] = reft.interventions, reft.slots, reft.edits
    assert (said.layer, said.type, said.rank, said.share, said.dropout) == (1, type, 3, "all", 0.5)
    assert said.act_fn == (act_fn if FORMS[type].source == "linear" else "linear")
    assert slot == Slot(first=(0, 1), last=(0, 2))
    h = torch.randn(5, D, generator=torch.Generator().manual_seed(9))
    act = torch.relu if act_fn == "relu" else (lambda x: x)
    assert torch.allclose(edit(h), expected(type, tensors, h, act), atol=1e-5)


def test_noreft_without_the_biases_that_pyreft_left_out(model: nn.Module, tmp_path: Path) -> None:
    for type in ("noreft", "nodireft"):
        tensors = tensors_of(type)
        del tensors["proj_layer.bias"]
        write_pyreft(tmp_path / type, [(0, "block_output", KINDS[type], tensors)])
        edit = import_pyreft(tmp_path / type, model, positions="l1").edits[0]
        h = torch.randn(5, D, generator=torch.Generator().manual_seed(9))
        assert torch.allclose(edit(h), expected(type, tensors, h), atol=1e-5)


def test_sets_of_parameters_go_where_pyreft_had_them(model: nn.Module, tmp_path: Path) -> None:
    seeds = [(0, 5), (1, 6), (0, 7), (1, 8)]  # prefixes of all layers first
    write_pyreft(tmp_path / "pyreft", [part(layer, seed=seed) for layer, seed in seeds])
    reft = import_pyreft(tmp_path / "pyreft", model, positions="f2+l3")
    assert [said.share for said in reft.interventions] == ["ends"]
    assert reft.interventions[0].layer == (0, 1)
    found = {
        (place.name, slot.first is not None): edit.source.bias.tolist()
        for place, slot, edit in zip(reft.places, reft.slots, reft.edits, strict=True)
    }
    assert found == {
        (f"layer {layer} block_output", seed < 7): tensors_of("loreft", seed)["learned_source.bias"].tolist()
        for layer, seed in seeds
    }


def test_sets_at_the_same_tokens_keep_their_order(model: nn.Module, tmp_path: Path) -> None:
    write_pyreft(tmp_path / "pyreft", [part(1, seed=5), part(0, seed=6), part(1, seed=7), part(0, "consreft", seed=8)])
    reft = import_pyreft(tmp_path / "pyreft", model, positions="f2+l3", share="all")
    at = [
        edit.source.bias.tolist() if edit.source else edit.constant.tolist()
        for place, edit in zip(reft.places, reft.edits, strict=True)
        if place.name.startswith("layer 1") or edit.method == "consreft"
    ]
    assert at == [
        tensors_of("loreft", 5)["learned_source.bias"].tolist(),
        tensors_of("loreft", 7)["learned_source.bias"].tolist(),
        tensors_of("consreft", 8)["learned_source"].tolist(),
    ]
    assert set(reft.slots) == {Slot((0, 2), (0, 3))}


def test_ranks_types_and_components_of_their_own(model: nn.Module, tmp_path: Path) -> None:
    path = "model.layers[0].mlp.down_proj.output"
    parts = [part(0, rank=2), part(1, "noreft", rank=4), part(0, component="query_output"), part(7, component=path)]
    write_pyreft(tmp_path / "pyreft", parts)
    reft = import_pyreft(tmp_path / "pyreft", model, positions="l1")
    assert [(edit.method, edit.rank) for edit in reft.edits] == [
        ("loreft", 2),
        ("noreft", 4),
        ("loreft", 3),
        ("loreft", 3),
    ]
    assert reft.places[3].module == "model.layers.0.mlp.down_proj"


@pytest.mark.parametrize(
    ("family", "component", "width", "module"),
    [
        ("llama", "mlp_activation", 24, "model.layers.1.mlp.act_fn"),
        ("llama", "mlp_output", D, "model.layers.1.mlp.down_proj"),
        ("gpt2", "mlp_activation", 64, "transformer.h.1.mlp.c_proj"),
        ("bert", "attention_output", D, "bert.encoder.layer.1.attention.output"),
        ("bert", "mlp_output", D, "bert.encoder.layer.1.output"),
    ],
)
def test_components_are_where_pyvene_has_them(
    family: str, component: str, width: int, module: str, tmp_path: Path
) -> None:
    write_pyreft(tmp_path / "pyreft", [part(1, component=component, width=width)])
    reft = import_pyreft(tmp_path / "pyreft", FAMILIES[family](), positions="f1")
    assert reft.places[0].module == module


def test_positions_have_to_be_said_and_share_where_it_cannot_be_told(model: nn.Module, tmp_path: Path) -> None:
    write_pyreft(tmp_path / "pyreft", [part(0), part(0, seed=1)])
    with pytest.raises(InputError, match=r"say positions='f7\+l7'"):
        import_pyreft(tmp_path / "pyreft", model)
    with pytest.raises(InputError, match="2 sets of parameters a place, and positions 'l2': say share='all'"):
        import_pyreft(tmp_path / "pyreft", model, positions="l2")
    assert len(import_pyreft(tmp_path / "pyreft", model, positions="l2", share="none").edits) == 2
    with pytest.raises(InputError, match=r"2 sets .* take 3"):
        import_pyreft(tmp_path / "pyreft", model, positions="l3", share="none")
    with pytest.raises(InputError, match="nearest: ends"):
        import_pyreft(tmp_path / "pyreft", model, positions="f1+l1", share="end")  # type: ignore[arg-type]


def test_an_r_of_bfloat16_is_moved_and_it_is_said(model: nn.Module, tmp_path: Path) -> None:
    tensors = tensors_of("loreft")
    rounded = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    write_pyreft(tmp_path / "pyreft", [part(0), (1, "block_output", "LoreftIntervention", rounded)])
    with pytest.warns(UserWarning, match=r"1 of 2 R .* at most by \d\.\de-0\d \(spectral norm, layer 1 block_output\)"):
        reft = import_pyreft(tmp_path / "pyreft", model, positions="l1")
    R = reft.edits[1].directions()
    assert torch.allclose(R.T @ R, torch.eye(3), atol=1e-5)
    U, _, Vh = torch.linalg.svd(rounded["rotate_layer.weight"].double(), full_matrices=False)
    assert torch.allclose(R.double(), U @ Vh, atol=1e-6)
    assert torch.equal(reft.edits[1].source.weight, rounded["learned_source.weight"].float())


def test_the_type_here_is_the_callers(folder: Path, model: nn.Module) -> None:
    reft = import_pyreft(folder, model, positions="l1", dtype="bfloat16", id="owner/name", revision="abc")
    assert {tensor.dtype for tensor in reft.state_dict().values()} == {torch.bfloat16}
    assert (reft.base.id, reft.base.revision) == ("owner/name", "abc")


def test_the_trainers_folder_and_safetensors_are_read(folder: Path, tmp_path: Path, model: nn.Module) -> None:
    (tmp_path / "trainer").mkdir()
    inside = folder.rename(tmp_path / "trainer" / "intervenable_model")
    [file] = inside.glob("*.bin")
    save_file(torch.load(file, weights_only=True), file.with_suffix(".safetensors"))
    file.unlink()
    reft = import_pyreft(tmp_path / "trainer", model, positions="l1")
    assert torch.equal(reft.edits[0].source.weight, tensors_of("loreft")["learned_source.weight"])


def test_weights_of_the_model_beside_them_are_said_to_stay_out(folder: Path, model: nn.Module) -> None:
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.warns(UserWarning, match="weights of the model itself"):
        import_pyreft(folder, model, positions="l1")


def test_the_command_makes_a_folder_of_ours(
    folder: Path, tmp_path: Path, model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model.save_pretrained(tmp_path / "model")
    torch.save({}, folder / "pytorch_model.bin")
    command = ["import", str(folder), str(tmp_path / "model"), str(tmp_path / "ours"), "--positions", "f1+l1"]
    assert main(command) == 0
    out, notes = capsys.readouterr()
    assert out.startswith("1 sets of parameters, 99 in all")
    assert "note: " in notes
    reft = load_reft(tmp_path / "ours")
    assert reft.base.id == str(tmp_path / "model")
    assert torch.equal(reft.edits[0].source.weight, tensors_of("loreft")["learned_source.weight"])
    assert main(command) == 1
    assert "not empty" in capsys.readouterr().err
    command[3] = str(tmp_path / "other")
    assert main([*command, "--share", "none"]) == 1
    assert "take 2" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
