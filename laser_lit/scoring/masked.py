"""Examples as token requests for masked models."""

import re
from collections.abc import Sequence
from typing import Any

from laser_lit.data.example import MASK, Example, ExampleSet
from laser_lit.errors import InputError
from laser_lit.scoring.request import Protocol, Request
from laser_lit.scoring.tokens import answer_length, ids_of

_RUN = re.compile(rf"{re.escape(MASK)}(?:\s*{re.escape(MASK)})*")


def encode_masked(examples: ExampleSet, tokenizer: Any, scoring: Protocol, max_length: int | None) -> list[Request]:
    """Returns the requests of every example, in order.

    One-token answers and choices are read at the one mask. Longer ones are scored at as many masks as they have
    tokens; the prediction of a longer answer is the most probable token at each of the protocol's masks.

    Args:
        examples: a checked data set.
        tokenizer: the model's tokenizer, with a mask token.
        scoring: under "paper", longer answers are scored without special tokens after the causal prompt, and their
            log prob divided by one token too many (the published RoBERTa scripts).
        max_length: tokens the model takes, or None.

    Raises:
        InputError: no mask token; masks that do not stand together; an answer longer than the context.
    """
    if tokenizer.mask_token_id is None:
        raise InputError("this tokenizer has no mask token; score the model as kind=causal")
    encoder = _Encoder(examples, tokenizer, scoring, max_length)
    return [request for index, example in enumerate(examples.examples) for request in encoder(index, example)]


class _Encoder:
    def __init__(self, examples: ExampleSet, tokenizer: Any, scoring: Protocol, max_length: int | None) -> None:
        self.examples = examples
        self.tokenizer = tokenizer
        self.paper = scoring == "paper"
        self.max_length = max_length

    def __call__(self, index: int, example: Example) -> list[Request]:
        text = example.masked_prompt or f"{example.prompt} {MASK}"
        runs = _RUN.findall(text)
        if len(runs) != 1:
            raise InputError(f"example {example.id}: {len(runs)} places with {MASK}, there must be one")
        masks = runs[0].count(MASK)
        if self.examples.scoring == "choice":
            return self._choices(index, example, text, masks)
        answer = self._answer(text, example.answer)
        new = self._answer(text, example.target_new) if example.target_new else []
        if self.examples.scoring == "token" and masks == 1 and len(answer) == 1:
            if len(new) > 1:
                return [self._read(index, "token", text, answer), self._forced(index, "target_new", example, text, new)]
            return [self._read(index, "token", text, answer + new)]
        requests = [
            self._predict(index, text, max(masks, self.examples.masks)),
            self._forced(index, "answer", example, text, answer),
        ]
        return [*requests, self._forced(index, "target_new", example, text, new)] if new else requests

    def _answer(self, text: str, answer: str) -> list[int]:
        """Returns the ids of an answer in the place of the mask; a space or the text's beginning goes before it."""
        before = text[: _RUN.search(text).start()]  # type: ignore[union-attr]
        gap = " " if before[-1:].isspace() else ""
        return ids_of(self.tokenizer, gap + answer.strip(), special=False)

    def _choices(self, index: int, example: Example, text: str, masks: int) -> list[Request]:
        answers = [self._answer(text, choice) for choice in example.choices]
        together = self.paper and example.masked_prompt is None
        if masks == 1 and not together and all(len(ids) == 1 for ids in answers):
            return [self._read(index, "choices", text, [ids[0] for ids in answers])]
        return [
            self._forced(index, f"choice {i}", example, text, ids, choice)
            for i, (choice, ids) in enumerate(zip(example.choices, answers, strict=True))
        ]

    def _read(self, index: int, role: str, text: str, targets: list[int]) -> Request:
        ids, dropped = self._filled(text, 1)
        reads = (ids.index(self.tokenizer.mask_token_id),) * len(targets)
        return Request(index, role, tuple(ids), reads, tuple(targets), dropped=dropped)

    def _predict(self, index: int, text: str, masks: int) -> Request:
        text = _RUN.sub(" ".join([MASK] * (masks if self.paper else 1)), text)
        ids, dropped = self._filled(text, 1 if self.paper else masks)
        return Request(index, "masks", tuple(ids), self._masks(ids), dropped=dropped)

    def _forced(
        self, index: int, role: str, example: Example, text: str, answer: list[int], words: str | None = None
    ) -> Request:
        """Returns the request for an answer's log prob at as many masks as it has tokens."""
        if self.paper:
            return self._forced_paper(index, role, example, words or example.answer)
        ids, dropped = self._filled(_RUN.sub(MASK, text), len(answer))
        return Request(index, role, tuple(ids), self._masks(ids), tuple(answer), length=len(answer), dropped=dropped)

    def _forced_paper(self, index: int, role: str, example: Example, words: str) -> Request:
        words = (example.target_new or words) if role == "target_new" else words
        ids = ids_of(self.tokenizer, f"{example.prompt} {words}", special=False)
        n = answer_length(self.tokenizer, ids, words) or len(ids_of(self.tokenizer, f" {words}", special=False))
        dropped = max(0, len(ids) - (self.max_length or len(ids)))
        ids = ids[dropped:]
        if n >= len(ids):
            raise InputError(f"the answer {words!r} has {n} tokens, too many for {self.max_length} in all")
        tokens = (*ids[:-n], *[self.tokenizer.mask_token_id] * n)
        reads = tuple(range(len(ids) - n, len(ids)))
        return Request(index, role, tokens, reads, tuple(ids[-n:]), length=n + 1, dropped=dropped)

    def _masks(self, ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(i for i, token in enumerate(ids) if token == self.tokenizer.mask_token_id)

    def _filled(self, text: str, times: int) -> tuple[list[int], int]:
        """Returns the ids of a prompt, each mask standing `times` times, cut to the model's length around the masks."""
        mask = self.tokenizer.mask_token_id
        ids = ids_of(self.tokenizer, text.replace(MASK, self.tokenizer.mask_token))
        ids = [token for id_ in ids for token in ([id_] * times if id_ == mask else [id_])]
        dropped = max(0, len(ids) - (self.max_length or len(ids)))
        if not dropped:
            return ids, 0
        expected = ids.count(mask)
        front = 1 if ids[0] in self.tokenizer.all_special_ids and ids[0] != mask else 0
        left = min(dropped, ids.index(mask) - front)
        ids = ids[:front] + ids[front + left :]
        back = 1 if ids[-1] in self.tokenizer.all_special_ids and ids[-1] != mask else 0
        ids = ids[: len(ids) - back - (dropped - left)] + ids[len(ids) - back :]
        if ids.count(mask) != expected or len(ids) != self.max_length:
            raise InputError(f"{expected} masks do not fit into the model's {self.max_length} tokens")
        return ids, dropped
