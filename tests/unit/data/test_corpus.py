"""Plain text for perplexity."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laser_lit.errors import InputError

Write = Callable[[str, Any], str]
Load = Callable[..., Any]


def test_a_text_file_is_one_running_text(write: Write, load: Load, tmp_path: Path) -> None:
    text = "One.\n\nTwo.\n"
    data = load("text", path=write("book.txt", text), window=128)
    assert (data.documents, data.groups, data.window) == ((text,), (), 128)
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert load("text", path=str(tmp_path / "packed.txt.gz")).documents == (text,)


def test_several_text_files_are_a_document_and_group_each(write: Write, load: Load) -> None:
    paths = [write("one.txt", "One."), write("two.txt", "Two.")]
    data = load("text", path=paths)
    assert (data.documents, data.groups) == (("One.", "Two."), ("one.txt", "two.txt"))


def test_rows_are_a_document_and_group_each(write: Write, load: Load) -> None:
    rows = [{"text": "a", "body": "A"}, {"text": " ", "body": "B"}, {"text": "c", "body": "C"}]
    data = load("text", path=write("rows.jsonl", rows))
    assert (data.documents, data.groups) == (("a", "c"), ("1", "3"))
    assert load("text", path=write("rows.jsonl", rows), text_field="body").documents == ("A", "B", "C")
    assert load("text", path=write("rows.jsonl", rows), prompt="{text}/{body}").documents[0] == "a/A"


def test_files_of_the_published_corpora_are_joined_as_the_hubs_rows(write: Write, load: Load, hub: Path) -> None:
    raw = write("wiki.test.raw", " \n = Title = \n \n Words . \n")
    assert load("wikitext2", path=raw).documents == load("wikitext2").documents
    sentences = write("ptb.test.txt", " no it was n't \n <unk> said \n")
    assert load("ptb", path=sentences).documents == load("ptb").documents


def test_gsm8k_reads_question_and_answer_or_what_the_template_says(write: Write, load: Load) -> None:
    path = write("test.jsonl", [{"question": "2 + 2?", "answer": "4"}])
    assert load("gsm8k", path=path).documents == ("2 + 2?\n4",)
    assert load("gsm8k", path=path, prompt="{question}").documents == ("2 + 2?",)


def test_empty_text_and_missing_fields_are_named(write: Write, load: Load) -> None:
    with pytest.raises(InputError, match=r"blank\.txt: is empty"):
        load("text", path=write("blank.txt", " \n"))
    with pytest.raises(InputError, match=r"rows\.jsonl, row 2: no field 'text' \(found: body\); text wants"):
        load("text", path=write("rows.jsonl", [{"text": "a"}, {"body": "b"}]))
    with pytest.raises(InputError, match="every row is empty"):
        load("c4", path=write("rows.jsonl", [{"text": ""}]))
    with pytest.raises(InputError, match=r"no such file in [^;]*$"):  # of one's own file there is no public original
        load("text", path="missing.txt")
    with pytest.raises(InputError, match="must be a file or a list of files"):
        load("text", path=[])
