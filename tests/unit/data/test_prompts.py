"""Prompts that are typed, read from files, or asked of the built-in world; each mistake is named."""

import json
from pathlib import Path

import pytest

from laser_lit.config_data import FactsConfig
from laser_lit.data.facts.words import RELATIONS
from laser_lit.data.facts.world import build_world
from laser_lit.data.prompts import Prompt, read_prompts, world_prompts
from laser_lit.errors import InputError


def test_typed_prompts_are_taken_as_they_are():
    assert read_prompts(["The capital of France is", "1 + 1 = "], None, None) == (
        Prompt("The capital of France is"),
        Prompt("1 + 1 = "),
    )
    assert read_prompts("one", None, FactsConfig()) == (Prompt("one"),)


def test_a_prompt_a_line(tmp_path: Path):
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufefffirst one\r\n\n  second\u2028 one \n".encode())
    assert [prompt.text for prompt in read_prompts(None, str(file), None)] == ["first one", "  second\u2028 one "]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_rows_with_prompt_and_answer(tmp_path: Path, name: str):
    rows = [{"prompt": "a\nb", "answer": "c"}, {"prompt": "d"}]
    text = {"rows.json": json.dumps(rows), "rows.csv": 'prompt,answer\n"a\nb",c\nd,\n'}
    (tmp_path / name).write_text(text.get(name, "\n".join(json.dumps(row) for row in rows)))
    first, second = read_prompts(None, str(tmp_path / name), None)
    assert first == Prompt("a\nb", "c")
    assert second.text == "d"
    assert not second.answer


def test_the_world_is_asked_for_its_commonest_and_its_rarest_fact_of_each_relation():
    world = build_world(FactsConfig())
    facts = {fact.prompts[0]: fact for fact in world.facts}
    asked = world_prompts(FactsConfig())
    assert read_prompts(None, None, FactsConfig()) == asked
    assert len(asked) == 2 * len(RELATIONS)
    for common, rare in zip(asked[::2], asked[1::2], strict=True):
        same = [fact.frequency for fact in world.facts if fact.relation == facts[common.text].relation]
        assert facts[rare.text].relation == facts[common.text].relation
        assert (facts[common.text].frequency, facts[rare.text].frequency) == (max(same), min(same))
        assert rare.answer == facts[rare.text].answer
    assert len(world_prompts(FactsConfig(subjects=1))) == len(RELATIONS)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (None, r"task=compare needs prompts: compare\.prompts='\[.*or compare\.file"),
        ([], r"compare\.prompts is empty"),
        (["a", " "], r"compare\.prompts, text 2: is empty"),
        ("", r"text 1: is empty"),
        ([3], r"text 1: 3 is no text; put it in quotes"),
        (3, r"compare\.prompts=3: must be a text or a list"),
        ({"a": "b"}, "must be a text or a list"),
    ],
)
def test_wrong_prompts(typed: object, words: str):
    with pytest.raises(InputError, match=words):
        read_prompts(typed, None, None)


def test_prompts_beside_a_file():
    with pytest.raises(InputError, match=r"compare\.prompts beside compare\.file=f\.txt: leave one of them out"):
        read_prompts(["a"], "f.txt", None)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.txt", None, "no such file"),
        ("blank.txt", b"\n \n", "holds no prompt"),
        ("latin.txt", b"caf\xe9", "not UTF-8"),
        ("rows.jsonl", b'{"prompt": "a"}\n{"text": "b"}\n', "row 2: no field 'prompt'"),
        ("rows.jsonl", b'{"prompt": ""}\n', "row 1: field 'prompt' is empty"),
        ("rows.jsonl", b"{", "malformed JSON"),
        ("rows.xlsx", b"x", "cannot read rows"),
        ("folder.txt", "folder", "is a folder"),
    ],
)
def test_wrong_files(tmp_path: Path, name: str, content: bytes | str | None, words: str):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content == "folder":
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=words) as raised:
        read_prompts(None, str(tmp_path / name), None)
    assert name in str(raised.value)
