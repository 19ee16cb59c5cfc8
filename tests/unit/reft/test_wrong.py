"""What cannot be meant is refused before anything runs, by an error that says what is allowed."""

from typing import Any

import pytest
import torch
from families import FAMILIES, GROUPED, build
from interventions import hooks_of, strong, tokens
from torch import nn

from laser_lit.errors import InputError
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.reft import Reft


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return FAMILIES["llama"]()


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"type": "lorefft"}, r"unknown type of intervention 'lorefft'; nearest: loreft.*; allowed: loreft, noreft, cons"),
    ({"rank": 0}, "rank 0: must be a whole number, at least 1"),
    ({"rank": 2.5}, "rank 2.5: must be a whole number, at least 1"),
    ({"rank": True}, "rank True: must be a whole number, at least 1"),
    ({"rank": "four"}, "rank 'four': must be a whole number, at least 1"),
    ({"act_fn": "rellu"}, r"unknown act_fn 'rellu'; nearest: .*relu.*; allowed: linear"),
    ({"act_fn": "relu", "type": "consreft"}, "act_fn 'relu': consreft has no linear source"),
    ({"dropout": 1.0}, r"dropout 1.0: must lie in \[0, 1\)"),
    ({"dropout": -0.1}, r"dropout -0.1: must lie in \[0, 1\)"),
    ({"dropout": float("nan")}, r"dropout nan: must lie in \[0, 1\)"),
    ({"dtype": "float64"}, "unknown dtype of an intervention 'float64'; .*allowed: float32, bfloat16, float16"),
    ({"bias": False}, "bias false: only noreft and nodireft may be without one, not loreft"),
    ({"positions": "first"}, r"positions 'first': must be like f7\+l7"),
    ({"positions": "f0"}, r"positions 'f0': must be like f7\+l7"),
    ({"share": "each"}, "unknown share 'each'; .*allowed: all, ends, none"),
]


@pytest.mark.parametrize(("values", "message"), SETTINGS, ids=[str(values) for values, _ in SETTINGS])
def test_settings_that_cannot_be_meant(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Intervention(**({"layer": 0} | values))
    with pytest.raises(InputError, match=message):
        Intervention.of({"layer": 0} | values, "reft.interventions[0]")


def test_an_unknown_field() -> None:
    with pytest.raises(InputError, match=r"unknown field of an intervention in here 'ranks'; nearest: rank"):
        Intervention.of({"ranks": 4}, "here")


PLACES: list[tuple[dict[str, Any], str]] = [
    ({"component": "block_outputs"}, r"unknown component 'block_outputs'; nearest: block_output.*as in model\.layers"),
    ({"component": "model.layers.0.mlp", "layer": None}, r"unknown component 'model.layers.0.mlp'; .*a module's path"),
    (
        {"component": "model.layers.7.mlp.output", "layer": None},
        r"unknown module .*; nearest: (\S+, ){2}\S+; allowed: \d+ names;",
    ),
    ({"component": "model.layers.0.mlp.output"}, "is a path of its own, so layer 0 would count for nothing"),
    ({"component": "model.embed_tokens.input", "layer": None}, "no hidden states .* pass there"),
    ({"layer": None}, "component block_output: needs a layer, an index, a list or all"),
    ({"layer": 2}, "reft layer 2: llama here has 2 layers; give 0 to 1, a negative index from the end, a list, or all"),
    ({"layer": -3}, "reft layer -3: llama here has 2 layers"),
    ({"layer": "last"}, "reft layer 'last': llama here has 2 layers"),
    ({"layer": "--1"}, "reft layer '--1': llama here has 2 layers"),
    ({"layer": 0.5}, "reft layer 0.5: llama here has 2 layers"),
    ({"layer": (0, 9)}, "reft layer 9: llama here has 2 layers"),
    ({"layer": ()}, r"reft layer \(\): llama here has 2 layers"),
    ({"rank": 17}, r"layer 0 block_output: rank 17: must lie in \[1, 16\], the size of the states"),
    ({"rank": 9, "component": "key_output"}, r"layer 0 key_output: rank 9: must lie in \[1, 8\]"),
]


@pytest.mark.parametrize(("values", "message"), PLACES, ids=[str(values) for values, _ in PLACES])
def test_places_that_a_model_does_not_have(model: nn.Module, values: dict[str, Any], message: str) -> None:
    before = hooks_of(model)
    with pytest.raises(InputError, match=message):
        Reft.on(model, [Intervention(**({"layer": 0} | values))])
    assert hooks_of(model) == before


def test_no_interventions(model: nn.Module) -> None:
    with pytest.raises(InputError, match="no interventions: give at least one"):
        Reft.on(model, [])


def test_layers_by_every_way_of_writing(model: nn.Module) -> None:
    def places(layer: object) -> list[str]:
        return [place.name for place in Reft.on(model, [Intervention(layer=layer, rank=1)]).places]

    both = ["layer 0 block_output", "layer 1 block_output"]
    assert places("all") == places([0, 1]) == places((0, -1)) == places((0, 1, -1)) == both
    assert places(-1) == places("1") == places("-1") == both[1:]


@pytest.mark.parametrize("path", ["model.layers[1].mlp.down_proj.output", "model.layers.1.mlp.down_proj.output"])
def test_a_path_is_as_its_component(model: nn.Module, path: str) -> None:
    by_path = strong(model, layer=None, component=path)
    by_name = strong(model, layer=1, component="mlp_output")
    assert by_path.places[0].module == by_name.places[0].module
    with by_path.attached(model), torch.no_grad():
        found = model(input_ids=tokens()).logits
    with by_name.attached(model), torch.no_grad():
        assert torch.equal(model(input_ids=tokens()).logits, found)


def test_a_path_that_passes_other_states(model: nn.Module) -> None:
    reft = strong(model, layer=None, component="lm_head.output")
    assert reft.places[0].size == 64
    with reft.attached(model), pytest.raises(InputError, match=r"lm_head.output: hidden states of shape \(2, 1, 64\)"):
        model(input_ids=tokens(), logits_to_keep=1)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: FAMILIES["mistral"](), "llama, 2 layers of size 16.*mistral, 2 layers of size 16"),
        (lambda: build("LlamaForCausalLM", "LlamaConfig", **GROUPED | {"num_hidden_layers": 3}), "llama, 3 layers of"),
        (lambda: build("LlamaForCausalLM", "LlamaConfig", **GROUPED | {"hidden_size": 32}), "2 layers of size 32"),
        (lambda: FAMILIES["gpt2"](), "it has no model.layers.0: attach them to the model they were trained on"),
        (lambda: FAMILIES["vit"](), "reads pixel_values"),
    ],
    ids=["family", "layers", "size", "modules", "pixels"],
)
def test_another_architecture(model: nn.Module, other: Any, words: str) -> None:
    reft, another = strong(model), other()
    before = hooks_of(another)
    with pytest.raises(InputError, match=words):
        reft.attach(another)
    assert hooks_of(another) == before
    assert "generate" not in vars(another)


def test_the_same_architecture_with_other_widths(model: nn.Module) -> None:
    another = build("LlamaForCausalLM", "LlamaConfig", **GROUPED | {"intermediate_size": 40})
    before = hooks_of(another)
    strong(model).attach(another).detach()  # all that these work at is as wide there
    with pytest.raises(InputError, match=r"layer 0 mlp_activation has 40 entries in this model.* made for \d+ .*"):
        strong(model, component="mlp_activation").attach(another)
    assert hooks_of(another) == before


def test_a_module_that_is_not_there_leaves_no_hooks(model: nn.Module) -> None:
    """The same architecture without its head: its paths are others."""
    reft, before = strong(model), hooks_of(model)
    with pytest.raises(InputError, match=r"it has no model\.layers\.0"):
        reft.attach(model.base_model)
    assert hooks_of(model) == before
