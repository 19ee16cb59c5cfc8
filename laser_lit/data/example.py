"""What a task asks: examples with their answers, and plain text for perplexity."""

from dataclasses import dataclass, field
from typing import Literal

MASK = "<mask>"
"""Placeholder for the mask token in `Example.masked_prompt`; replaced by the tokenizer's own."""

Scoring = Literal["token", "choice", "generate", "greedy", "label"]


@dataclass(frozen=True)
class Example:
    """One prompt with its answer.

    Attributes:
        id: unique within the data set, stable across runs.
        group: what the split and the statistics resample (fact, claim, question, document).
        prompt: text given to a causal model.
        answer: the gold answer without leading space.
        choices: all answers of a choice task, the gold one among them; empty for the others.
        aliases: further accepted answers of a generated answer.
        target_new: CounterFact's false object, for P(target_true) > P(target_new).
        masked_prompt: text for a masked model, with MASK where the answer goes (as often as the protocol says).
        category: kind of example (CounterFact's relation, say), for tables.
        masked_text: the part of `masked_prompt` that is shortened to `ExampleSet.masked_tail_tokens`.
        completion: text that training teaches after the prompt, and of which the log loss of a generated answer is
            taken, without outer white space; None means the answer.
        second: the other text of a pair that a classifier is given after `prompt`.
        subject: what the fact is about, for its frequency in a corpus.
    """

    id: str
    group: str
    prompt: str
    answer: str
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    target_new: str | None = None
    masked_prompt: str | None = None
    category: str | None = None
    masked_text: str | None = None
    completion: str | None = None
    second: str | None = None
    subject: str | None = None

    @property
    def golds(self) -> tuple[int, ...]:
        """Places in `choices` of the right ones; the log prob of the first is the log loss."""
        return (self.choices.index(self.answer),)


@dataclass(frozen=True)
class ExampleSet:
    """A data set of examples under one scoring.

    Attributes:
        name: as typed after `data=`.
        scoring: "token" (argmax of the one-token answer, else generated), "choice" (the most probable choice),
            "generate" (greedy, the answer contained), "greedy" (every token of the answer is the most probable one),
            "label" (a classifier's label, or a score where `Example.choices` is empty).
        examples: in file order.
        revision: commit of the hub's data set, or the content hash of the file that was read.
        max_new_tokens: length of a generated answer.
        masks: how many masks a masked model is given for a generated answer.
        masked_tail_tokens: a masked model sees only this many last tokens of `Example.masked_text`; None once that has
            been done (`laser_lit.data.tokenized.shorten_masked_texts`), or where nothing is shortened.
        chat_template: prompts are whole chat turns as the tokenizer's template writes them, special tokens included:
            tokenize them without adding special tokens, and the answer without a leading space.
    """

    name: str
    scoring: Scoring
    examples: tuple[Example, ...]
    revision: str
    max_new_tokens: int = 10
    masks: int = 1
    masked_tail_tokens: int | None = None
    chat_template: bool = False


@dataclass(frozen=True)
class TextSet:
    """Plain text for perplexity.

    Attributes:
        name: as typed after `data=`.
        documents: the texts, each a document (one for a plain text file).
        revision: as in ExampleSet.
        groups: a group a document; empty when `documents` is one running text, which is then cut into groups.
        window: tokens a window (windows do not overlap).
    """

    name: str
    documents: tuple[str, ...]
    revision: str
    groups: tuple[str, ...] = field(default=())
    window: int = 384
