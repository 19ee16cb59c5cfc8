import pytest
import torch
from families import FAMILIES
from torch import nn

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.export.in_place import Thin
from laser_lit.linalg.lowrank import LowRankLinear
from laser_lit.models.matrices import find_matrices

INPUTS = torch.arange(12).reshape(2, 6)


@pytest.fixture
def model() -> nn.Module:
    return FAMILIES["gptj"]().eval()


@torch.no_grad()
def test_inside_the_model_is_smaller_and_does_what_the_edits_do(model: nn.Module):
    matrices, stack = find_matrices(model), Stack([Edit(0, "fc_in", rank=2), Edit(1, "q_proj", rank=1)])
    before, size = model(INPUTS).logits, sum(p.numel() for p in model.parameters())
    modules = dict(model.named_modules())
    with stack.applied(matrices):
        edited = model(INPUTS).logits
    thin = Thin.of(model, matrices, stack)
    with thin.within(model):
        torch.testing.assert_close(model(INPUTS).logits, edited)
        assert sum(p.numel() for p in model.parameters()) == size - thin.saved
        assert sum(isinstance(module, LowRankLinear) for module in model.modules()) == 2
    assert torch.equal(model(INPUTS).logits, before)
    assert dict(model.named_modules()) == modules


def test_what_cannot_be_stored_as_factors_stays_whole(model: nn.Module):
    stack = Stack([Edit(0, "fc_in", rank=1), Edit(0, "fc_out", rank=1, kind="prune")])
    thin = Thin.of(model, find_matrices(model), stack)
    assert list(thin.modules) == ["transformer.h.0.mlp.fc_in"]
    assert list(thin.whole.values()) == ["prune leaves no low rank"]


def test_after_an_error_the_model_has_its_own_modules(model: nn.Module):
    modules = dict(model.named_modules())
    thin = Thin.of(model, find_matrices(model), Stack([Edit(0, "fc_in", rank=1)]))
    with pytest.raises(KeyboardInterrupt), thin.within(model):
        raise KeyboardInterrupt
    assert dict(model.named_modules()) == modules
