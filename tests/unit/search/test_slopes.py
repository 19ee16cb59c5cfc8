"""Predictions from one backward pass: right for every family and kind of edit, within memory, and without a trace."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from families import FAMILIES, inputs_of
from torch import Tensor, nn

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.linalg.svd import factorize
from laser_lit.models.matrices import MatrixId, MatrixMap, find_matrices
from laser_lit.search import slopes
from laser_lit.search.slopes import forecasts, tail_sums
from laser_lit.search.space import Space

STEP = 2e-3
"""Of finite differences: the models take softmax and norms in float32, whose noise a smaller step would magnify."""


def loss_of(model: nn.Module) -> Tensor:
    inputs = {name: x.to(model.dtype) if x.is_floating_point() else x for name, x in inputs_of(model).items()}
    found = model(**inputs)
    output = found.action_preds if "action_preds" in found else found.logits
    return output.double().square().mean()


def predicted_changes(losses: Callable[[], Any], matrices: MatrixMap, edits: Sequence[Edit]) -> dict[Edit, float]:
    return {edit: forecast.change for edit, forecast in forecasts(losses, matrices, edits).items()}


def losses_of(model: nn.Module) -> Callable[[], Iterator[Tensor]]:
    def losses() -> Iterator[Tensor]:
        for share in (0.25, 0.75):
            yield share * loss_of(model)

    return losses


def double(name: str) -> nn.Module:
    model = FAMILIES[name]().double()
    model.config._experts_implementation = "eager"  # the fused kernel knows no float64
    return model


def measured(model: nn.Module, matrices: MatrixMap, edit: Edit) -> float:
    """Returns the slope of the loss from the weights towards the edited ones, by central differences."""
    ids = matrices.select(edit.layer, edit.matrix, edit.part, edit.expert)
    before = [matrices[id].read() for id in ids]
    with Stack([edit]).applied(matrices):
        after = [matrices[id].read() for id in ids]
    ends = []
    for step in (STEP, -STEP):
        for id, old, new in zip(ids, before, after, strict=True):
            matrices[id].write(old + step * (new - old))
        ends.append(float(loss_of(model).detach()))
    for id, old in zip(ids, before, strict=True):
        matrices[id].write(old)
    return (ends[0] - ends[1]) / (2 * STEP)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_prediction_is_the_slope_towards_the_edited_weights(family: str) -> None:
    model = double(family)
    matrices = find_matrices(model)
    space = Space.of(matrices, [-1], rhos=[0.3])
    predicted = predicted_changes(losses_of(model), matrices, space.edits)
    assert set(predicted) == set(space.edits)
    assert any(predicted.values())
    for edit, change in predicted.items():
        assert change == pytest.approx(measured(model, matrices, edit), rel=1e-2, abs=1e-6)


def test_every_kind_of_edit_is_predicted() -> None:
    model = double("gpt_neox")
    matrices = find_matrices(model)
    kinds = [Edit(1, "v_proj", rank=3, kind=kind) for kind in ("low_rank", "high_order", "prune")]
    edits = [*kinds, Edit(1, "v_proj", kind="zero"), Edit("all", ["q_proj", "fc_out"], rank=5)]
    predicted = predicted_changes(losses_of(model), matrices, edits)
    for edit in edits:
        assert predicted[edit] == pytest.approx(measured(model, matrices, edit), rel=1e-2, abs=1e-6)
    low, high, _, zero = list(predicted.values())[:4]
    assert low + high == pytest.approx(zero)


def test_size_is_the_relative_distance_of_the_edited_weights() -> None:
    matrices = find_matrices(model := FAMILIES["mixtral"]())
    kinds = [Edit(1, "fc_in", rank=3, kind=kind) for kind in ("low_rank", "high_order", "prune")]
    edits = [*kinds, Edit(1, "fc_in", kind="zero"), Edit("all", "attn", rank=2)]
    found = forecasts(losses_of(model), matrices, edits)
    for edit in edits:
        ids = matrices.select(edit.layer, edit.matrix)
        before = torch.cat([matrices[id].read().flatten() for id in ids])
        with Stack([edit]).applied(matrices):
            after = torch.cat([matrices[id].read().flatten() for id in ids])
        assert found[edit].size == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-4)


def test_one_expert_or_all_of_them() -> None:
    matrices = find_matrices(model := double("mixtral"))
    every = Edit(0, "fc_in", rank=2)
    each = [Edit(0, "fc_in", rank=2, expert=expert) for expert in range(3)]
    predicted = predicted_changes(losses_of(model), matrices, [every, *each])
    assert predicted[every] == pytest.approx(sum(predicted[edit] for edit in each))
    assert len({round(predicted[edit], 12) for edit in each}) > 1


def test_tail_sums_are_the_sums_of_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((5, 9), (9, 5)):
        W, G = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        factors = factorize(W, dtype=torch.float64)
        tails = tail_sums(factors, G)
        for rank in range(6):
            expected = sum(factors.S[i] * (factors.U[:, i] @ G @ factors.Vh[i]) for i in range(rank, 5))
            assert float(tails[rank]) == pytest.approx(float(expected), abs=1e-12)


def test_flags_gradients_and_hooks_come_back() -> None:
    matrices = find_matrices(model := FAMILIES["gpt2"]())
    space = Space.of(matrices, rhos=[0.5])
    model.transformer.h[0].mlp.c_fc.weight.requires_grad_(False)
    loss_of(model).backward()
    state = {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()}
    values = {name: None if grad is None else grad.clone() for name, (_, grad) in state.items()}

    def failing() -> Iterator[Tensor]:
        yield loss_of(model)
        raise RuntimeError("no more")

    predicted_changes(losses_of(model), matrices, space.edits)
    with pytest.raises(RuntimeError, match="no more"):
        predicted_changes(failing, matrices, space.edits)
    for name, parameter in model.named_parameters():
        flag, grad = state[name]
        assert parameter.requires_grad is flag
        assert parameter.grad is grad
        assert grad is None or torch.equal(grad, values[name])  # type: ignore[arg-type]
        assert not parameter._post_accumulate_grad_hooks


def test_gradients_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of a matrix is gone before that of the next arrives, so that a large model fits."""
    config = dict(FAMILIES["llama"].keywords, num_hidden_layers=24)
    model = FAMILIES["llama"].func(*FAMILIES["llama"].args, **config)
    matrices = find_matrices(model)
    whole = slopes._Reducer._reduce
    live: list[int] = []

    def counted(self: Any, parameter: Tensor) -> None:
        live.append(sum(each.grad is not None for each in model.parameters()))
        whole(self, parameter)

    monkeypatch.setattr(slopes._Reducer, "_reduce", counted)
    predicted_changes(losses_of(model), matrices, Space.of(matrices, rhos=[0.5]).edits)
    assert len(live) == 2 * len(matrices) == 2 * 24 * 7
    assert set(live) == {1}


def test_only_the_layers_asked_for_are_differentiated() -> None:
    matrices = find_matrices(model := FAMILIES["gptj"]())
    reached: list[int] = []
    for number, block in enumerate(model.transformer.h):
        block.register_full_backward_hook(lambda *_, number=number: reached.append(number))
    edits = Space.of(matrices, [1], "fc_out", [0.5]).edits
    predicted = predicted_changes(losses_of(model), matrices, edits)
    assert set(reached) <= {1}
    everything = predicted_changes(losses_of(model), matrices, Space.of(matrices, rhos=[0.5]).edits)
    assert predicted[edits[0]] == pytest.approx(everything[edits[0]], rel=1e-5)


def test_small_gradients_survive_half_precision() -> None:
    model = FAMILIES["gptj"]()
    edits = Space.of(find_matrices(model), rhos=[0.5]).edits
    wanted = predicted_changes(lambda: [1e-5 * loss_of(model)], find_matrices(model), edits)
    half = model.half()
    found = predicted_changes(lambda: [1e-5 * loss_of(half)], find_matrices(half), edits)
    top = max(map(abs, wanted.values()))
    assert all(abs(found[edit] - wanted[edit]) < 0.02 * top for edit in edits)


def test_gradients_that_are_no_numbers_are_an_error() -> None:
    matrices = find_matrices(model := FAMILIES["gptj"]())
    with pytest.raises(InputError, match="not finite"):
        predicted_changes(
            lambda: [loss_of(model) * float("nan")], matrices, Space.of(matrices, [0], "fc_in", [0.5]).edits
        )


def test_an_edit_without_a_rank_is_an_error() -> None:
    matrices = find_matrices(model := FAMILIES["gptj"]())
    with pytest.raises(InputError, match=r"layer 0 fc_in: .*explicit rank.*rho"):
        predicted_changes(losses_of(model), matrices, [Edit(0, "fc_in", rho=0.5)])


def test_tied_matrices_add_up() -> None:
    model = double("gptj")
    model.transformer.h[1].mlp.fc_in.weight = model.transformer.h[0].mlp.fc_in.weight
    matrices = find_matrices(model)
    assert matrices.aliases_of(MatrixId(0, "fc_in")) == (MatrixId(1, "fc_in"),)
    edit = Edit(1, "fc_in", rank=3)
    change = predicted_changes(losses_of(model), matrices, [edit])[edit]
    assert change == pytest.approx(measured(model, matrices, edit), rel=1e-2, abs=1e-6)
