"""The same scores on a CUDA device, and half precision there."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from laser_lit.scoring.score import score

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("name", ["gptj", "llama", "bert"])
@pytest.mark.parametrize("scoring", ["token", "choice", "generate"])
def test_scores_are_those_of_the_cpu(
    models_by_name: Callable, tokenizer: Any, sets: Callable, name: str, scoring: str
) -> None:
    model = copy.deepcopy(models_by_name(name))
    expected = score(model, tokenizer, sets(scoring))
    found = score(model.cuda(), tokenizer, sets(scoring))
    assert found["log_loss"].tolist() == pytest.approx(expected["log_loss"].tolist(), abs=1e-4)
    assert found["prediction"].tolist() == expected["prediction"].tolist()
    for dtype in (torch.bfloat16, torch.float16):
        half = score(copy.deepcopy(model).to(dtype), tokenizer, sets(scoring))
        assert half["log_loss"].mean() == pytest.approx(expected["log_loss"].mean(), rel=0.1)
