"""Answers as tokens under the two great families of tokenizers, and prompts cut on the left."""

from typing import Any

import pytest
from tokenizers import processors

from laser_lit.data.example import Example, ExampleSet
from laser_lit.errors import InputError
from laser_lit.scoring.requests import encode
from laser_lit.scoring.tokens import (
    answer_length,
    answers_ids,
    begins_with_bos,
    cut_left,
    ids_of,
    prompt_ids,
    separate,
)


def test_gpt_answers_carry_the_space(gpt: Any) -> None:
    assert answers_ids(gpt, "claim is", " ", ["true"])[0] == ids_of(gpt, " true")
    assert len(ids_of(gpt, " true")) == 1


def test_llama_answers_are_the_id_after_bos(llama: Any) -> None:
    assert answers_ids(llama, "claim is", " ", ["true"])[0] == ids_of(llama, "true")[1:]
    assert len(ids_of(llama, "true")) == 2
    assert begins_with_bos(llama)


def test_gpt_adds_no_bos(gpt: Any) -> None:
    assert not begins_with_bos(gpt)


def test_bos_in_the_text_is_not_doubled(llama: Any) -> None:
    assert prompt_ids(llama, "<s>claim").count(1) == 1
    assert prompt_ids(llama, "claim", special=False).count(1) == 0


def test_an_end_token_that_the_tokenizer_appends_is_taken_off(bos_tokenizer: Any) -> None:
    import copy

    tokenizer = copy.deepcopy(bos_tokenizer)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    assert ids_of(tokenizer, "w1") == [1, 6, 2]
    assert prompt_ids(tokenizer, "w1") == [1, 6]


def test_trailing_spaces_move_to_the_answer(gpt: Any) -> None:
    prompt, gap = separate("claim is ")
    assert (prompt, gap) == ("claim is", " ")
    assert answers_ids(gpt, prompt, gap, ["true"])[0] == ids_of(gpt, " true")
    assert separate("claim:\n") == ("claim:\n", "")
    assert separate("claim") == ("claim", " ")


def test_an_answer_that_merges_with_the_prompt_is_tokenized_apart(gpt: Any) -> None:
    prompt = "claim is "  # its space joins the answer, so the prompt's own ids are no prefix
    assert answers_ids(gpt, prompt, "", ["true"])[0] == ids_of(gpt, "true")


def test_answer_length_counts_back_from_the_end(gpt: Any) -> None:
    ids = ids_of(gpt, "claim is true")
    assert answer_length(gpt, ids, "true") == 1
    assert answer_length(gpt, ids, "is true") == 2
    assert answer_length(gpt, ids, "absent") is None


def test_cutting_keeps_the_end_and_the_begin_token(bos_tokenizer: Any) -> None:
    ids = ids_of(bos_tokenizer, "w1 w2 w3 w4")
    assert cut_left(bos_tokenizer, ids, 3) == ([1, 8, 9], 2)
    assert cut_left(bos_tokenizer, ids, 5) == (ids, 0)
    assert cut_left(bos_tokenizer, ids[1:], 3) == ([7, 8, 9], 1)


def test_an_empty_prompt_is_the_begin_token_or_an_error(gpt: Any, tokenizer: Any) -> None:
    assert prompt_ids(gpt, "") == [0]

    class Bare:
        bos_token = bos_token_id = eos_token = eos_token_id = None

        def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
            return {"input_ids": [[] for _ in texts]}

    with pytest.raises(InputError, match="no tokens"):
        prompt_ids(Bare(), "")


def test_paper_does_not_score_a_space_that_is_a_token_by_itself(llama: Any) -> None:
    data = ExampleSet("one", "generate", (Example("e", "g", "claim is", "ab"),), "r")
    (_, strict), (_, paper) = (encode(data, llama, scoring=name) for name in ("strict", "paper"))
    space, a, b = ids_of(llama, "ab")[1:]
    assert strict.tokens == paper.tokens == (*ids_of(llama, "claim is"), space, a)
    assert (strict.targets, strict.length) == ((space, a, b), 3)
    assert (paper.targets, paper.length) == ((a, b), 2)
    assert paper.reads == strict.reads[1:]
