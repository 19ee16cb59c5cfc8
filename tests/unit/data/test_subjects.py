"""What a fact is about: known to the loaders, and no part of what names the examples."""

from collections.abc import Callable
from typing import Any

import pytest

from laser_lit.data.fingerprint import fingerprint
from laser_lit.errors import InputError

ROME = {
    "case_id": 7,
    "requested_rewrite": {
        "prompt": "The mother tongue of {} is",
        "relation_id": "P103",
        "target_new": {"str": "English"},
        "target_true": {"str": "French"},
        "subject": "Danielle Darrieux",
    },
    "paraphrase_prompts": ["Danielle Darrieux, a native", "Danielle Darrieux spoke the language"],
}
Load = Callable[..., Any]
Write = Callable[[str, Any], str]


def test_counterfact_knows_its_subjects_and_its_hash_is_as_before(write: Write, load: Load) -> None:
    data = load("counterfact", path=write("rome.json", [ROME]))
    assert [example.subject for example in data.examples] == ["Danielle Darrieux"] * 3
    assert fingerprint(data) == "7f30561946d24acf40a0a771b4704f6d"


def test_known_1000_knows_its_subjects_where_they_are_told(write: Write, load: Load) -> None:
    rows = [
        {"known_id": 0, "subject": "Vinson Massif", "prompt": "Vinson Massif is in", "attribute": "Antarctica"},
        {"known_id": 1, "prompt": "Beats Music is owned by", "attribute": "Apple"},
    ]
    data = load("counterfact", path=write("known.json", rows))
    assert [example.subject for example in data.examples] == ["Vinson Massif", None]


def test_the_facts_world_knows_its_subjects_and_its_hash_is_as_before(load: Load) -> None:
    data = load("facts")
    assert {example.subject for example in data.examples} == {e.group.split("/")[1] for e in data.examples}
    assert fingerprint(data) == "ff70d186e9ef89a53c2283ed576a4bf1"


def test_rows_name_the_field_of_their_subject(write: Write, load: Load) -> None:
    path = write("task.jsonl", [{"question": "Capital of Peru?", "answer": "Lima", "about": "Peru"}])
    settings = {"path": path, "prompt": "{question}", "answer": "answer"}
    assert load("jsonl", **settings, subject="about").examples[0].subject == "Peru"
    assert load("jsonl", **settings).examples[0].subject is None
    with pytest.raises(InputError, match="abuot"):
        load("jsonl", **settings, subject="abuot")


@pytest.mark.parametrize("blank", [" ", ""])
def test_a_blank_subject_is_refused_where_it_is_read(write: Write, load: Load, blank: str) -> None:
    path = write("task.jsonl", [{"question": "Capital of Peru?", "answer": "Lima", "about": blank}])
    with pytest.raises(InputError, match=r"row 1: field 'about' is empty"):
        load("jsonl", path=path, prompt="{question}", answer="answer", subject="about")
    rows = [{"known_id": 0, "subject": blank, "prompt": "Vinson Massif is in", "attribute": "Antarctica"}]
    with pytest.raises(InputError, match=r"row 1: field 'subject' is empty"):
        load("counterfact", path=write("known.json", rows))
