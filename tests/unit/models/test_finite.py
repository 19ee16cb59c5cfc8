import math

import pytest
import torch
from torch import nn

from laser_lit.errors import InputError
from laser_lit.models.finite import refuse_not_finite


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_entry_is_enough(dtype, value):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).to(dtype)
    refuse_not_finite(model)
    with torch.no_grad():
        model[1].weight[1, 2] = value
    with pytest.raises(InputError, match=r"NaN or infinite entries in 1\.weight: check"):
        refuse_not_finite(model)


def test_many_are_counted():
    model = nn.Sequential(*[nn.Linear(2, 2, bias=False) for _ in range(5)])
    for weight in model.parameters():
        nn.init.constant_(weight, math.nan)
    with pytest.raises(InputError, match=r"0\.weight, 1\.weight, 2\.weight and 2 more"):
        refuse_not_finite(model)


def test_what_cannot_be_looked_at_is_passed_over():
    model = nn.Module()
    model.meta = nn.Parameter(torch.empty(2, 2, device="meta"))
    model.none = nn.Parameter(torch.empty(0, 2))
    model.whole = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)
    refuse_not_finite(model)
