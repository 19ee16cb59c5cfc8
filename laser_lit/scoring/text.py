"""Tokens as people read them."""

from collections.abc import Sequence
from typing import Any

_SPACE = ("▁", "Ġ")
"""How vocabularies write the space before a word (SentencePiece, byte-level BPE)."""
_BROKEN = "\ufffd"


def common_length(one: Sequence[object], other: Sequence[object]) -> int:
    """Returns how many of the first characters or tokens of two texts are the same.

    Args:
        one: a text, or its tokens.
        other: another.
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def continued(tokenizer: Any, prompt: Sequence[int], ids: Sequence[int]) -> str:
    """Returns the text of a continuation as it follows its prompt, a leading space included.

    Args:
        tokenizer: the model's.
        prompt: ids before it.
        ids: of the continuation.
    """
    before, whole = _decoded(tokenizer, prompt), _decoded(tokenizer, [*prompt, *ids])
    return whole[len(before) :] if whole.startswith(before) else _decoded(tokenizer, ids)


def token_text(tokenizer: Any, token: int) -> str:
    """Returns a token as text, with the space that it brings; the vocabulary's own spelling for parts of a character.

    Args:
        tokenizer: the model's.
        token: its id; ids beyond the tokenizer's vocabulary have a number for a name.
    """
    piece = tokenizer.convert_ids_to_tokens(int(token))
    if piece is None:
        return f"[{int(token)}]"
    text = _decoded(tokenizer, [token])
    if not text or _BROKEN in text:
        return str(piece)
    return f" {text}" if piece.startswith(_SPACE) and not text.startswith(" ") else text


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode([int(token) for token in ids], clean_up_tokenization_spaces=False))
