"""Examples as requests for causal models, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from laser_lit.data.example import Example, ExampleSet, TextSet
from laser_lit.errors import InputError, UnknownNameError
from laser_lit.scoring.requests import encode

FIRST = 5  # id of w0


def one(scoring: str, **fields: Any) -> ExampleSet:
    example = Example(**{"id": "e", "group": "g", "prompt": "w1 w2 w3", "answer": "w4", **fields})
    return ExampleSet("one", scoring, (example,), "r", max_new_tokens=3)  # type: ignore[arg-type]


def ids(*numbers: int) -> tuple[int, ...]:
    return tuple(FIRST + n for n in numbers)


def test_one_token_choices_share_one_sequence(tokenizer: Any) -> None:
    (request,) = encode(one("choice", choices=("w4", "w5")), tokenizer)
    assert (request.role, request.tokens) == ("choices", ids(1, 2, 3))
    assert (request.reads, request.targets) == ((2, 2), ids(4, 5))


def test_longer_choices_are_teacher_forced(tokenizer: Any) -> None:
    first, second = encode(one("choice", choices=("w4", "w5 w6")), tokenizer)
    assert (first.role, second.role) == ("choice 0", "choice 1")
    assert (first.tokens, first.reads, first.targets) == (ids(1, 2, 3), (2,), ids(4))
    assert (second.tokens, second.reads, second.targets) == (ids(1, 2, 3, 5), (2, 3), ids(5, 6))
    assert second.length == 2


def test_choices_see_the_same_cut_prompt(tokenizer: Any) -> None:
    first, second = encode(one("choice", choices=("w4", "w5 w6 w7")), tokenizer, max_length=4)
    assert first.tokens == ids(2, 3)
    assert second.tokens == ids(2, 3, 5, 6)
    assert first.dropped == second.dropped == 1


def test_one_token_answer_and_false_object_share_one_read(tokenizer: Any) -> None:
    (request,) = encode(one("token", target_new="w9"), tokenizer)
    assert (request.role, request.reads, request.targets) == ("token", (2, 2), ids(4, 9))


def test_a_longer_false_object_is_teacher_forced(tokenizer: Any) -> None:
    token, new = encode(one("token", target_new="w8 w9"), tokenizer)
    assert (token.role, token.targets) == ("token", ids(4))
    assert (new.role, new.targets, new.length) == ("target_new", ids(8, 9), 2)


def test_longer_answers_are_generated_and_teacher_forced(tokenizer: Any) -> None:
    generate, answer = encode(one("token", answer="w4 w5"), tokenizer)
    assert (generate.role, generate.tokens, generate.max_new_tokens) == ("generate", ids(1, 2, 3), 3)
    assert (answer.role, answer.tokens, answer.targets) == ("answer", ids(1, 2, 3, 4), ids(4, 5))


def test_paper_generates_one_token_answers_under_llama_tokenizers_alone(tokenizer: Any, bos_tokenizer: Any) -> None:
    roles = [[r.role for r in encode(one("token"), t, scoring="paper")] for t in (tokenizer, bos_tokenizer)]
    assert roles == [["token"], ["generate", "answer"]]
    assert [r.role for r in encode(one("token"), bos_tokenizer)] == ["token"]


def test_prompts_that_generate_leave_room(tokenizer: Any) -> None:
    generate, answer = encode(one("generate"), tokenizer, max_length=5)
    assert (generate.tokens, generate.dropped) == (ids(2, 3), 1)
    assert (answer.tokens, answer.dropped) == (ids(1, 2, 3), 0)


def test_chat_turns_get_no_special_tokens_and_no_space(bos_tokenizer: Any) -> None:
    turn = replace(one("choice", choices=("w4", "w5"), prompt="[BOS] w0 w1 w2 w3 w9 "), chat_template=True)
    (request,) = encode(turn, bos_tokenizer)
    assert request.tokens == (1, *ids(0, 1, 2, 3, 9))
    assert request.targets == ids(4, 5)
    with pytest.raises(InputError, match="masked model has no chat template"):
        encode(turn, bos_tokenizer, "masked")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (one("token", answer=" "), "example e of one has an empty answer"),
        (one("choice", choices=("w1", "w2")), "'w4' is not among its choices"),
        (ExampleSet("none", "token", (), "r"), "none has no examples"),
        (one("tokens"), "unknown scoring of a data set 'tokens'; nearest: token"),
        (one("token", answer="w1 w2 w3 w4 w5"), "has 5 tokens, too many for 4"),
        (replace(one("generate"), max_new_tokens=4), "max_new_tokens 4"),
    ],
)
def test_bad_examples_are_refused(tokenizer: Any, data: ExampleSet, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(data, tokenizer, max_length=4)


def test_bad_arguments_are_refused(tokenizer: Any, sets: Callable) -> None:
    with pytest.raises(UnknownNameError, match="nearest: paper"):
        encode(sets("token"), tokenizer, scoring="papers")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"unknown kind of model .seq2seq."):
        encode(sets("token"), tokenizer, "seq2seq")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="kind of model"):
        encode(sets("token"), tokenizer, "causl")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_length 1"):
        encode(sets("token"), tokenizer, max_length=1)
    with pytest.raises(InputError, match="needs a causal model"):
        encode(TextSet("text", ("w1 w2",), "r"), tokenizer, "masked")
