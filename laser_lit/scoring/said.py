"""What a model says to a prompt: its greedy continuation, or its fillings, and its distribution over the next token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from laser_lit.data.example import MASK
from laser_lit.errors import InputError
from laser_lit.scoring.batches import Batches, Side
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.request import Request
from laser_lit.scoring.tokens import ids_of, prompt_ids, separate


@dataclass(frozen=True)
class Said:
    """What a model says to one prompt.

    Attributes:
        ids: the greedy continuation without the end token; of a masked model the most probable token at each mask.
        logits: (vocabulary,) float32 on the CPU, of the next token; of a masked model at its first mask.
    """

    ids: tuple[int, ...]
    logits: Tensor


def causal_ids(prompt: str, tokenizer: Any, turn: bool = False) -> tuple[int, ...]:
    """Returns the tokens that a causal model continues.

    Args:
        prompt: text; spaces at its end belong to the word that follows, and are left to the model.
        tokenizer: the model's.
        turn: the prompt is a whole chat turn with its special tokens written out.
    """
    return tuple(prompt_ids(tokenizer, prompt if turn else separate(prompt)[0], special=not turn))


def masked_ids(prompt: str, tokenizer: Any) -> tuple[int, ...]:
    """Returns the tokens of a masked model's prompt, with a mask behind it where none is in it.

    Args:
        prompt: text with any number of `<mask>`, or of the tokenizer's own mask.
        tokenizer: the model's.

    Raises:
        InputError: the tokenizer has no mask.
    """
    if tokenizer.mask_token_id is None:
        raise InputError("this tokenizer has no mask token; ask the model as model.kind=causal")
    text = prompt.replace(MASK, tokenizer.mask_token)
    text = text if tokenizer.mask_token in text else f"{text.rstrip(' ')} {tokenizer.mask_token}"
    return tuple(ids_of(tokenizer, text))


def said_by(
    model: nn.Module,
    prompts: Sequence[tuple[int, ...]],
    *,
    mask_id: int | None,
    max_new_tokens: int,
    pad_id: int,
    batch_size: int,
) -> list[Said]:
    """Returns what a model says to each prompt.

    Continuation and distribution come from batches that are padded alike, on the left, so that the most probable next
    token is the one that the continuation begins with.

    Args:
        model: a language model in eval mode, edited or not.
        prompts: tokens of each.
        mask_id: of a masked model, which has its masks filled; None for a causal one.
        max_new_tokens: length of a continuation.
        pad_id: id of the padding.
        batch_size: prompts a forward pass.
    """
    reads = [Request(n, "next", ids, _reads(ids, mask_id)) for n, ids in enumerate(prompts)]
    side: Side = "left" if mask_id is None else "right"
    found = {
        score.number: score
        for batch in Batches(reads, pad_id, batch_size, side=side)
        for score in score_batch(model, batch, keep_logits=True)
    }
    new = {number: score.best for number, score in found.items()}
    if mask_id is None:
        asked = [Request(n, "generate", ids, max_new_tokens=max_new_tokens) for n, ids in enumerate(prompts)]
        batches = Batches(asked, pad_id, batch_size)
        new = {score.number: score.generated for batch in batches for score in score_batch(model, batch)}
    return [Said(new[n], _known(found[n].logits)) for n in range(len(prompts))]


def _reads(ids: tuple[int, ...], mask_id: int | None) -> tuple[int, ...]:
    """Returns the positions whose logits are read: the last one, or every mask."""
    return (len(ids) - 1,) if mask_id is None else tuple(i for i, token in enumerate(ids) if token == mask_id)


def _known(logits: Tensor | None) -> Tensor:
    if logits is None:
        raise TypeError("score_batch keeps logits where it is asked to")
    return logits
