"""The six forms against their formulas written out; strength, types and dropout."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from laser_lit.errors import InputError
from laser_lit.reft.methods import DTYPES, FORMS, LowRankIntervention

SIZE, RANK = 12, 3
ACTED = [name for name, form in FORMS.items() if form.source == "linear"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
}


def made(method: str, **values: object) -> LowRankIntervention:
    return LowRankIntervention(method, SIZE, RANK, generator=torch.Generator().manual_seed(3), **values)


def states(dtype: torch.dtype = torch.float32) -> Tensor:
    h = torch.randn(5, SIZE, generator=torch.Generator().manual_seed(4))
    h[0, 0], h[0, 1] = -0.0, 3e-8
    return h.to(dtype)


def bits(tensor: Tensor) -> Tensor:
    return tensor.view(torch.int16 if tensor.element_size() == 2 else torch.int32)


def formula(edit: LowRankIntervention, h: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns the edited states as the paper writes them."""
    source, projection = edit.source, edit.projection
    R = None if projection is not None else edit.basis()  # (d, r)
    b = 0 if source is None or source.bias is None else source.bias
    if edit.method == "loreft":
        return h + (f(h @ source.weight.T + b) - h @ R) @ R.T
    if edit.method == "noreft":
        b2 = 0 if projection.bias is None else projection.bias
        return h + (f(h @ source.weight.T + b) - (h @ projection.weight.T + b2)) @ projection.weight
    if edit.method == "consreft":
        return h + (edit.constant - h @ R) @ R.T
    if edit.method == "lobireft":
        return h + edit.constant @ R.T
    if edit.method == "direft":
        return h + f(h @ source.weight.T + b) @ R.T
    assert edit.method == "nodireft"
    return h + f(h @ source.weight.T + b) @ projection.weight


@pytest.mark.parametrize("act_fn", ACTIVATIONS)
@pytest.mark.parametrize("method", ACTED)
@pytest.mark.parametrize("strength", [1.0, 0.5, -2.0])
def test_the_formula_of_each_type(method: str, act_fn: str, strength: float) -> None:
    edit, h = made(method, act_fn=act_fn), states()
    expected = h + strength * (formula(edit, h, ACTIVATIONS[act_fn]) - h)
    assert (expected - h).abs().max() > 0.1
    torch.testing.assert_close(edit.apply_delta(h, edit.delta(), strength), expected, atol=1e-5, rtol=0)
    if strength == 1:
        torch.testing.assert_close(edit(h.view(1, 5, SIZE)), expected.view(1, 5, SIZE), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", [name for name in FORMS if name not in ACTED])
def test_the_formula_of_types_with_a_constant(method: str) -> None:
    edit, h = made(method), states()
    torch.testing.assert_close(edit(h), formula(edit, h, ACTIVATIONS["linear"]), atol=1e-5, rtol=0)
    assert (edit(h) - h).abs().max() > 0.1


@pytest.mark.parametrize("act_fn", ["linear", "relu"])
@pytest.mark.parametrize("method", ["noreft", "nodireft"])
def test_types_without_a_bias(method: str, act_fn: str) -> None:
    edit, h = made(method, bias=False, act_fn=act_fn), states()
    assert [name for name, _ in edit.named_parameters()] == ["projection.weight", "source.weight"]
    torch.testing.assert_close(edit(h), formula(edit, h, ACTIVATIONS[act_fn]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", FORMS)
def test_number_of_parameters(method: str) -> None:
    count = sum(parameter.numel() for parameter in made(method).parameters())
    direction, source = SIZE * RANK, SIZE * RANK + RANK
    expected = {
        "loreft": direction + source,
        "noreft": 2 * source,
        "consreft": direction + RANK,
        "lobireft": direction + RANK,
        "direft": direction + source,
        "nodireft": direction + source,
    }
    assert count == expected[method]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of_states", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("method", FORMS)
def test_no_strength_leaves_every_bit(method: str, of_states: torch.dtype, dtype: str, training: bool) -> None:
    edit = made(method, dtype=dtype, dropout=0.5).train(training)
    h = states(of_states)
    assert torch.equal(bits(edit.apply_delta(h, edit.delta(), 0.0)), bits(h))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("of_states", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("method", FORMS)
def test_types_of_states_and_parameters(method: str, of_states: torch.dtype, dtype: str) -> None:
    edit, h = made(method, dtype=dtype), states(of_states)
    assert {parameter.dtype for parameter in edit.parameters()} == {DTYPES[dtype]}
    found = edit(h)
    assert found.dtype == of_states
    exact = LowRankIntervention(method, SIZE, RANK).double()
    exact.load_state_dict(edit.state_dict())
    expected = formula(exact, h.double(), ACTIVATIONS["linear"])
    coarse = torch.bfloat16 in (of_states, DTYPES[dtype])
    assert (found.double() - expected).abs().max() < (0.1 if coarse else 0.01)
    if of_states == torch.float32:  # what is not changed keeps its precision
        little = edit.apply_delta(h, edit.delta(), 1e-6)
        assert (little - h).abs().max() < 1e-4


def test_autocast_does_not_reach_in() -> None:
    edit, h = made("loreft"), states()
    with torch.autocast("cpu", torch.bfloat16):
        inside = edit(h)
    assert torch.equal(inside, edit(h))


def test_dropout_in_training_alone() -> None:
    edit, h = made("loreft", dropout=0.5), states() + 10
    assert torch.equal(edit.eval()(h), made("loreft")(h))
    torch.manual_seed(0)
    share = float((edit.train()(h.repeat(200, 1)) == 0).float().mean())
    assert 0.4 < share < 0.6


def test_the_basis_is_made_once_for_many_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    edit, h = made("loreft"), states()
    calls = []
    edit.basis.register_forward_hook(lambda *_: calls.append(1))
    delta = edit.delta()
    for _ in range(3):
        edit.apply_delta(h, delta)
    assert len(calls) == 1


def test_the_same_seed_makes_the_same_parameters() -> None:
    one, same = made("loreft"), made("loreft")
    other = LowRankIntervention("loreft", SIZE, RANK, generator=torch.Generator().manual_seed(5))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])
        assert not tensor.any() or name == "basis.signs" or not torch.equal(tensor, other.state_dict()[name])


@pytest.mark.parametrize("rank", [0, -1, SIZE + 1])
def test_a_rank_out_of_range(rank: int) -> None:
    with pytest.raises(InputError, match=f"rank {rank}: must"):
        LowRankIntervention("loreft", SIZE, rank)


@pytest.mark.parametrize("method", FORMS)
def test_an_intervention_whose_type_was_changed_computes_in_the_new_one(method: str) -> None:
    edit, h = LowRankIntervention(method, 8, 2).eval(), torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    expected = edit(h)
    torch.testing.assert_close(edit.double()(h), expected)
    assert edit.double()(h.double()).dtype == torch.float64
    torch.testing.assert_close(edit.bfloat16()(h), expected, atol=0.1, rtol=0)
