import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import FAMILIES
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.reft.basis import OrthonormalBasis
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.methods import DTYPES, FORMS
from laser_lit.reft.reft import Reft
from laser_lit.reft.saving import load_reft, read_extra, save_reft

IDS = torch.tensor([[5, 9, 3, 8, 2, 7], [4, 4, 1, 6, 3, 9]])


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return FAMILIES["llama"]()


@pytest.fixture
def saved(model: nn.Module, tmp_path: Path) -> Path:
    save_reft(Reft.on(model, [Intervention(layer=1, rank=2)]), tmp_path / "saved")
    return tmp_path / "saved"


def train(reft: Reft, model: nn.Module, steps: int) -> None:
    """Trains with an optimizer without state, so that a break is nothing but the parameters' bits."""
    optimizer = torch.optim.SGD(reft.train().parameters(), lr=0.5)
    with reft.attached(model):
        for _ in range(steps):
            optimizer.zero_grad()
            model(input_ids=IDS, labels=IDS).loss.backward()
            optimizer.step()


def bits(reft: Reft) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in reft.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.dtype == other[name].dtype, name
        assert torch.equal(tensor, other[name]), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", FORMS)
def test_every_bit_comes_back_and_training_goes_on_as_without_a_break(
    method: str, dtype: str, model: nn.Module, tmp_path: Path
) -> None:
    said = Intervention(layer="all", type=method, rank=3, positions="f1+l2", share="ends", dtype=dtype)
    reft = Reft.on(model, [said], seed=3, id="owner/name", revision="abc")
    before = bits(reft)
    train(reft, model, 2)
    assert any(not torch.equal(tensor, reft.state_dict()[name]) for name, tensor in before.items())
    save_reft(reft, tmp_path / "saved")
    loaded = load_reft(tmp_path / "saved")
    assert not loaded.training
    assert_same(bits(loaded), bits(reft))
    assert (loaded.interventions, loaded.base, loaded.places, loaded.slots, loaded.origins) == (
        reft.interventions,
        reft.base,
        reft.places,
        reft.slots,
        reft.origins,
    )
    with torch.no_grad(), reft.eval().attached(model):
        expected = model(input_ids=IDS).logits
    with torch.no_grad(), loaded.attached(model):
        assert torch.equal(model(input_ids=IDS).logits, expected)
    train(reft, model, 3)
    train(loaded, model, 3)
    assert_same(bits(loaded), bits(reft))


def test_what_was_said_comes_back(tmp_path: Path) -> None:
    model = FAMILIES["gpt2"]()  # with a fused projection, so that a place has rows
    said = [
        Intervention(layer=(0, -1), component="key_output", type="noreft", rank=2, act_fn="gelu", bias=False),
        Intervention(component="transformer.h.1.mlp.output", type="consreft", rank=1, dropout=0.25, positions="f2"),
        Intervention(layer=0, component="key_output", rank=1, positions="f1+l1", share="none"),
    ]
    reft = Reft.on(model, said)
    save_reft(reft, tmp_path / "saved", extra={"seed": 4, "names": ["a", "ß"]})
    loaded = load_reft(tmp_path / "saved")
    assert loaded.interventions == tuple(said)
    assert loaded.places == reft.places
    assert loaded.places[0].rows is not None
    assert loaded.slots == reft.slots
    assert loaded.origins == [0, 0, 1, 2, 2]
    assert [edit.dropout for edit in loaded.edits] == [0, 0, 0.25, 0, 0]
    assert read_extra(tmp_path / "saved") == {"seed": 4, "names": ["a", "ß"]}


def test_another_type_than_was_said_is_kept(model: nn.Module, tmp_path: Path) -> None:
    reft = Reft.on(model, [Intervention(layer=0)]).double()
    save_reft(reft, tmp_path / "saved")
    assert_same(bits(load_reft(tmp_path / "saved")), bits(reft))


def test_a_basis_in_given_coordinates_comes_back(model: nn.Module, tmp_path: Path) -> None:
    reft = Reft.on(model, [Intervention(layer=0, rank=2)])
    Q = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0))).Q
    reft.edits[0].basis = OrthonormalBasis.of(Q[:, :2], Q)
    save_reft(reft, tmp_path / "saved")
    loaded = load_reft(tmp_path / "saved")
    assert loaded.edits[0].basis.base.shape == (16, 16)
    train(reft, model, 2)
    train(loaded, model, 2)
    assert_same(bits(loaded), bits(reft))


def test_the_parameters_train_after_loading(saved: Path) -> None:
    reft = load_reft(saved)
    assert all(parameter.requires_grad for parameter in reft.parameters())
    assert reft.parameter_count == 2 * 16 + 2 * 16 + 2


def test_another_architecture_is_refused(saved: Path) -> None:
    with pytest.raises(InputError, match="made for"):
        load_reft(saved).attach(FAMILIES["gpt2"]())


def test_the_folder_has_three_files_and_the_card_says_how(model: nn.Module, tmp_path: Path) -> None:
    reft = Reft.on(model, [Intervention(layer=(0, 1), rank=2, positions="f1+l1")], id="owner/name", revision="abc")
    save_reft(reft, tmp_path / "saved")
    names = sorted(file.name for file in (tmp_path / "saved").iterdir())
    assert names == ["README.md", "reft.json", "reft.safetensors"]
    card = (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")
    assert "base_model: owner/name" in card
    assert 'load_model("owner/name", revision="abc")' in card
    assert f"{reft.parameter_count} parameters" in card
    assert "| 0, 1 | `block_output` | loreft | 2 | f1+l1 | all |" in card


@pytest.mark.parametrize("relative", [False, True])
def test_the_card_of_a_folder_keeps_its_path_private(
    relative: bool, model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)  # where the folder's name reads like an id of the hub
    save_reft(
        Reft.on(model, [Intervention(layer=0)], id=tmp_path.name if relative else str(tmp_path)), tmp_path / "saved"
    )
    card = (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")
    assert "base_model" not in card
    assert str(tmp_path) not in card


def test_nothing_is_written_over(saved: Path, model: nn.Module) -> None:
    before = (saved / "reft.safetensors").read_bytes()
    with pytest.raises(InputError, match="not empty"):
        save_reft(Reft.on(model, [Intervention(layer=0)], seed=1), saved)
    assert (saved / "reft.safetensors").read_bytes() == before


def test_what_fails_leaves_nothing_behind(model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("laser_lit.reft.saving.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_reft(Reft.on(model, [Intervention(layer=0)]), tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_a_diverged_parameter_is_not_saved(model: nn.Module, tmp_path: Path) -> None:
    reft = Reft.on(model, [Intervention(layer=0)])
    with torch.no_grad():
        reft.edits[0].source.bias[1] = float("nan")
    with pytest.raises(InputError, match=r"edits.0.source.bias .*nothing was written"):
        save_reft(reft, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extra", [{"a": {1, 2}}, {"a": float("nan")}])
def test_extra_that_is_no_json_is_refused(extra: dict[str, object], model: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="JSON"):
        save_reft(Reft.on(model, [Intervention(layer=0)]), tmp_path / "saved", extra)


def test_the_files_of_other_programs_are_called_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder .*gone"):
        load_reft(tmp_path / "gone")
    for name, words in (
        ("empty.txt", "has no reft.json"),
        ("config.json", "is a model's folder"),
        ("intkey_layer_2_comp_block_output_unit_pos_nunit_1#0.bin", "pyreft: import_pyreft"),
        ("adapter_config.json", "PEFT"),
    ):
        (tmp_path / name).write_text("{}", encoding="utf-8")
        with pytest.raises(InputError, match=words):
            load_reft(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        load_reft(tmp_path / "config.json")
    (tmp_path / "UNFINISHED").touch()
    with pytest.raises(InputError, match="half-written"):
        load_reft(tmp_path)


Change = Callable[[dict], object]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(schema=2), "schema 2, and this laser_lit reads 1"),
        (lambda c: c.pop("schema"), "schema None"),
        (lambda c: c.pop("edits"), "lacks 'edits'"),
        (lambda c: c.update(interventions=3), "does not describe"),
        (lambda c: c["interventions"][0].update(typ="loreft"), "nearest: type"),
        (lambda c: c["interventions"][0].update(type="loreftt"), "nearest: loreft"),
        (lambda c: c["interventions"][0].update(rank="2"), "does not describe"),
        (lambda c: c["interventions"][0].update(positions="f1"), "none of positions f1"),
        (lambda c: c["interventions"][0].update(rank=3), "edits.0"),
        (lambda c: c["edits"][0].update(intervention=4), "does not describe"),
        (lambda c: c["edits"][0]["place"].update(side="middle"), "no place"),
        (lambda c: c["edits"][0]["place"].update(size="16"), "no place"),
        (lambda c: c["edits"][0]["place"].update(size=15), r"edits\.0"),
        (lambda c: c["edits"][0]["place"].pop("module"), "does not describe"),
        (lambda c: c["edits"].append(c["edits"][0]), r"lacks the tensor edits\.1"),
        (lambda c: c["edits"].clear(), r"a tensor edits\.0"),
        (lambda c: c["base"].pop("layers"), "does not describe"),
    ],
)
def test_a_wrong_description_is_refused(change: Change, words: str, saved: Path) -> None:
    content = json.loads((saved / "reft.json").read_text(encoding="utf-8"))
    change(content)
    (saved / "reft.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=words) as caught:
        load_reft(saved)
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff"])
def test_a_broken_description_is_refused(text: str, saved: Path) -> None:
    (saved / "reft.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"reft\.json"):
        load_reft(saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("edits.0.source.bias"), r"lacks the tensor edits\.0\.source\.bias"),
        (lambda t: t.update(more=torch.zeros(2)), "a tensor more"),
        (lambda t: t.update({"edits.0.source.bias": torch.zeros(3)}), r"shape \(3,\), and reft.json wants \(2,\)"),
        (lambda t: t.update({"edits.0.basis.base": torch.zeros(15, 2)}), "make no basis"),
        (lambda t: t.update({"edits.0.basis.base": torch.zeros(16, 1)}), "make no basis"),
        (lambda t: t.update({"edits.0.basis.signs": torch.ones(1)}), "make no basis"),
        (lambda t: t.update({"edits.0.basis.signs": torch.tensor([1.0, 0.5])}), "make no basis"),
        (lambda t: t["edits.0.source.weight"].fill_(float("inf")), "not finite"),
        (lambda t: t["edits.0.basis.weight"].fill_(float("nan")), "not finite"),
        (lambda t: t.update({"edits.0.source.bias": torch.zeros(2, dtype=torch.long)}), "not finite numbers"),
    ],
)
def test_wrong_tensors_are_refused(change: Callable[[dict], object], words: str, saved: Path) -> None:
    tensors = load_file(saved / "reft.safetensors")
    change(tensors)
    save_file(tensors, saved / "reft.safetensors")
    with pytest.raises(InputError, match=words):
        load_reft(saved)


@pytest.mark.parametrize("left", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(left: int, saved: Path) -> None:
    file = saved / "reft.safetensors"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(InputError, match="missing or broken"):
        load_reft(saved)
    file.unlink()
    with pytest.raises(InputError, match="missing or broken"):
        load_reft(saved)
