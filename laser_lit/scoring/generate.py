"""Greedy continuations of a batch of prompts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import GenerationConfig

from laser_lit.scoring.batches import Batch


def continuations(model: Any, batch: Batch) -> list[tuple[int, ...]]:
    """Returns the greedy continuation of each prompt, without the prompt and the end token.

    Nothing of the checkpoint's own generation settings but its end tokens is used, so that no sampling and no
    repetition penalty creeps in. At least one token is generated, as in the published scripts.

    Args:
        model: a causal language model in eval mode.
        batch: prompts padded on the left, on the model's input device.
    """
    ends = _end_tokens(model)
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        use_cache=True,
        min_new_tokens=1,
        max_new_tokens=batch.max_new_tokens,
        eos_token_id=ends or None,
        pad_token_id=batch.pad_id,
    )
    with _settings(model, settings):
        ids = model.generate(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, generation_config=settings
        )  # (B, L + new)
    new = ids[:, batch.input_ids.shape[1] :].tolist()
    return [_until_end(row, set(ends)) for row in new]


def _end_tokens(model: Any) -> list[int]:
    for config in (getattr(model, "generation_config", None), model.config):
        ends = getattr(config, "eos_token_id", None)
        if ends is not None:
            return [int(end) for end in (ends if isinstance(ends, list | tuple) else [ends])]
    return []


@contextmanager
def _settings(model: Any, settings: GenerationConfig) -> Iterator[None]:
    """Puts the settings in the place of the checkpoint's, from which `generate` would fill what is unset."""
    own = model.generation_config
    model.generation_config = settings
    try:
        yield
    finally:
        model.generation_config = own


def _until_end(ids: list[int], ends: set[int]) -> tuple[int, ...]:
    length = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    return tuple(ids[:length])
