"""Pairs of context and continuation as token requests, cut where lm-evaluation-harness cuts them.

Source: TemplateLM._encode_pair and HFLM._loglikelihood_tokens of lm-evaluation-harness 0.4.13 (causal models).
"""

from collections.abc import Sequence
from typing import Any

from laser_lit.data.pairs import PairExample, PairSet
from laser_lit.errors import InputError
from laser_lit.scoring.request import Request
from laser_lit.scoring.tokens import ids_of

Ids = tuple[int, ...]


def encode_pairs(examples: PairSet, tokenizer: Any, max_length: int | None) -> list[Request]:
    """Returns the requests of every example, in order.

    Choices of one token each after one and the same context are read in one sequence, others in a sequence each.

    Args:
        examples: the data set.
        tokenizer: the model's tokenizer.
        max_length: tokens the model takes; longer sequences lose their beginning, a begin token too. None: no limit.

    Raises:
        InputError: a context or continuation without a token, or a continuation longer than the model takes.
    """
    if not examples.examples:
        raise InputError(f"{examples.name} has no examples; raise data.limit")
    if any(not isinstance(example, PairExample) for example in examples.examples):
        raise TypeError("the examples of a PairSet are PairExamples")
    return [
        request
        for index, example in enumerate(examples.examples)
        if isinstance(example, PairExample)
        for request in _requests(index, example, examples, tokenizer, max_length)
    ]


def _requests(index: int, example: PairExample, data: PairSet, tokenizer: Any, limit: int | None) -> list[Request]:
    try:
        pairs = pairs_ids(tokenizer, example.contexts, example.continuations)
        if data.scoring == "generate":
            generated = _generate(index, example.contexts[0], data.max_new_tokens, tokenizer, limit)
            return [generated, _forced(index, "answer", pairs[0], limit)]
        if data.scoring == "greedy":
            return [_forced(index, "greedy", pairs[0], limit)]
        if len({context for context, _ in pairs}) == 1 and all(len(ids) == 1 for _, ids in pairs):
            return [_at_once(index, pairs, limit)]
        return [_forced(index, f"choice {i}", pair, limit) for i, pair in enumerate(pairs)]
    except InputError as error:
        raise InputError(f"example {example.id} of {data.name}: {error}") from error


def pairs_ids(tokenizer: Any, contexts: Sequence[str], continuations: Sequence[str]) -> list[tuple[Ids, Ids]]:
    """Returns the ids of each context and of what follows it, as the harness splits them.

    White space at the end of a context goes to the continuation; both are tokenized as one text, of which the ids
    after as many as the context alone has are the continuation's. An empty context is the begin token (the end token
    where the tokenizer has none).

    Args:
        tokenizer: a transformers tokenizer.
        contexts: one for each continuation.
        continuations: texts that follow at once.

    Raises:
        InputError: a side without a token.
    """
    begin = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    mark = None if begin is None else tokenizer.decode(begin)
    found = []
    for context, continuation in zip(contexts, continuations, strict=True):
        if context:
            pair = _split(tokenizer, context, continuation, mark)
        else:
            pair = _without_context(tokenizer, continuation, begin)
        if not pair[0] or not pair[1]:
            side = "continuation" if pair[0] else "context"
            raise InputError(f"its {side} has no tokens: {context[-40:]!r} continued by {continuation!r}")
        found.append(pair)
    return found


def _split(tokenizer: Any, context: str, continuation: str, mark: str | None) -> tuple[Ids, Ids]:
    stripped = context.rstrip()
    begun = mark is not None and stripped.startswith(mark)  # the text says its begin token itself
    texts = [context + continuation, stripped]
    whole, before = tokenizer(texts, add_special_tokens=not begun, verbose=False)["input_ids"]
    return tuple(before), tuple(whole[len(before) :])


def _without_context(tokenizer: Any, continuation: str, begin: int | None) -> tuple[Ids, Ids]:
    ids = tuple(ids_of(tokenizer, continuation, special=False))
    if begin is None:
        raise InputError("its context is empty, and the tokenizer has neither a begin nor an end token to stand there")
    return (ids[:1], ids[1:]) if ids[:1] == (begin,) else ((begin,), ids)


def _forced(index: int, role: str, pair: tuple[Ids, Ids], limit: int | None) -> Request:
    tokens, dropped = _fit((*pair[0], *pair[1][:-1]), limit)
    n = len(pair[1])
    if n > len(tokens):
        raise InputError(f"a continuation of {n} tokens is too long for a model that takes {limit}")
    return Request(index, role, tokens, tuple(range(len(tokens) - n, len(tokens))), pair[1], length=n, dropped=dropped)


def _at_once(index: int, pairs: Sequence[tuple[Ids, Ids]], limit: int | None) -> Request:
    tokens, dropped = _fit(pairs[0][0], limit)
    targets = tuple(ids[0] for _, ids in pairs)
    return Request(index, "choices", tokens, (len(tokens) - 1,) * len(targets), targets, dropped=dropped)


def _generate(index: int, context: str, new: int, tokenizer: Any, limit: int | None) -> Request:
    if new < 1 or (limit is not None and new >= limit):
        raise InputError(f"data.max_new_tokens {new}: must be at least 1 and below the model's {limit} tokens")
    begun = bool(tokenizer.bos_token) and context.startswith(tokenizer.bos_token)
    tokens, dropped = _fit(tuple(ids_of(tokenizer, context, special=not begun)), None if limit is None else limit - new)
    if not tokens:
        raise InputError("its context has no tokens")
    return Request(index, "generate", tokens, max_new_tokens=new, dropped=dropped)


def _fit(ids: Ids, limit: int | None) -> tuple[Ids, int]:
    dropped = 0 if limit is None else max(0, len(ids) - limit)
    return ids[dropped:], dropped
