"""What depends on the evaluated model's tokenizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.tokenized import apply_chat_template, limit_answer_tokens, shorten_masked_texts
from laser_lit.errors import InputError

Load = Callable[..., Any]
Write = Callable[[str, Any], str]


def test_masked_bios_see_the_last_tokens_with_their_own_full_stop(write: Write, load: Load, tokenizer: Any) -> None:
    row = {"hard_text": "a b c d e", "gender": 0, "profession": 20}
    path = write("bios.jsonl", [row])
    data = load("bios_gender", tokenizer, path=path, masked_tail_tokens=3)
    expected = "Consider the following text: c d e. Is the person in this text a male or female? This person is <mask>."
    assert data.examples[0].masked_prompt == expected
    assert "a b c d e." in data.examples[0].prompt
    assert data.masked_tail_tokens is None
    assert shorten_masked_texts(data, tokenizer) is data
    assert "a b c d e." in load("bios_gender", path=path).examples[0].masked_prompt


def test_long_answers_are_dropped(write: Write, load: Load, tokenizer: Any) -> None:
    rows = [{"question": "q", "answer": "yes"}, {"question": "r", "answer": "yes no maybe"}]
    path = write("hotpot.json", rows)
    assert len(load("hotpotqa", path=path).examples) == 2
    assert [e.answer for e in load("hotpotqa", tokenizer, path=path, max_answer_tokens=2).examples] == ["yes"]
    assert len(load("hotpotqa", tokenizer, path=path, max_answer_tokens=3).examples) == 2
    with pytest.raises(InputError, match=r"data\.max_answer_tokens 1: no answer of hotpotqa is that short"):
        limit_answer_tokens(load("hotpotqa", path=write("long.json", rows[1:])), tokenizer, 1)


def test_the_chat_template_is_applied_once_and_only_on_request(hub: Path, load: Load, tokenizer: Any) -> None:
    assert not load("web_of_lies", tokenizer).chat_template
    data = load("web_of_lies", tokenizer, chat_template=True)
    assert data.examples[0].prompt == "<|user|>Question: Does Ann lie?<|end|><|assistant|>"
    assert data.examples[0].masked_prompt == "Question: Does Ann lie? <mask>"
    assert data.chat_template
    assert apply_chat_template(data, tokenizer) is data


def test_a_tokenizer_without_a_template_is_an_error(hub: Path, load: Load, tokenizer: Any) -> None:
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="has no chat template; leave it false"):
        load("web_of_lies", tokenizer, chat_template=True)


def test_of_an_example_with_a_completion_that_is_counted(tokenizer: Any) -> None:
    short, long = Example("1", "g", "a", "b", completion="c d"), Example("2", "g", "a", "b", completion="c d e")
    data = ExampleSet("x", "generate", (short, long, Example("3", "g", "a", "b c")), "r")
    assert [example.id for example in limit_answer_tokens(data, tokenizer, 2).examples] == ["1", "3"]
