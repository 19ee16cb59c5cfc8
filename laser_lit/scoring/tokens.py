"""Prompts and answers as token ids, joined the way the tokenizer itself would join them."""

from collections.abc import Sequence
from typing import Any

from laser_lit.errors import InputError

_ANCHORS = ("the", ":", "1")
"""Contexts after which an answer is tokenized on its own when its own prompt merges with it."""


def ids_of(tokenizer: Any, text: str, special: bool = True) -> list[int]:
    """Returns the token ids of a text.

    Args:
        tokenizer: a transformers tokenizer.
        text: any text.
        special: add the tokenizer's own begin and end tokens.
    """
    return list(tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])


def prompt_ids(tokenizer: Any, prompt: str, special: bool = True) -> list[int]:
    """Returns the ids of a causal model's prompt: begin token as the tokenizer sets it, once, and no end token.

    Args:
        tokenizer: a transformers tokenizer.
        prompt: the text.
        special: false for chat turns, which have their special tokens written out.

    Raises:
        InputError: the prompt has no token at all.
    """
    return _prompts_ids(tokenizer, [prompt], special)[0]


def _prompts_ids(tokenizer: Any, prompts: list[str], special: bool) -> list[list[int]]:
    """Returns the ids of prompts that begin alike, tokenized in one call."""
    begun = bool(tokenizer.bos_token) and prompts[0].startswith(tokenizer.bos_token)
    found = tokenizer(prompts, add_special_tokens=special and not begun, verbose=False)["input_ids"]
    return [_without_end(tokenizer, list(ids), prompt) for ids, prompt in zip(found, prompts, strict=True)]


def _without_end(tokenizer: Any, ids: list[int], prompt: str) -> list[int]:
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if ids[-1:] == [eos] and eos != bos and not prompt.endswith(str(tokenizer.eos_token)):
        ids.pop()
    if not ids and bos is not None:
        ids = [bos]
    if not ids:
        raise InputError(f"the prompt {prompt!r} has no tokens; give it at least one word")
    return ids


def begins_with_bos(tokenizer: Any) -> bool:
    """Returns whether the tokenizer puts a begin token before every text (Llama does, GPT-2 does not)."""
    bos = tokenizer.bos_token_id
    return bos is not None and ids_of(tokenizer, "a")[:1] == [bos]


def separate(prompt: str) -> tuple[str, str]:
    """Returns the prompt without trailing spaces, and what goes between it and the answer.

    Tokenizers attach a space to the word after it, so a prompt's trailing spaces belong to the answer; after a
    line break or tab the answer follows at once.
    """
    stripped = prompt.rstrip(" ")
    if stripped and stripped != prompt:
        return stripped, prompt[len(stripped) :]
    return prompt, "" if prompt[-1:].isspace() else " "


def answers_ids(tokenizer: Any, prompt: str, gap: str, answers: Sequence[str], special: bool = True) -> list[list[int]]:
    """Returns the ids of each answer as they follow the prompt.

    Prompt and answer are tokenized together and the prompt's own ids taken off, so that " true" under GPT-2 and
    "▁true" under Llama both come out right. Where the two merge, the answer is tokenized after a neutral word instead.

    Args:
        tokenizer: a transformers tokenizer.
        prompt: text before the gap.
        gap: what separates them, " " or "".
        answers: answers without leading space.
        special: see `prompt_ids`.
    """
    before, *joint = _prompts_ids(tokenizer, [prompt, *(prompt + gap + answer for answer in answers)], special)
    return [
        ids[len(before) :] if _continues(ids, before) else _apart(tokenizer, gap + answer, special)
        for ids, answer in zip(joint, answers, strict=True)
    ]


def _continues(ids: list[int], before: list[int]) -> bool:
    return len(ids) > len(before) and ids[: len(before)] == before


def _apart(tokenizer: Any, text: str, special: bool) -> list[int]:
    for context in _ANCHORS:
        before, ids = _prompts_ids(tokenizer, [context, context + text], special)
        if _continues(ids, before):
            return ids[len(before) :]
    return ids_of(tokenizer, text, special=False)


def answer_length(tokenizer: Any, ids: Sequence[int], answer: str) -> int | None:
    """Returns how many ids at the end decode to the answer, or None where no ending does.

    Source: find_answer_len of the LASER code (pratyushasharma/laser, study_utils/metric_utils.py).
    """
    for length in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[len(ids) - length :], clean_up_tokenization_spaces=False)
        if text.strip() == answer.strip():
            return length
    return None


def cut_left(tokenizer: Any, ids: list[int], limit: int) -> tuple[list[int], int]:
    """Returns the ids cut from the left to at most `limit`, and how many were dropped; a begin token stays.

    Args:
        tokenizer: names the special tokens.
        ids: a prompt.
        limit: tokens that fit, at least 1.
    """
    dropped = len(ids) - limit
    if dropped <= 0:
        return ids, 0
    front = 1 if limit > 1 and ids[0] in tokenizer.all_special_ids else 0
    return ids[:front] + ids[front + dropped :], dropped
