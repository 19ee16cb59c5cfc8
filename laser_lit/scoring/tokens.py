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
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    begun = bool(tokenizer.bos_token) and prompt.startswith(tokenizer.bos_token)
    ids = ids_of(tokenizer, prompt, special=special and not begun)
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


def answer_ids(tokenizer: Any, prompt: str, gap: str, answer: str, special: bool = True) -> list[int]:
    """Returns the ids of an answer as they follow the prompt.

    Prompt and answer are tokenized together and the prompt's own ids taken off, so that " true" under GPT-2 and
    "▁true" under Llama both come out right. Where the two merge, the answer is tokenized after a neutral word instead.

    Args:
        tokenizer: a transformers tokenizer.
        prompt: text before the gap.
        gap: what separates them, " " or "".
        answer: the answer without leading space.
        special: see `prompt_ids`.
    """
    for context in (prompt, *_ANCHORS):
        before = prompt_ids(tokenizer, context, special)
        joint = prompt_ids(tokenizer, context + gap + answer, special)
        if joint[: len(before)] == before and len(joint) > len(before):
            return joint[len(before) :]
    return ids_of(tokenizer, gap + answer, special=False)


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
