"""Examples as requests for masked models: as many masks as answer tokens, and the published count."""

from collections.abc import Callable
from typing import Any

import pytest

from laser_lit.data.example import MASK, Example, ExampleSet
from laser_lit.errors import InputError
from laser_lit.scoring.requests import encode
from laser_lit.scoring.score import score

FIRST, MASK_ID = 5, 3


def one(scoring: str, masked: str | None, answer: str = "w4", masks: int = 1, **fields: Any) -> ExampleSet:
    example = Example("e", "g", "w1 w2", answer, masked_prompt=masked, **fields)
    return ExampleSet("one", scoring, (example,), "r", masks=masks)  # type: ignore[arg-type]


def ids(*numbers: int) -> tuple[int, ...]:
    return tuple(FIRST + n for n in numbers)


def test_one_token_answers_are_read_at_the_mask(tokenizer: Any) -> None:
    (request,) = encode(one("token", f"w1 w2 {MASK} w3", target_new="w9"), tokenizer, "masked")
    assert request.tokens == (*ids(1, 2), MASK_ID, *ids(3))
    assert (request.role, request.reads, request.targets) == ("token", (2, 2), ids(4, 9))


def test_longer_answers_get_as_many_masks_as_tokens(tokenizer: Any) -> None:
    predict, answer = encode(one("generate", f"w1 {MASK} {MASK} {MASK} w3", "w4 w5"), tokenizer, "masked")
    assert (predict.role, predict.tokens) == ("masks", (*ids(1), *[MASK_ID] * 3, *ids(3)))
    assert (predict.reads, predict.targets) == ((1, 2, 3), ())
    assert (answer.role, answer.tokens) == ("answer", (*ids(1), MASK_ID, MASK_ID, *ids(3)))
    assert (answer.reads, answer.targets, answer.length) == ((1, 2), ids(4, 5), 2)


def test_the_protocol_says_how_many_masks_predict(tokenizer: Any) -> None:
    predict, _ = encode(one("generate", f"w1 {MASK}", masks=5), tokenizer, "masked")
    assert predict.tokens.count(MASK_ID) == 5


def test_paper_masks_the_answer_after_the_prompt_and_counts_one_more(bos_tokenizer: Any) -> None:
    _, answer = encode(one("generate", f"w1 w2 {MASK}", "w4 w5"), bos_tokenizer, "masked", "paper")
    assert answer.tokens == (*ids(1, 2), MASK_ID, MASK_ID)  # no begin token
    assert (answer.reads, answer.targets, answer.length) == ((2, 3), ids(4, 5), 3)


def test_choices_without_a_masked_prompt_follow_the_prompt(tokenizer: Any) -> None:
    data = one("choice", None, choices=("w4", "w5"))
    (request,) = encode(data, tokenizer, "masked")
    assert (request.role, request.tokens) == ("choices", (*ids(1, 2), MASK_ID))
    paper = encode(data, tokenizer, "masked", "paper")
    assert [(r.role, r.targets, r.length) for r in paper] == [("choice 0", ids(4), 2), ("choice 1", ids(5), 2)]


def test_longer_choices_are_one_sequence_each(tokenizer: Any) -> None:
    first, second = encode(one("choice", f"w1 {MASK} w3", choices=("w4", "w5 w6")), tokenizer, "masked")
    assert (first.tokens.count(MASK_ID), second.tokens.count(MASK_ID)) == (1, 2)
    assert (first.targets, second.targets) == (ids(4), ids(5, 6))


def test_long_prompts_are_cut_around_the_masks(bos_tokenizer: Any) -> None:
    def tokens(text: str) -> tuple[tuple[int, ...], int]:
        (request,) = encode(one("token", text), bos_tokenizer, "masked", max_length=4)
        return request.tokens, request.dropped

    assert tokens(f"w1 w2 w3 w4 {MASK}") == ((1, *ids(3, 4), MASK_ID), 2)
    assert tokens(f"{MASK} w1 w2 w3 w4") == ((1, MASK_ID, *ids(1, 2)), 2)
    assert tokens(f"w0 {MASK} w1 w2 w3 w4") == ((1, MASK_ID, *ids(1, 2)), 3)


@pytest.mark.parametrize(
    ("text", "message"), [("w1 w2", "0 places"), (f"{MASK} w1 {MASK}", "2 places"), (f"{MASK} " * 5, "do not fit")]
)
def test_bad_masks_are_refused(tokenizer: Any, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(one("generate", text), tokenizer, "masked", max_length=4)


def test_a_tokenizer_without_mask_is_refused(tokenizer: Any, sets: Callable) -> None:
    import copy

    bare = copy.deepcopy(tokenizer)
    bare.mask_token = None
    with pytest.raises(InputError, match="no mask token"):
        encode(sets("token"), bare, "masked")


def test_prediction_joins_the_most_probable_tokens(models_by_name: Callable, tokenizer: Any, sets: Callable) -> None:
    table = score(models_by_name("bert"), tokenizer, sets("generate", 2))
    assert all(1 <= len(text.split()) <= 2 for text in table["prediction"])
    assert table["n_tokens"].tolist() == [2] * len(table)
    paper = score(models_by_name("bert"), tokenizer, sets("generate", 2), "paper")
    assert paper["n_tokens"].tolist() == [3] * len(table)
