"""Prompts and answers against the records of LASER's own scripts, word for word."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.reference


@pytest.mark.parametrize(
    ("name", "parts", "record", "field"),
    [
        ("fever", ("fever_dev", "fever_test"), "gptj_fever_dont", "prompted-question"),
        ("bios_gender", ("bios",), "gptj_bios_dont", "prompted-question"),
        ("bios_profession", ("bios",), "gptj_bios_profession_dont", "prompted-question"),
        ("hotpotqa", ("hotpot",), "gptj_hotpot_dont", "prompted_question"),
        ("qa_wikidata", ("bb_wd",), "gptj_bbh_qa_dont", "question"),
    ],
)
def test_prompts_and_answers_are_the_published_ones(
    name: str,
    parts: tuple[str, ...],
    record: str,
    field: str,
    shared: Path,
    write: Callable[[str, Any], str],
    load: Callable[..., Any],
) -> None:
    protocol = shared / "reference" / "laser" / "protocol"
    data = json.loads((protocol / "synthetic_data.json").read_text(encoding="utf-8"))
    rows = [row for part in parts for row in data[part]]
    (asked,) = json.loads((protocol / f"{record}.json").read_text(encoding="utf-8"))["predictions"].values()
    examples = load(name, path=write("rows.json", rows)).examples
    if name == "hotpotqa":  # that run's stand-in has the same rows as training and as validation split
        examples *= 2
    assert [e.prompt for e in examples] == [item[field] for item in asked]
    assert [e.answer for e in examples] == [item["gold-answer"].strip() for item in asked]
