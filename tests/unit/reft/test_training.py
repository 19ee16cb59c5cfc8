"""Training: gradients in the interventions alone, and the same ones with gradient checkpointing."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from families import FAMILIES
from interventions import strong, tokens
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForSequenceClassification

from laser_lit.errors import InputError
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.methods import FORMS, LowRankIntervention
from laser_lit.reft.prompt import prompts
from laser_lit.reft.reft import Reft

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_.*:FutureWarning")  # older names of both

COMPONENTS = ["block_output", "mlp_input", "mlp_activation", "value_output", "attention_output"]


@pytest.fixture
def model() -> nn.Module:
    return FAMILIES["llama"]().requires_grad_(False).train()


@contextmanager
def checkpointed(model: nn.Module) -> Iterator[None]:
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    try:
        yield
    finally:
        model.gradient_checkpointing_disable()


def mask_of(*lengths: int) -> Tensor:
    return (torch.arange(7) < torch.tensor(lengths)[:, None]).long()


def loss_and_gradients(model: nn.Module, reft: Reft, passes: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Returns the sum of the losses of some passes, and its gradients."""
    reft.zero_grad()
    with reft.attached(model):
        losses = []
        for ids, mask in passes:
            with prompts(mask):
                losses.append(model(input_ids=ids, labels=ids, use_cache=False).loss)
        loss = torch.stack(losses).sum()
        loss.backward()
    return [loss.detach(), *(parameter.grad.clone() for parameter in reft.parameters())]


@pytest.mark.parametrize("several", [False, True], ids=["one pass", "three passes"])
@pytest.mark.parametrize("component", COMPONENTS)
def test_checkpointing_changes_nothing(model: nn.Module, component: str, several: bool) -> None:
    """Parts of a pass that run again know that pass's prompts, also where others came after it."""
    reft = strong(model, component=component, positions="f1+l1", share="ends").train()
    passes = [(tokens(), mask_of(7, 5)), (tokens(2, 7, 8), mask_of(3, 4)), (tokens(2, 7, 9), mask_of(6, 2))]
    passes = passes if several else passes[:1]
    expected = loss_and_gradients(model, reft, passes)
    assert all(gradient.abs().max() > 1e-6 for gradient in expected)
    with checkpointed(model):
        found = loss_and_gradients(model, reft, passes)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_part_of_the_model_alone_is_refused_after_gradients_too(model: nn.Module, checkpointing: bool) -> None:
    with checkpointed(model) if checkpointing else nullcontext(), strong(model).train().attached(model):
        for _ in range(2):
            model(input_ids=tokens(), labels=tokens(), use_cache=False).loss.backward()
            with pytest.raises(InputError, match="layer 0 block_output: a part of the model runs alone"):
                model.model(input_ids=tokens(), use_cache=False)


@pytest.mark.parametrize("component", ["block_output", "mlp_activation"])
def test_checkpointing_repeats_the_same_dropout(model: nn.Module, component: str) -> None:
    reft = strong(model, component=component, dropout=0.5).train()
    passes = [(tokens(), mask_of(7, 5))]
    torch.manual_seed(0)
    expected = loss_and_gradients(model, reft, passes)
    torch.manual_seed(0)
    with checkpointed(model):
        found = loss_and_gradients(model, reft, passes)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("method", FORMS)
def test_only_interventions_have_gradients(method: str) -> None:
    model = FAMILIES["gpt2"]().requires_grad_(False)
    reft = strong(model, type=method).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = tokens()
    optimizer = torch.optim.AdamW(reft.parameters(), lr=1e-2)
    with reft.attached(model):
        first = model(input_ids=ids, labels=ids).loss
        for _ in range(10):
            optimizer.zero_grad()
            loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            optimizer.step()
    assert loss < first
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in reft.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not set(map(id, model.parameters())) & set(map(id, reft.parameters()))


def test_every_parameter_has_a_gradient_where_prompts_are_short(model: nn.Module) -> None:
    """As training on several devices needs it: here no prompt has a token to work at."""
    reft = strong(model, positions="f3+l3", share="none", layer=0).train()
    gradients = loss_and_gradients(model, reft, [(tokens(), mask_of(1, 1))])
    assert not any(gradient.any() for gradient in gradients[1:])
    assert len(gradients) == 1 + 6 * 3


def test_parameters_and_states_of_other_types_are_trained_together(model: nn.Module) -> None:
    model.to(torch.bfloat16)
    for dtype in (torch.float32, torch.bfloat16):
        reft = strong(model, dtype=str(dtype).removeprefix("torch.")).train()
        loss_and_gradients(model, reft, [(tokens(), mask_of(7, 7))])
        assert all(parameter.grad.dtype == dtype for parameter in reft.parameters())


def test_autocast(model: nn.Module) -> None:
    reft = strong(model).train()
    expected = loss_and_gradients(model, reft, [(tokens(), mask_of(7, 7))])
    with torch.autocast("cpu", torch.bfloat16):
        found = loss_and_gradients(model, reft, [(tokens(), mask_of(7, 7))])
    torch.testing.assert_close(found[0], expected[0], atol=0.2, rtol=0)
    assert all(gradient.dtype == torch.float32 for gradient in found)


def test_a_classifier(model: nn.Module) -> None:
    config = LlamaConfig(**{**model.config.to_dict(), "num_labels": 3})
    classifier = LlamaForSequenceClassification(config)
    reft = Reft.on(classifier, [Intervention(layer="all", positions="f1", rank=1)])
    classifier.model.requires_grad_(False)
    with reft.attached(classifier):
        classifier(input_ids=tokens(), labels=torch.tensor([0, 2])).loss.backward()
    assert {name for name, p in classifier.named_parameters() if p.grad is not None} == {"score.weight"}
    assert all(parameter.grad is not None for parameter in reft.parameters())


def test_the_basis_is_made_once_a_pass(model: nn.Module) -> None:
    reft, calls = strong(model, positions="f2+l2"), []
    for edit in reft.edits:
        edit.basis.register_forward_hook(lambda *_: calls.append(1))
    with reft.attached(model), torch.no_grad():
        model(input_ids=tokens())
        assert len(calls) == 2
        model.eval().generate(tokens(), max_new_tokens=4, pad_token_id=2)
        assert len(calls) == 4  # for the prompt alone


def test_parameters_follow_the_modules(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module whose weights are offloaded says nothing of where its states will be."""
    reft, moved = strong(model), []
    monkeypatch.setattr(LowRankIntervention, "to", lambda edit, device: moved.append((edit, device.type)))
    model.model.layers[1].to("meta")
    reft.attach(model).detach()
    assert moved == [(reft.edits[0], "cpu")]
