"""Weights that are not numbers, found before anything is scored."""

import torch
from torch import nn

from laser_lit.errors import InputError


@torch.no_grad()
def refuse_not_finite(model: nn.Module) -> None:
    """Raises an error when a parameter holds NaN or an infinity.

    Args:
        model: any module; parameters on the meta device are passed over.

    Raises:
        InputError: names the first such parameters.
    """
    bad = [name for name, weight in model.named_parameters() if not weight.is_meta and not is_finite(weight)]
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise InputError(f"NaN or infinite entries in {', '.join(bad[:3])}{more}: check the checkpoint, or its dtype")


def is_finite(weight: torch.Tensor) -> bool:
    """Returns whether a tensor holds neither NaN nor an infinity.

    Args:
        weight: of any shape and type.
    """
    if not weight.numel() or not weight.is_floating_point():
        return True
    low, high = torch.aminmax(weight)  # both are NaN where one entry is; nothing of the weight's size is made
    return bool(torch.isfinite(low) and torch.isfinite(high))
