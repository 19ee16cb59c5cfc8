"""Examples as token requests for causal models."""

from collections.abc import Sequence
from typing import Any

from laser_lit.data.example import Example, ExampleSet
from laser_lit.errors import InputError
from laser_lit.scoring.request import Protocol, Request
from laser_lit.scoring.tokens import answer_length, answers_ids, begins_with_bos, cut_left, prompt_ids, separate


def encode_causal(examples: ExampleSet, tokenizer: Any, scoring: Protocol, max_length: int | None) -> list[Request]:
    """Returns the requests of every example, in order.

    Choices that are one token each are read at the prompt's last position; others are teacher forced, one sequence a
    choice. A one-token answer under "token" scoring is read there too; longer ones are generated and teacher forced.

    Args:
        examples: a checked data set.
        tokenizer: the model's tokenizer.
        scoring: under "paper", tokenizers with a begin token generate even one-token answers, as the published
            Llama 2 script does, trailing spaces of a prompt stay in it, and of an answer's tokens those are scored
            that decode to it, without a space that is a token by itself.
        max_length: tokens the model takes, or None.

    Raises:
        InputError: an answer longer than the model's context.
    """
    encoder = _Encoder(examples, tokenizer, scoring, max_length)
    return [request for index, example in enumerate(examples.examples) for request in encoder(index, example)]


class _Encoder:
    def __init__(self, examples: ExampleSet, tokenizer: Any, scoring: Protocol, max_length: int | None) -> None:
        self.examples = examples
        self.tokenizer = tokenizer
        self.paper = scoring == "paper"
        self.max_length = max_length
        self.special = not examples.chat_template
        self.always_generate = examples.scoring == "generate" or (self.paper and begins_with_bos(tokenizer))

    def __call__(self, index: int, example: Example) -> list[Request]:
        prompt, gap = self._prompt(example.prompt)
        if self.examples.scoring == "choice":
            return self._choices(index, example, prompt, gap)
        words = [self._taught(example), *([example.target_new] if example.target_new else [])]
        answer, *new = self._answers(prompt, gap, words)
        if len(answer) == 1 and not self.always_generate:
            if new and len(new[0]) == 1:
                return [self._read_last(index, "token", prompt, answer + new[0])]
            requests = [self._read_last(index, "token", prompt, answer)]
        else:
            requests = [self._generate(index, prompt), self._forced(index, "answer", prompt, answer, words[0])]
        return requests + [self._forced(index, "target_new", prompt, ids, words[1]) for ids in new]

    def _taught(self, example: Example) -> str:
        generated = self.examples.scoring == "generate" and example.completion is not None
        return str(example.completion) if generated else example.answer

    def _prompt(self, text: str) -> tuple[str, str]:
        if not self.special:
            return text, ""
        return (text, " ") if self.paper else separate(text)

    def _answers(self, prompt: str, gap: str, answers: Sequence[str]) -> list[list[int]]:
        found = answers_ids(self.tokenizer, prompt, gap, [answer.strip() for answer in answers], self.special)
        for ids, answer in zip(found, answers, strict=True):
            if self.max_length is not None and len(ids) > self.max_length - 1:
                start = answer if len(answer) <= 60 else answer[:60] + "…"
                raise InputError(
                    f"the answer {start!r} has {len(ids)} tokens, too many for {self.max_length} in all; "
                    "data.max_answer_tokens=N leaves longer ones out"
                )
        return found

    def _choices(self, index: int, example: Example, prompt: str, gap: str) -> list[Request]:
        answers = self._answers(prompt, gap, example.choices)
        if all(len(ids) == 1 for ids in answers):
            return [self._read_last(index, "choices", prompt, [ids[0] for ids in answers])]
        room = max(len(ids) for ids in answers)
        return [
            self._forced(index, f"choice {i}", prompt, ids, choice, room)
            for i, (ids, choice) in enumerate(zip(answers, example.choices, strict=True))
        ]

    def _read_last(self, index: int, role: str, prompt: str, targets: list[int]) -> Request:
        ids, dropped = self._fit(prompt, 0)
        reads = (len(ids) - 1,) * len(targets)
        return Request(index, role, tuple(ids), reads, tuple(targets), dropped=dropped)

    def _forced(
        self, index: int, role: str, prompt: str, answer: list[int], words: str, room: int | None = None
    ) -> Request:
        ids, dropped = self._fit(prompt, (room or len(answer)) - 1)
        n = answer_length(self.tokenizer, answer, words) if self.paper else None
        n = n or len(answer)
        tokens = (*ids, *answer[:-1])
        reads = range(len(tokens) - n, len(tokens))
        return Request(index, role, tokens, tuple(reads), tuple(answer[-n:]), length=n, dropped=dropped)

    def _generate(self, index: int, prompt: str) -> Request:
        new = self.examples.max_new_tokens
        if new < 1 or (self.max_length is not None and new >= self.max_length):
            raise InputError(f"max_new_tokens {new}: must be at least 1 and below the model's {self.max_length} tokens")
        ids, dropped = self._fit(prompt, new)
        return Request(index, "generate", tuple(ids), max_new_tokens=new, dropped=dropped)

    def _fit(self, prompt: str, room: int) -> tuple[list[int], int]:
        ids = prompt_ids(self.tokenizer, prompt, self.special)
        return (ids, 0) if self.max_length is None else cut_left(self.tokenizer, ids, self.max_length - room)
