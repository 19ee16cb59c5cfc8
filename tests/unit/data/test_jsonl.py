"""Anybody's own task: templates, answers, choices, groups; and the same on Hydra's command line."""

from collections.abc import Callable
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.config_data import quote_templates
from laser_lit.errors import InputError

ROW = {"question": "2 + 2?", "answer": "4", "options": ["3", "4"], "topic": {"name": "sums"}, "label": 1, "ok": True}
Write = Callable[[str, Any], str]
Load = Callable[..., Any]


@pytest.fixture
def one(write: Write, load: Load) -> Load:
    """Loads one row through data=jsonl and returns its example."""

    def load_one(row: dict[str, Any] = ROW, **settings: Any) -> Any:
        settings = {"prompt": "{question} Answer:", "answer": "answer"} | settings
        return load("jsonl", path=write("task.jsonl", [row]), **settings).examples[0]

    return load_one


def test_prompt_and_answer(one: Load) -> None:
    example = one()
    assert (example.prompt, example.answer, example.choices) == ("2 + 2? Answer:", "4", ())
    assert example.masked_prompt == "2 + 2? Answer: <mask> <mask> <mask> <mask> <mask>"
    assert one({"question": "q", "answer": ["a", "b"]}).aliases == ("b",)


def test_scoring_follows_choices_unless_it_is_named(write: Write, load: Load) -> None:
    path = write("task.jsonl", [ROW])
    base = {"path": path, "prompt": "{question}", "answer": "answer"}
    assert (load("jsonl", **base).scoring, load("jsonl", **base).max_new_tokens) == ("generate", 10)
    assert load("jsonl", **base, choices="options").scoring == "choice"
    assert load("jsonl", **base, score_as="token", max_new_tokens=3, masks=2).max_new_tokens == 3
    with pytest.raises(InputError, match=r"needs data\.choices"):
        load("jsonl", **base, score_as="choice")
    with pytest.raises(InputError, match=r"unknown data\.score_as 'tokn'; nearest: token"):
        load("jsonl", **base, score_as="tokn")


def test_choices_from_a_field_or_a_list(one: Load) -> None:
    assert one(choices="options").choices == ("3", "4")
    assert one(choices="options", answer="label").answer == "4"
    example = one(choices=["yes", "no", "4"])
    assert (example.choices, example.masked_prompt) == (("yes", "no", "4"), "2 + 2? Answer: <mask>")
    assert one(choices=[True, False], answer="ok").answer == "true"


def test_groups(one: Load) -> None:
    assert one(group="topic.name").group == "sums"
    assert one().group == one({"question": "2  +  2?", "answer": "5"}).group
    with pytest.raises(InputError, match=r"field 'topic' is .* not a name"):
        one(group="topic")


def test_masked_prompt_template(one: Load) -> None:
    assert one(masked_prompt="{question} It is <mask>.").masked_prompt == "2 + 2? It is <mask>."
    with pytest.raises(InputError, match="has no <mask> where the answer goes"):
        one(masked_prompt="{question}")
    with pytest.raises(InputError, match=r"data\.masked_prompt '\{question <mask>': bad brace"):
        one(masked_prompt="{question <mask>")


def test_places_of_choices_in_csv_are_numbers_too(write: Write, load: Load) -> None:
    path = write("quiz.csv", "question,label\na,1\nb,0\nc,2\n")
    settings = {"path": path, "prompt": "{question}", "answer": "label", "choices": ["yes", "no", "2"]}
    assert [example.answer for example in load("jsonl", **settings).examples] == ["no", "yes", "2"]
    with pytest.raises(InputError, match=r"row 3: answer '2' is not one of the choices \['yes', 'no'\], nor the place"):
        load("jsonl", **{**settings, "choices": ["yes", "no"]})


def test_templates_know_braces_new_lines_and_inner_fields(one: Load) -> None:
    assert one(prompt=r"{{{topic.name}}}\n{options}").prompt == "{sums}\n3\n4"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"prompt": "{question"}, r"data\.prompt '\{question': bad brace at character 1"),
        ({"prompt": "a } {question}"}, "bad brace at character 3"),
        ({"prompt": "{} x"}, "bad brace at character 1"),
        ({"prompt": "no field"}, "names no field"),
        ({"prompt": None}, r"needs data\.prompt="),
        ({"answer": None}, r"needs data\.answer=FIELD"),
        ({"prompt": "{querstion}"}, r"row 1: no field 'querstion' \(found: question, answer, options"),
        ({"answer": "gold"}, "row 1: no field 'gold'"),
        ({"choices": "topic"}, "row 1: choices are .* not a list"),
        ({"choices": ["4"]}, "at least two, different and not empty"),
        ({"choices": ["4", "4"]}, "at least two, different"),
        ({"choices": ["1", "2"]}, "answer '4' is not one of the choices"),
        ({"choices": ["a", "b"], "answer": "ok"}, "answer True is not one of the choices"),
        ({"limit": 0}, r"data\.limit 0: must be at least 1"),
        ({"window": 1}, r"data\.window 1: must be at least 2"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], problem: str, one: Load) -> None:
    with pytest.raises(InputError, match=problem):
        one(**settings)


def test_the_command_of_the_readme_reaches_hydra_whole() -> None:
    typed = [
        "data=jsonl",
        "data.prompt={question} Answer:",
        "data.answer=answer",
        "++data.masked_prompt={q} is <mask>.",
    ]
    parsed = OverridesParser.create().parse_overrides(quote_templates(typed))
    values = [override.value() for override in parsed]
    assert values == ["jsonl", "{question} Answer:", "answer", "{q} is <mask>."]
    for quoted in ('data.prompt="{a}"', "data.prompt='{a}'", "data.prompt=null", "data.path={a}"):
        assert quote_templates([quoted]) == [quoted]


@given(st.text(alphabet="ab '\"\\{}[]:,=\n", min_size=1).filter(lambda text: text[0] not in "'\""))
def test_every_template_survives_quoting(template: str) -> None:
    (quoted,) = quote_templates([f"data.prompt={template}"])
    assert OverridesParser.create().parse_override(quoted).value() == template.replace("\n", r"\n")
