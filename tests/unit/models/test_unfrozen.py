"""Lists of what trains: as Spectrum and axolotl write them, and what is wrong with others."""

import pytest
from families import FAMILIES

from laser_lit.errors import InputError
from laser_lit.models.unfrozen import freeze_except, matched, read_unfrozen

NAMES = [f"model.layers.{i}.mlp.{name}_proj.weight" for i in range(12) for name in ("up", "down")]


def write(folder, text):
    file = folder / "unfrozen.yaml"
    file.write_text(text)
    return file


@pytest.mark.reference
def test_spectrums_own_file(shared):
    folder = shared / "reference" / "rmt"
    patterns = read_unfrozen(folder / "snr_results_tinystories-260k_unfrozenparameters_25percent.yaml")
    assert len(patterns) == 9
    assert patterns[0] == "model.layers.0.input_layernorm"
    half = read_unfrozen(folder / "snr_results_tinystories-260k_unfrozenparameters_50percent.yaml")
    assert set(patterns) < set(half)


def test_comments_repeats_and_the_other_keys_of_an_axolotl_config(tmp_path):
    text = "base_model: x\nunfrozen_parameters:\n# norms\n- ^lm_head.weight$\n- model.norm\n- model.norm\nseed: 1\n"
    assert read_unfrozen(write(tmp_path, text)) == ("^lm_head.weight$", "model.norm")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "no list 'unfrozen_parameters'"),
        ("unfrozen: [a]\n", "no list 'unfrozen_parameters'"),
        ("unfrozen_parameters: model.norm\n", "is a str, not a list"),
        ("unfrozen_parameters:\n# nothing\n", "is empty"),
        ("unfrozen_parameters: []\n", "is empty"),
        ("unfrozen_parameters: [3]\n", "3 in unfrozen_parameters is not the name"),
        ("unfrozen_parameters: ['']\n", "'' in unfrozen_parameters is not the name"),
        ("unfrozen_parameters: ['model.(norm']\n", r"'model.\(norm' is no regular expression: missing \)"),
        ("unfrozen_parameters: ['^lm_head.weight$[:32000]']\n", r"write '\^lm_head.weight\$'"),
        ("unfrozen_parameters: [a\n", "is not YAML"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read_unfrozen(write(tmp_path, text))
    assert "unfrozen.yaml" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        read_unfrozen(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("pattern", "layers"),
    [
        ("model.layers.1", {1}),
        ("model.layers.1.", {1}),
        ("model.layers.1.mlp.up_proj", {1}),
        ("model.layers.1.mlp.u", {1}),
        ("model.layers.1[0-9]", {10, 11}),
        ("model.layers.[0-9]+.mlp.up_proj.weight$", set(range(12))),
        (r"model\.layers\.3\.mlp", {3}),
        ("model.layers.(2|4).+up", {2, 4}),
        ("layers.1", set()),
        ("model.layers.*.mlp", set()),
        ("model_layers", set()),
    ],
)
def test_patterns_begin_at_the_beginning_and_dots_are_dots(pattern, layers):
    assert {int(name.split(".")[2]) for name in matched(pattern, NAMES)} == layers


def test_an_exact_name_is_that_module_alone():
    assert matched("model.layers.1.mlp.up_proj", NAMES) == ["model.layers.1.mlp.up_proj.weight"]
    assert matched("model.layers.1.mlp.up_proj.weight", NAMES) == ["model.layers.1.mlp.up_proj.weight"]


def test_parameters_are_frozen_but_for_the_list():
    model = FAMILIES["llama"]()
    found = freeze_except(model, ["model.layers.1.mlp", "^model.norm"])
    assert found.names == (
        *(f"model.layers.1.mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
        "model.norm.weight",
    )
    assert found.names == tuple(name for name, weight in model.named_parameters() if weight.requires_grad)
    assert found.trained == 3 * 16 * 24 + 16
    assert found.total == sum(weight.numel() for weight in model.parameters())
    assert found.shared == ()


def test_no_list_trains_everything():
    model = FAMILIES["llama"]()
    model.requires_grad_(False)
    found = freeze_except(model, None)
    assert found.trained == found.total
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("name", ["lm_head", "transformer.wte"])
def test_tied_weights_train_under_either_name(name):
    model = FAMILIES["gpt2"]()
    found = freeze_except(model, [name])
    assert found.names == ("transformer.wte.weight",)
    assert found.shared == (("transformer.wte.weight", "lm_head.weight"),)
    assert model.lm_head.weight.requires_grad
    assert found.trained == model.lm_head.weight.numel()
    assert sum(weight.requires_grad for weight in model.parameters()) == 1


def test_a_pattern_without_a_match_is_named_with_what_is_near():
    model = FAMILIES["llama"]()
    with pytest.raises(
        InputError, match=r"'model\.layers\.1\.mlp\.up_prj' in unfrozen_parameters matches no param"
    ) as e:
        freeze_except(model, ["model.norm", "model.layers.1.mlp.up_prj"])
    assert "nearest: model.layers.1.mlp.up_proj" in str(e.value)
    with pytest.raises(InputError, match=r"nearest: model\.layers\.0\.mlp\.up_proj"):
        freeze_except(model, ["0.mlp.up_proj"])
    assert all(weight.requires_grad for weight in model.parameters()), "an error changes nothing"


def test_the_prefix_of_the_base_model_may_be_left_out():
    model = FAMILIES["gpt2"]()
    assert freeze_except(model, ["h.1.ln_1"]).names == ("transformer.h.1.ln_1.weight", "transformer.h.1.ln_1.bias")


def test_stacked_experts_train_together():
    model = FAMILIES["mixtral"]()
    found = freeze_except(model, ["model.layers.0.mlp.experts"])
    assert found.names == ("model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.experts.down_proj")
