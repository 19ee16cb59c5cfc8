"""LLM-Adapters' questions: prompts, what is taught, and how answers are judged."""

from collections.abc import Callable
from typing import Any

import pytest

from laser_lit.data.matching import AfterTrigger, MatchedSet, NumberOrLetter
from laser_lit.errors import InputError

Load, Write = Callable[..., Any], Callable[[str, Any], str]
BOOL = {"instruction": "Is it so?\n\nAnswer format: true/false", "input": "", "output": "x", "answer": "true"}
SUM = {"instruction": "2 and 2?", "input": "", "output": "\nA: 2 + 2 = 4. The answer is 4.", "answer": "4.0"}
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n2 and 2?\n\n### Response:\n"
)


@pytest.fixture
def one(write: Write, load: Load) -> Load:
    def load_one(name: str, row: dict[str, Any], **settings: Any) -> Any:
        return load(name, path=write("test.json", [row]), **settings).examples[0]

    return load_one


def test_commonsense_teaches_the_answer_after_its_trigger(write: Write, load: Load) -> None:
    data = load("commonsense", path=write("test.json", [BOOL, BOOL | {"answer": "false"}]))
    assert isinstance(data, MatchedSet)
    assert (data.scoring, data.max_new_tokens, data.match) == ("generate", 32, AfterTrigger("the correct answer is "))
    first, second = data.examples
    assert first.prompt == BOOL["instruction"] + "\n"
    assert (first.answer, first.completion) == ("true", "the correct answer is true")
    assert first.group == second.group
    assert first.id != second.id


def test_math_teaches_the_output(write: Write, load: Load) -> None:
    data = load("math", path=write("test.json", [SUM]))
    assert (data.scoring, data.max_new_tokens, data.match) == ("generate", 512, NumberOrLetter())
    (example,) = data.examples
    assert example.prompt == ALPACA
    assert (example.answer, example.completion) == ("4.0", "A: 2 + 2 = 4. The answer is 4.")
    assert load("math", path=write("test.json", [SUM]), max_new_tokens=5).max_new_tokens == 5


@pytest.mark.parametrize(
    ("output", "answer", "taught"),
    [
        ("\nA: 5. The answer is 5.", "4.0", "The answer is 4."),
        ("", "4.0", "The answer is 4."),
        (None, "-1,200.5", "The answer is -1,200.5."),
        ("it is (B).", "B", "it is (B)."),
        ("it is (C).", "B", "The answer is B."),
    ],
)
def test_an_output_that_comes_to_another_answer_is_not_taught(one: Load, output: Any, answer: str, taught: str) -> None:
    assert one("math", SUM | {"output": output, "answer": answer}).completion == taught


def test_inputs_and_other_templates(one: Load) -> None:
    assert one("commonsense", BOOL | {"input": "more"}).prompt == BOOL["instruction"] + "\nmore\n"
    asked = one("math", SUM | {"input": "more"}).prompt
    assert "paired with an input" in asked
    assert "### Input:\nmore\n\n### Response:\n" in asked
    assert one("math", SUM, prompt=r"{instruction}\n").prompt == "2 and 2?\n"


def test_several_files_are_parts(write: Write, load: Load) -> None:
    paths = [write("a.json", [SUM]), write("b.jsonl", [SUM, SUM | {"instruction": "other"}])]
    data = load("math", path=paths)
    assert [example.id for example in data.examples] == ["a/1", "b/1", "b/2"]
    assert len({example.group for example in data.examples}) == 2


@pytest.mark.parametrize(
    ("name", "row", "problem"),
    [
        ("commonsense", {"instruction": "q"}, "no field 'answer'"),
        ("commonsense", BOOL | {"answer": " "}, "field 'answer' is empty"),
        ("math", SUM | {"answer": "3/4"}, "answer '3/4' is neither a number nor one of the letters A, B, C, D, E"),
        ("math", SUM | {"answer": "AB"}, "answer 'AB' is neither"),
        ("math", SUM | {"answer": ""}, "answer '' is neither"),
        ("math", {"question": "q"}, "no field 'instruction'"),
    ],
)
def test_rows_at_fault_are_named(one: Load, name: str, row: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=r"test\.json, row 1: .*" + re_escaped(problem)):
        one(name, row)


def re_escaped(text: str) -> str:
    return text.replace("(", r"\(").replace(")", r"\)")


@pytest.mark.parametrize("name", ["commonsense", "math"])
def test_without_a_file_the_public_original_is_named(load: Load, name: str) -> None:
    with pytest.raises(InputError, match=r"needs data\.path .*AGI-Edgerunners/LLM-Adapters"):
        load(name)
    with pytest.raises(InputError, match=r"nowhere\.json: no such file.*AGI-Edgerunners/LLM-Adapters"):
        load(name, path="nowhere.json")
