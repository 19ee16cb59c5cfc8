"""The weights of a model as bytes, so that even the payloads of NaNs count."""

import torch
from torch import Tensor, nn


def bits(model: nn.Module) -> dict[str, Tensor]:
    """Returns a copy of every parameter as bytes."""
    return {
        name: parameter.detach().clone().contiguous().view(torch.uint8)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }


def differing(before: dict[str, Tensor], model: nn.Module) -> set[str]:
    """Returns the names of the parameters that have other bytes now."""
    after = bits(model)
    return {name for name in before if not torch.equal(before[name], after[name])}
