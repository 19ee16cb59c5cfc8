"""Examples and text as token requests, for causal and for masked models."""

from typing import Any, Literal

from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.data.matching import MatchedSet
from laser_lit.data.pairs import PairSet
from laser_lit.errors import InputError, unknown_name
from laser_lit.scoring.causal import encode_causal
from laser_lit.scoring.masked import encode_masked
from laser_lit.scoring.pairs import encode_pairs
from laser_lit.scoring.perplexity import encode_windows
from laser_lit.scoring.request import Protocol, Request, RequestScore, check_protocol

__all__ = ["Protocol", "Request", "RequestScore", "encode"]


def encode(
    examples: ExampleSet | TextSet,
    tokenizer: Any,
    kind: Literal["causal", "masked"] = "causal",
    scoring: Protocol = "strict",
    max_length: int | None = None,
    *,
    window: int | None = None,
    stride: int | None = None,
) -> list[Request]:
    """Returns what to ask of a model to score a data set.

    Args:
        examples: the data set.
        tokenizer: the model's tokenizer.
        kind: what the model predicts: the next token, or masked tokens.
        scoring: "strict", or "paper" for the published protocol with its faults.
        max_length: tokens the model takes; longer prompts lose their beginning. None: no limit.
        window: text only: tokens in a window; default the text's own, or `max_length` where that is less.
        stride: text only: tokens scored in a window, the rest being context; default `window`.

    Raises:
        InputError: an example has no answer, an answer is not among its choices, a sequence-to-sequence model.
    """
    check_protocol(scoring)
    _check_model(kind, max_length)
    if isinstance(examples, TextSet):
        if kind == "masked":
            raise InputError(f"perplexity on {examples.name} needs a causal model; a masked model has none")
        return encode_windows(examples, tokenizer, scoring, max_length, window, stride)
    if isinstance(examples, MatchedSet) and (kind == "masked" or scoring == "paper"):
        raise InputError(f"data {examples.name} is scored by its own rules: a causal model, and scoring=strict")
    if isinstance(examples, PairSet):
        return encode_pairs(examples, tokenizer, max_length)
    _check(examples)
    if kind == "masked" and examples.chat_template:
        raise InputError("a masked model has no chat template; leave data.chat_template off")
    if kind == "masked":
        return encode_masked(examples, tokenizer, scoring, max_length)
    return encode_causal(examples, tokenizer, scoring, max_length)


def _check_model(kind: str, max_length: int | None) -> None:
    if kind not in ("causal", "masked"):
        raise unknown_name("kind of model", kind, ("causal", "masked"))
    if max_length is not None and max_length < 2:
        raise InputError(f"max_length {max_length}: must be at least 2 tokens")


def refuse_labels(examples: ExampleSet | TextSet) -> None:
    """Raises an error for labelled texts, which a language model has no head for.

    Raises:
        InputError: says what does take them.
    """
    if isinstance(examples, ExampleSet) and examples.scoring == "label":
        raise InputError(
            f"data {examples.name} has labels for a classifier, not answers for a language model; "
            f"python train.py task=reft data={examples.name} trains one and evaluates it"
        )


def _check(examples: ExampleSet) -> None:
    refuse_labels(examples)
    if not examples.examples:
        raise InputError(f"{examples.name} has no examples; raise data.limit or check data.path")
    if examples.scoring not in ("token", "choice", "generate"):
        raise unknown_name("scoring of a data set", examples.scoring, ("token", "choice", "generate"))
    for example in examples.examples:
        if not example.answer.strip():
            raise InputError(f"example {example.id} of {examples.name} has an empty answer")
        if examples.scoring == "choice" and example.answer not in example.choices:
            raise InputError(
                f"example {example.id} of {examples.name}: answer {example.answer!r} is not among its choices "
                f"{list(example.choices)}"
            )
