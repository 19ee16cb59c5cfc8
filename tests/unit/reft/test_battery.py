"""Every component of every family: edited exactly there, and off again without a trace."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from families import FAMILIES, inputs_of
from interventions import hooks_of, strong, strong_ones
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixHandle, MatrixMap, find_matrices
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.places import COMPONENTS, Places
from laser_lit.reft.reft import Reft

NOT_TOKENS = ("vit", "decision_transformer")
READING = [name for name in FAMILIES if name not in NOT_TOKENS]
EXPERTS = {"mixtral": (0, 1), "qwen3_moe": (1,)}
"""Layers with a mixture of experts."""
WHOLE = {
    "attention_input": (("q_proj", "k_proj", "v_proj"), "input"),
    "attention_value_output": (("out_proj",), "input"),
    "attention_output": (("out_proj",), "output"),
    "mlp_input": (("fc_in", "fc_up"), "input"),
    "mlp_activation": (("fc_out",), "input"),
    "mlp_output": (("fc_out",), "output"),
}
"""Component -> the matrices whose modules read it, or the one whose module makes it."""


@pytest.fixture(scope="module", params=READING)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(family: str) -> nn.Module:
    return FAMILIES[family]()


@pytest.fixture(scope="module")
def matrices(model: nn.Module) -> MatrixMap:
    return find_matrices(model)


def logits_of(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(**inputs_of(model)).logits


def by_hand(model: nn.Module, modules: list[nn.Module], side: str, edit: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns the logits where modules' inputs or outputs are edited at the first and the last token of each row."""
    chosen = torch.zeros(2, 7, dtype=torch.bool)
    chosen[:, [0, 6]] = True

    def changed(states: Tensor) -> Tensor:
        if states.shape[:-1] not in ((2, 7), (14,)):  # relative positions pass there too
            return states
        states, at = states.clone(), chosen.reshape(states.shape[:-1])
        states[at] = edit(states[at])
        return states

    def enters(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        if args:
            return (changed(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": changed(kwargs["hidden_states"])}

    def leaves(_: nn.Module, args: tuple[Any, ...], output: Any) -> object:
        return (changed(output[0]), *output[1:]) if isinstance(output, tuple) else changed(output)

    handles = [
        module.register_forward_pre_hook(enters, with_kwargs=True)
        if side == "input"
        else module.register_forward_hook(leaves)
        for module in dict.fromkeys(modules)
    ]
    try:
        return logits_of(model)
    finally:
        for handle in handles:
            handle.remove()


def handles_of(matrices: MatrixMap, layer: int, *names: str) -> list[MatrixHandle]:
    part = "encoder" if "encoder" in matrices.layers else None
    return [h for id, h in matrices.items() if (id.layer, id.part) == (layer, part) and id.matrix in names]


def owner_of(model: nn.Module, handle: MatrixHandle) -> nn.Module:
    return model.get_submodule(handle.name.rpartition(".")[0])


def block_of(handle: MatrixHandle) -> str:
    found = re.match(rf".*?\.{handle.id.layer}(?=\.)", handle.name)
    assert found is not None
    return found.group()


def rows_of(handle: MatrixHandle) -> Tensor:
    """Returns which outputs of its module are a matrix's: those that writing it changes."""
    weight, before = handle.parameter.data, handle.parameter.detach().clone()
    handle.write(torch.full(handle.shape, 1e4))
    found = (weight != before).all(handle.layout.axes.index("in")).nonzero().flatten()
    weight.copy_(before)
    return found


def assert_same(model: nn.Module, reft: Reft, expected: Tensor) -> None:
    plain = logits_of(model)
    with reft.attached(model):
        found = logits_of(model)
    assert (found - plain).abs().max() > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("component", ["query_output", "key_output", "value_output"])
def test_projections_are_edited_where_their_matrix_stands(
    family: str, model: nn.Module, matrices: MatrixMap, component: str, layer: int
) -> None:
    [handle] = handles_of(matrices, layer, component[0] + "_proj")
    said = {"layer": layer, "component": component, "positions": "f1+l1"}
    if family == "deberta_v2" and component != "value_output":
        with pytest.raises(InputError, match=f"layer {layer} {component}: the same projection makes relative pos"):
            strong(model, **said)
        return
    reft = strong(model, **said)
    [edit], rows = reft.edits, rows_of(handle)
    assert len(rows) == edit.size == handle.shape[0]

    def on_rows(states: Tensor) -> Tensor:
        states[:, rows] = edit(states[:, rows])
        return states

    assert_same(model, reft, by_hand(model, [owner_of(model, handle)], "output", on_rows))


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("component", WHOLE)
def test_states_are_edited_where_their_matrices_stand(
    family: str, model: nn.Module, matrices: MatrixMap, component: str, layer: int
) -> None:
    names, side = WHOLE[component]
    if component.startswith("mlp") and layer in EXPERTS.get(family, ()):
        return
    handles = handles_of(matrices, layer, *names)
    reft = strong(model, layer=layer, component=component, positions="f1+l1")
    [edit] = reft.edits
    assert edit.size == handles[0].shape[side == "input"]
    assert_same(model, reft, by_hand(model, [owner_of(model, handle) for handle in handles], side, edit))


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("side", ["input", "output"])
def test_blocks_are_edited(model: nn.Module, matrices: MatrixMap, side: str, layer: int) -> None:
    reft = strong(model, layer=layer, component=f"block_{side}", positions="f1+l1")
    block = model.get_submodule(block_of(handles_of(matrices, layer, "q_proj")[0]))
    assert_same(model, reft, by_hand(model, [block], side, reft.edits[0]))


@pytest.mark.parametrize(("family", "layer"), [(name, layer) for name, layers in EXPERTS.items() for layer in layers])
def test_mixtures_of_experts(family: str, layer: int) -> None:
    model = FAMILIES[family]()
    for side in ("input", "output"):
        reft = strong(model, layer=layer, component=f"mlp_{side}", positions="f1+l1")
        assert_same(model, reft, by_hand(model, [model.model.layers[layer].mlp], side, reft.edits[0]))
    with pytest.raises(InputError, match=f"layer {layer} mlp_activation: .*take mlp_output"):
        strong(model, layer=layer, component="mlp_activation")


def test_all_at_once_and_off_again(family: str, model: nn.Module) -> None:
    refused = {"mlp_activation"} if family in EXPERTS else set()
    refused |= {"query_output", "key_output"} if family == "deberta_v2" else set()
    said = [Intervention("all", name, rank=1, positions="f2+l1") for name in COMPONENTS if name not in refused]
    reft, fired = strong_ones(model, *said), []
    assert len(reft.edits) == 2 * len(said)
    block = model.get_submodule(Places(model, find_matrices(model)).find("block_output", 1).module)
    mine = [
        model.register_forward_pre_hook(lambda *_: fired.append("model, before")),
        block.register_forward_pre_hook(lambda *_: fired.append("block, before")),
        block.register_forward_hook(lambda *_: fired.append("block, after")),
        model.register_forward_hook(lambda *_: fired.append("model, after")),
    ]
    plain, before, own = logits_of(model), hooks_of(model), getattr(model, "generate", None)
    whole = list(fired)
    with reft.attached(model):
        assert not torch.allclose(logits_of(model), plain, atol=1e-3)
    assert fired == 2 * whole
    assert hooks_of(model) == before
    assert "generate" not in vars(model)
    assert getattr(model, "generate", None) == own
    assert torch.equal(logits_of(model), plain)
    assert fired == 3 * whole
    for handle in mine:
        handle.remove()


def test_the_base_model_alone(model: nn.Module) -> None:
    base = model.base_model
    reft = strong(base)
    inputs = inputs_of(model)
    with torch.no_grad():
        plain = base(**inputs)[0]
        with reft.attached(base):
            assert not torch.allclose(base(**inputs)[0], plain, atol=1e-3)
        assert torch.equal(base(**inputs)[0], plain)


@pytest.mark.parametrize("family", NOT_TOKENS)
def test_models_that_read_no_tokens_are_refused(family: str) -> None:
    with pytest.raises(InputError, match=r"reads (pixel_values|states): .* reads input_ids"):
        strong(FAMILIES[family]())
