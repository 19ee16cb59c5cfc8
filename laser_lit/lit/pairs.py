"""Prompts with the answers that a training teaches, as padded batches with labels on the answers alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from laser_lit.data.example import Example, ExampleSet
from laser_lit.errors import InputError
from laser_lit.lit.finetune import PROMPT, Batch
from laser_lit.lit.windows import Rows
from laser_lit.scoring.batches import pad_token
from laser_lit.scoring.tokens import answers_ids, cut_left, prompt_ids, separate

IGNORED = -100


@dataclass(frozen=True)
class Pair:
    """One prompt and its answer as token ids; neither is empty."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True)
class PairRows:
    """Prompts with answers as rows of a training.

    Attributes:
        pairs: the rows.
        pad_id: id of the padding, which is never attended to.
    """

    pairs: tuple[Pair, ...]
    pad_id: int

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Returns some pairs, padded on the right: labels on the answers, `prompt` where the prompts are."""
        chosen = [self.pairs[row] for row in rows]
        width = max(len(pair.prompt) + len(pair.answer) for pair in chosen)
        ids = torch.full((len(chosen), width), self.pad_id)  # (batch, width)
        labels = torch.full_like(ids, IGNORED)
        prompt = torch.zeros_like(ids, dtype=torch.bool)
        for row, pair in enumerate(chosen):
            begin, end = len(pair.prompt), len(pair.prompt) + len(pair.answer)
            ids[row, :end] = torch.tensor(pair.prompt + pair.answer)
            labels[row, begin:end] = ids[row, begin:end]
            prompt[row, :begin] = True
        mask = (prompt | (labels != IGNORED)).long()
        return {"input_ids": ids, "attention_mask": mask, "labels": labels, PROMPT: prompt}


@dataclass(frozen=True)
class Pairs:
    """What interventions are trained on.

    Attributes:
        train: trained on.
        held_out: looked at now and then.
        pad_id: id of the padding.
    """

    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]
    pad_id: int

    @property
    def counts(self) -> dict[str, int]:
        """How many are trained on and held out."""
        return {"train": len(self.train), "held_out": len(self.held_out)}

    @property
    def rows(self) -> tuple[Rows, Rows]:
        """What is trained on, and what is held out."""
        return PairRows(self.train, self.pad_id), PairRows(self.held_out, self.pad_id)


def training_pairs(
    examples: ExampleSet, train: Sequence[int], held_out: Sequence[int], tokenizer: Any, max_length: int | None
) -> Pairs:
    """Returns the prompts and answers of a data set as the model is asked them when it is scored.

    What is taught is the example's completion, else its answer. A generated answer ends with the end-of-text token; one
    that is read off (a word, a choice) does not. A prompt that is too long loses its beginning.

    Args:
        examples: the data set.
        train: numbers of the examples to train on.
        held_out: numbers of those held out.
        tokenizer: the model's.
        max_length: tokens of prompt and answer together; None: no limit.

    Raises:
        InputError: an answer that leaves no room for its prompt.
    """

    def pair(number: int) -> Pair:
        return _pair(examples, examples.examples[number], tokenizer, max_length)

    return Pairs(tuple(map(pair, train)), tuple(map(pair, held_out)), pad_token(tokenizer))


def _pair(examples: ExampleSet, example: Example, tokenizer: Any, max_length: int | None) -> Pair:
    special = not examples.chat_template
    prompt, gap = separate(example.prompt) if special else (example.prompt, "")
    taught = example.answer if example.completion is None else example.completion
    answer = answers_ids(tokenizer, prompt, gap, [taught.strip()], special)[0]
    if examples.scoring == "generate" and tokenizer.eos_token_id is not None:
        answer = [*answer, tokenizer.eos_token_id]
    ids = prompt_ids(tokenizer, prompt, special)
    if max_length is not None:
        if len(answer) >= max_length:
            raise InputError(
                f"example {example.id} of {examples.name}: its answer has {len(answer)} tokens, which leaves no room "
                f"for a prompt in {max_length}; raise reft.max_length, or leave long answers out with "
                "data.max_answer_tokens=N"
            )
        ids, _ = cut_left(tokenizer, ids, max_length - len(answer))
    return Pair(tuple(ids), tuple(answer))
