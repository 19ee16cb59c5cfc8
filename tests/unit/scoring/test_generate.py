"""Greedy continuations: the argmax token by token, whatever the checkpoint's generation settings say."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from laser_lit.scoring.batches import collate
from laser_lit.scoring.generate import continuations
from laser_lit.scoring.request import Request

PROMPTS = [(10, 11, 12, 13, 14), (20,), (30, 31, 32)]


def batch(new: int = 6) -> Any:
    requests = [Request(i, "generate", ids, max_new_tokens=new) for i, ids in enumerate(PROMPTS)]
    return collate(requests, range(len(PROMPTS)), 0)


def by_hand(model: Any, ids: tuple[int, ...], new: int, ends: set[int]) -> tuple[int, ...]:
    found: list[int] = []
    for step in range(new):
        with torch.no_grad():
            logits = model(torch.tensor([[*ids, *found]])).logits[0, -1]
        if step == 0 and ends:
            logits[list(ends)] = -torch.inf
        found.append(int(logits.argmax()))
        if found[-1] in ends:
            return tuple(found[:-1])
    return tuple(found)


@pytest.mark.parametrize("name", ["gptj", "llama", "bloom", "mpt", "opt", "falcon", "gemma2", "mixtral"])
def test_continuations_are_the_argmax(models_by_name: Callable, name: str) -> None:
    model = models_by_name(name)
    assert continuations(model, batch()) == [by_hand(model, ids, 6, {2}) for ids in PROMPTS]


def test_settings_of_the_checkpoint_do_not_creep_in(models_by_name: Callable) -> None:
    model = models_by_name("gptj")
    expected = continuations(model, batch())
    own = model.generation_config
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=5.0,
        top_k=3,
        repetition_penalty=9.0,
        eos_token_id=2,
        suppress_tokens=[expected[0][0]],
    )
    try:
        sampled = model.generation_config
        assert continuations(model, batch()) == expected
        assert model.generation_config is sampled
    finally:
        model.generation_config = own


def test_a_continuation_stops_before_the_end_token(models_by_name: Callable) -> None:
    model = models_by_name("gptj")
    own = model.generation_config
    free = continuations(model, batch())
    end = free[0][2]
    model.generation_config = GenerationConfig(eos_token_id=[2, end])
    try:
        found = continuations(model, batch())
    finally:
        model.generation_config = own
    assert found == [by_hand(model, ids, 6, {2, end}) for ids in PROMPTS]
    assert all(end not in ids for ids in found)
    assert len(found[0]) < 6
