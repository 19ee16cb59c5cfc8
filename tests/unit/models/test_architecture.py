import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from families import FAMILIES, FAMILY_FILES
from torch import nn

from laser_lit.errors import InputError
from laser_lit.models.architecture import FOLDER, families, family_of, load_architecture
from laser_lit.models.matrices import MatrixId, find_matrices

OWN = """
model_types: [mystery]
layers: trunk.{layer}
tensors:
  - name: mix.weight
    holds: {k_proj: heads, q_proj: heads, v_proj: heads}
    interleaved_by: heads
  - {name: mlp.up, stored: [expert, in, out], holds: fc_in}
  - {name: "experts.{expert}.down", holds: fc_out}
"""


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(4, 12)
        self.mlp = nn.ParameterDict({"up": torch.randn(2, 4, 6)})
        self.experts = nn.ModuleList(nn.ParameterDict({"down": torch.randn(4, 6)}) for _ in range(2))


class Mystery(nn.Module):
    """A family that only the file above knows."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type="mystery", heads=2)
        self.trunk = nn.ModuleList(Block() for _ in range(3))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mystery.yaml"
    path.write_text(OWN)
    return path


def test_a_file_from_outside_the_package_works(own: Path) -> None:
    model = Mystery()
    matrices = find_matrices(model, architecture=own)
    assert matrices.architecture == "mystery"
    assert matrices.layers == {None: 3}
    weight = model.trunk[2].mix.weight
    assert torch.equal(matrices[MatrixId(2, "k_proj")].read(), weight[[0, 1, 6, 7]])
    assert torch.equal(matrices[MatrixId(2, "q_proj")].read(), weight[[2, 3, 8, 9]])
    assert torch.equal(matrices[MatrixId(1, "fc_in", expert=1)].read(), model.trunk[1].mlp["up"][1].T)
    assert torch.equal(matrices[MatrixId(1, "fc_out", expert=1)].read(), model.trunk[1].experts[1]["down"])
    assert matrices[MatrixId(1, "fc_out", expert=1)].name == "trunk.1.experts.1.down"
    assert find_matrices(model, architecture=str(own)).keys() == matrices.keys()


def test_a_prefix_may_be_on_disk_alone(own: Path) -> None:
    own.write_text(OWN + "disk_prefix: model.\n")
    handle = find_matrices(Mystery(), architecture=own)[MatrixId(2, "k_proj")]
    assert (handle.name, handle.disk_name) == ("trunk.2.mix.weight", "model.trunk.2.mix.weight")


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch.compile's own
def test_a_compiled_model_has_the_matrices_of_the_model(own: Path) -> None:
    model = Mystery()
    compiled = find_matrices(torch.compile(model), architecture=own)
    assert compiled[MatrixId(2, "k_proj")].parameter is model.trunk[2].mix.weight
    assert compiled[MatrixId(2, "k_proj")].name == "trunk.2.mix.weight"


def test_a_missing_config_field_is_named(own: Path) -> None:
    model = Mystery()
    model.config.heads = None
    with pytest.raises(InputError, match=r"needs config.heads to be a positive whole number; it is None"):
        find_matrices(model, architecture=own)


def test_every_packaged_file_is_tested_and_read() -> None:
    tested = {FAMILY_FILES.get(name, name) for name in FAMILIES}
    assert set(families()) == tested
    assert family_of("gptj") is load_architecture("gptj")
    assert family_of("mystery") is family_of(None) is None


def test_no_model_type_has_two_files() -> None:
    types = [kind for family in families().values() for kind in family.model_types]
    assert len(types) == len(set(types))


def test_every_packaged_file_says_what_it_is_about() -> None:
    for path in FOLDER.glob("*.yaml"):
        assert path.read_text(encoding="utf-8").startswith("# "), path.name


def test_layouts_need_no_model() -> None:
    place = next(entry for entry in load_architecture("falcon").entries("q_proj") if entry.applies({})).disk
    layout = place.layout({"num_attention_heads": 2})
    stored = torch.arange(12.0).view(12, 1)
    assert layout.matrix(stored).flatten().tolist() == [0, 1, 6, 7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": "trunk"}, r"`layers` of the file must be a name with one \{layer\}"),
        ({"tensors": []}, r"`tensors` of the file must be a list"),
        ({"tensors": [{"holds": "fc_in"}]}, r"each tensor needs a `name`"),
        ({"tensors": [{"name": "a"}]}, r"`holds` of a must be a mapping; got None"),
        (
            {"tensors": [{"name": "a", "holds": "fc_inn"}]},
            r"unknown key in `holds` of a of .* 'fc_inn'; nearest: fc_in",
        ),
        ({"tensors": [{"name": "a", "holds": {}}]}, r"`holds` of a needs a whole number"),
        ({"tensors": [{"name": "a", "holds": {"fc_in": [2]}}]}, r"`holds` of a needs a whole number"),
        ({"tensors": [{"name": "a", "holds": "fc_in", "stored": ["in"]}]}, r"`stored` of a is \['in'\]; allowed: "),
        ({"tensors": [{"name": "a", "holds": "fc_in", "transposed": True}]}, r"unknown key in a tensor .*'transposed'"),
        ({"tensors": [{"name": "a", "holds": "fc_in", "disk": {"fc_up": "b"}}]}, r"`disk` gives no name for fc_in"),
        ({"tensors": [{"name": "a", "holds": "fc_in", "disk": 3}]}, r"`disk` must be a mapping"),
        ({"tensors": [{"name": "a", "holds": "fc_in", "when": 3}]}, r"`when` of a must be a mapping"),
        ({"tensors": ["a"]}, r"a tensor must be a mapping; got 'a'"),
        ({"layer": "x"}, r"unknown key in the file .* 'layer'; nearest: layers"),
        ({"parts": {}}, r"needs either `tensors` \(with `layers`\) or `parts`"),
        ({"like": "lama"}, r"`like` names lama, which is not among the package's families"),
    ],
)
def test_a_malformed_file_names_the_place(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(OWN) | change))
    with pytest.raises(InputError, match=message) as caught:
        load_architecture(path)
    assert str(path) in str(caught.value)


def test_files_that_are_no_yaml_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("layers: [")
    with pytest.raises(InputError, match=rf"{re.escape(str(path))} is not YAML: "):
        load_architecture(path)
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="is not"):
        load_architecture(path)
    path.write_text("- a\n- b\n")
    with pytest.raises(InputError, match="the file must be a mapping"):
        load_architecture(path)
    with pytest.raises(InputError, match="no architecture file at "):
        load_architecture(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="unknown architecture 'lama'; nearest: llama"):
        load_architecture("lama")
