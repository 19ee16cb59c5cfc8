"""What of pyreft's folders is refused, and in which words."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import FAMILIES
from pyreft_folders import part, tensors_of, write_pyreft
from torch import nn

from laser_lit.errors import InputError
from laser_lit.reft.pyreft import import_pyreft


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return FAMILIES["llama"]()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pyreft(tmp_path / "pyreft", [part(1)])
    return tmp_path / "pyreft"


def rewrite(folder: Path, change: Callable[[dict], object]) -> None:
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    change(content)
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")


def index(name: str) -> int:
    """Returns where a field of pyvene's RepresentationConfig stands."""
    names = ("layer", "component", "unit", "max_number_of_units", "low_rank_dimension", "intervention_type")
    return (*names, "intervention", "subspace_partition", "group_key", "intervention_link_key").index(name)


def setting(name: str, value: object) -> Callable[[dict], object]:
    return lambda content: content["representations"][0].__setitem__(index(name), value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(intervention_types=["<class 'pyvene.ZeroIntervention'>"]), "allowed: LoreftIntervention"),
        (lambda c: c.update(intervention_types=["<class 'x.LoreftIntervention2'>"]), "nearest: LoreftIntervention"),
        (lambda c: c.update(intervention_types=[]), "as long as each other"),
        (lambda c: c.pop("representations"), "two lists"),
        (lambda c: c.update(representations=[3]), "names no layer"),
        (setting("layer", None), "names no layer"),
        (setting("component", None), "names no layer"),
        (setting("layer", 0), r"no file intkey_layer_0_comp_block_output_unit_pos_nunit_1#0\.bin"),
        (setting("unit", "h.pos"), "only single tokens"),
        (setting("max_number_of_units", 2), "only single tokens"),
        (setting("subspace_partition", [[0, 1], [1, 3]]), "several subspaces"),
        (setting("intervention_link_key", 0), "parameters in common"),
        (setting("low_rank_dimension", 4), "rank 4"),
    ],
)
def test_what_cannot_be_imported_is_refused(
    change: Callable[[dict], object], words: str, folder: Path, model: nn.Module
) -> None:
    rewrite(folder, change)
    with pytest.raises(InputError, match=words):
        import_pyreft(folder, model, positions="l1")


def test_representations_by_name_are_read_too(folder: Path, model: nn.Module) -> None:
    rewrite(folder, lambda c: c.update(representations=[{"layer": 1, "component": "block_output"}]))
    assert import_pyreft(folder, model, positions="l1").places[0].name == "layer 1 block_output"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("bias"), r"needs a tensor learned_source\.bias; there is rotate_layer"),
        (lambda s: s.pop("rotate_layer"), "needs a tensor rotate_layer"),
        (lambda s: s.update(more=torch.zeros(1)), "has no tensor more"),
        (lambda s: s.update(more=3), "state dict of tensors"),
        (lambda s: s["weight"].fill_(float("nan")), "weight has entries that are not finite"),
        (lambda s: s.update(bias=torch.zeros(4)), "shapes that do not fit"),
        (lambda s: s.update(weight=torch.zeros(3, 15)), "shapes that do not fit"),
        (lambda s: s.update(rotate_layer=torch.zeros(16)), r"R is of shape \(16,\)"),
        (lambda s: s.update(rotate_layer=torch.zeros(2, 16)), r"R is of shape \(2, 16\)"),
    ],
)
def test_wrong_tensors_are_refused(
    change: Callable[[dict], object], words: str, folder: Path, model: nn.Module
) -> None:
    [file] = folder.glob("*.bin")
    state = torch.load(file, weights_only=True)
    change(state)
    torch.save(state, file)
    with pytest.raises(InputError, match=words):
        import_pyreft(folder, model, positions="l1")


class Evil:
    def __reduce__(self) -> tuple[Callable, tuple]:
        return Path.touch, (Path("evil"),)


@pytest.mark.parametrize("content", [b"", b"no pickle", Evil()])
def test_broken_and_evil_files_are_refused(
    content: object, folder: Path, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    [file] = folder.glob("*.bin")
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save({"weight": content}, file)
    with pytest.raises(InputError, match="cannot be read as a file of tensors alone"):
        import_pyreft(folder, model, positions="l1")
    assert not Path("evil").exists()


def test_files_that_nothing_speaks_of_are_refused(folder: Path, model: nn.Module) -> None:
    torch.save({}, folder / "intkey_layer_0_comp_block_output_unit_pos_nunit_1#0.bin")
    with pytest.raises(InputError, match="knows of no such intervention"):
        import_pyreft(folder, model, positions="l1")


def test_another_model_is_refused(folder: Path, tmp_path: Path, model: nn.Module) -> None:
    wide = [part(1, width=24)]
    write_pyreft(tmp_path / "wide", wide)
    with pytest.raises(InputError, match=r"16 wide here, and .* is for 24"):
        import_pyreft(tmp_path / "wide", model, positions="l1")
    write_pyreft(tmp_path / "deep", [part(5)])
    with pytest.raises(InputError, match="has 2 layers"):
        import_pyreft(tmp_path / "deep", model, positions="l1")
    write_pyreft(tmp_path / "head", [part(1, component="head_query_output")])
    with pytest.raises(InputError, match="nearest: query_output"):
        import_pyreft(tmp_path / "head", model, positions="l1")


def test_other_folders_are_refused(tmp_path: Path, model: nn.Module) -> None:
    with pytest.raises(InputError, match="no folder"):
        import_pyreft(tmp_path / "gone", model, positions="l1")
    with pytest.raises(InputError, match="no folder of pyreft"):
        import_pyreft(tmp_path, model, positions="l1")


def test_the_two_ends_must_be_of_one_kind(model: nn.Module, tmp_path: Path) -> None:
    write_pyreft(tmp_path / "pyreft", [part(0, rank=2), part(0, rank=3)])
    with pytest.raises(InputError, match=r"layer 0 block_output: 1 sets .* rank 2, .* take 2"):
        import_pyreft(tmp_path / "pyreft", model, positions="f1+l1")


@pytest.mark.parametrize("factor", [0.0, 0.9])
def test_an_r_that_decayed_is_refused(factor: float, model: nn.Module, tmp_path: Path) -> None:
    tensors = tensors_of("loreft")
    tensors["rotate_layer.weight"] = tensors["rotate_layer.weight"] * factor
    write_pyreft(tmp_path / "pyreft", [(0, "block_output", "LoreftIntervention", tensors)])
    with pytest.raises(InputError, match="weight decay"):
        import_pyreft(tmp_path / "pyreft", model, positions="l1")
