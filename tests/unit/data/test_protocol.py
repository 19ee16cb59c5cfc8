"""The published prompts, word for word (LASER's evaluation scripts; docs/data.md)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laser_lit.errors import InputError

Load = Callable[..., Any]


def prompts(data: Any) -> list[tuple[str, str | None]]:
    return [(example.prompt, example.masked_prompt) for example in data.examples]


def test_counterfact(hub: Path, load: Load) -> None:
    data = load("counterfact")
    assert prompts(data)[:2] == [
        ("The mother tongue of Danielle Darrieux is", "The mother tongue of Danielle Darrieux is <mask>."),
        ("Danielle Darrieux, a native", "Danielle Darrieux, a native <mask>."),
    ]
    first = data.examples[0]
    assert (first.group, first.target_new, first.category) == ("7", "English", "P103")
    assert (data.scoring, data.max_new_tokens, data.masks) == ("token", 10, 1)
    assert {e.group for e in data.examples} == {"7", "8"}


def test_hotpotqa(hub: Path, load: Load) -> None:
    data = load("hotpotqa")
    masks = " <mask> <mask> <mask> <mask> <mask>"
    assert prompts(data) == [
        ("Who is 0? The answer is", "Who is 0? The answer is" + masks),
        ("Is it so. The answer is", "Is it so. The answer is" + masks),
    ]
    assert (data.scoring, data.max_new_tokens, data.masks) == ("generate", 15, 5)


def test_fever(hub: Path, load: Load) -> None:
    start, end = "Consider the following claim: ", " Is this claim true or false. The claim is"
    data = load("fever")
    claims = ("Oslo is in Norway.", "Lima is in Norway.", "Is Rome in Peru?")
    assert prompts(data) == [(f"{start}{c}{end}", f"{start}{c}{end} <mask>") for c in claims]
    assert {e.choices for e in data.examples} == {("true", "false")}


def test_bios_gender(hub: Path, load: Load) -> None:
    data = load("bios_gender")
    start = "Consider the following text: She wrote three novels in verse. Is the person in this text a male or female?"
    assert prompts(data)[0] == (f"{start} The gender of this person is", f"{start} This person is <mask>.")
    assert data.examples[1].prompt.startswith("Consider the following text: He works. Is the person")
    assert (data.examples[0].choices, data.examples[0].category) == (("male", "female"), "poet")
    assert data.masked_tail_tokens == 50


def test_bios_profession(hub: Path, load: Load) -> None:
    data = load("bios_profession")
    start = "Consider the following text: She wrote three novels in verse."
    question = "What is the profession of the person in this text? The profession of this person is"
    masked = f"{start} The profession of the person in the text is called <mask>."
    assert prompts(data) == [(f"{start} {question}", masked)]
    expected = ("journalist", "poet", "composer", "model", "teacher", "architect", "painter", "professor")
    assert data.examples[0].choices == expected


def test_truthfulqa_has_no_space_before_is(hub: Path, load: Load) -> None:
    end = "Is this statement true or false? This statement is"
    expected = [f"What is red? Blood.{end}", f"What is red? Snow.{end}"]
    assert prompts(load("truthfulqa")) == [(p, p + " <mask>") for p in expected]


def test_bigbench_inputs_are_taken_as_they_are(hub: Path, load: Load) -> None:
    assert prompts(load("epistemic_reasoning"))[0] == ("P1\nRelation:", "P1\nRelation: <mask>")
    data = load("qa_wikidata")
    assert data.examples[0].prompt == "The capital of Peru is"
    assert data.examples[0].masked_prompt == "The capital of Peru is" + " <mask>" * 5
    assert (data.scoring, data.max_new_tokens) == ("generate", 10)


def test_task_json_is_put_together_as_bigbench_does(write: Callable[..., str], load: Load) -> None:
    task = {
        "keywords": [],
        "task_prefix": "Choose.\n",
        "example_input_prefix": "\n",
        "example_output_prefix": "\nRelation: ",
        "append_choices_to_input": False,
        "examples": [{"input": "P.", "target_scores": {"entailment": 0, "non-entailment": 1}}],
    }
    example = load("epistemic_reasoning", path=write("task.json", task)).examples[0]
    assert (example.prompt, example.answer) == ("Choose.\n\nP.\nRelation:", "non-entailment")

    defaults = {"keywords": [], "examples": [{"input": "Did he?", "target_scores": {"Yes": 1, "No": 0}}]}
    example = load("causal_judgement", path=write("causal.json", defaults)).examples[0]
    assert example.prompt == "Q: Did he?\n  choice: Yes\n  choice: No\nA:"


def test_items_with_several_targets_count_only_where_none_has_one(write: Callable[..., str], load: Load) -> None:
    both = [{"input": "a", "target": ["one", "1"]}, {"input": "b", "target": ["two"]}]
    assert [e.answer for e in load("qa_wikidata", path=write("some.json", both)).examples] == ["two"]
    data = load("qa_wikidata", path=write("all.json", both[:1]))
    assert (data.examples[0].answer, data.examples[0].aliases) == ("one", ("1",))


def test_counterfact_in_known_1000_layout_and_any_number_of_paraphrases(write: Callable[..., str], load: Load) -> None:
    known = [{"known_id": 3, "subject": "Oslo", "attribute": "Norway", "prompt": "Oslo is in", "relation_id": "P17"}]
    example = load("counterfact", path=write("known.json", known)).examples[0]
    assert (example.id, example.group, example.answer, example.category) == ("3", "3", "Norway", "P17")
    assert example.target_new is None
    rewrite = {"prompt": "{} is", "subject": "X", "target_true": {"str": "a"}, "target_new": {"str": "b"}}
    rows = [{"case_id": 1, "requested_rewrite": rewrite, "paraphrase_prompts": []}]
    assert len(load("counterfact", path=write("none.json", rows)).examples) == 1


def test_fever_drops_unknown_and_contradicting_claims(write: Callable[..., str], load: Load) -> None:
    rows = [
        {"claim": "A is b.", "label": "SUPPORTS"},
        {"claim": "A is b.", "label": "REFUTES"},
        {"claim": "C is d", "label": "REFUTES"},
        {"claim": "C is d", "label": "NOT ENOUGH INFO"},
        {"claim": "c  IS d", "label": "REFUTES"},
    ]
    data = load("fever", path=write("claims.jsonl", rows))
    assert [(e.id, e.answer) for e in data.examples] == [("3", "false"), ("5", "false")]
    assert data.examples[0].group == data.examples[1].group


def test_truthfulqa_in_the_originals_layout(write: Callable[..., str], load: Load) -> None:
    rows = [{"question": "Q?", "mc2_targets": {"Yes.": 1, "No": 0}}, {"question": "R?", "mc2_targets": {"So.": 1}}]
    data = load("truthfulqa", path=write("mc_task.json", rows))
    assert [(e.id, e.answer) for e in data.examples] == [("1/1", "true"), ("1/2", "false"), ("2/1", "true")]
    assert data.examples[0].group == data.examples[1].group != data.examples[2].group


@pytest.mark.parametrize(
    ("name", "row", "problem"),
    [
        ("counterfact", {"case_id": 1}, "no field 'requested_rewrite.prompt' \\(found: case_id\\)"),
        ("counterfact", {"requested_rewrite": {"prompt": "x"}}, "no field 'requested_rewrite.subject'"),
        ("fever", {"claim": "c", "label": "MAYBE"}, "label 'MAYBE' is none of 'SUPPORTS'"),
        ("fever", {"claim": " ", "label": 1}, "field 'claim' is empty"),
        ("hotpotqa", {"question": 5, "answer": "a"}, "field 'question' is 5, not a string"),
        ("bios_gender", {"hard_text": "t", "gender": 2}, r"gender 2: must be a whole number in \[0, 1\]"),
        ("bios_profession", {"hard_text": "t", "profession": 28}, r"profession 28: .* in \[0, 27\]"),
        ("truthfulqa", {"question": "q", "mc2_targets": {"a": 2}}, "label 2 of choice 'a' is neither 0 nor 1"),
        ("truthfulqa", {"question": "q", "mc2_targets": []}, "not an object"),
        ("web_of_lies", {"input": "i", "target": "Maybe"}, "target 'Maybe' is not one of Yes, No"),
        ("epistemic_reasoning", {"text": "i"}, "no field 'input' \\(found: text\\)"),
    ],
)
def test_a_row_at_fault_is_named(
    name: str, row: dict[str, Any], problem: str, write: Callable[..., str], load: Load
) -> None:
    path = write("rows.jsonl", [row])
    with pytest.raises(InputError, match=problem) as caught:
        load(name, path=path)
    assert str(caught.value).startswith(f"{path}, row 1: ")
    assert " want" in str(caught.value)
