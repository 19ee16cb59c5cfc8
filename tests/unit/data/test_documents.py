"""The documents of a corpus: plain text cut in three ways, rows, Parquet, saved data sets; and what is refused."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from laser_lit.config_analysis import CorpusConfig
from laser_lit.data.documents import check_corpus, check_documents, open_corpus
from laser_lit.errors import InputError


def read(path: object, **settings: object) -> list[str]:
    named = [str(part) for part in path] if isinstance(path, list) else str(path)
    return list(open_corpus(CorpusConfig(path=named, **settings)).read())


def test_plain_text_in_lines_paragraphs_or_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one\ntwo\n\n \nthree\n")
    assert read(file) == ["one\n", "two\n", "three\n"]
    assert read(file, unit="paragraph") == ["one\ntwo\n", "three\n"]
    assert read(file, unit="file") == ["one\ntwo\n\n \nthree\n"]
    assert read(file, limit=2) == ["one\n", "two\n"]


def test_packed_files_folders_and_lists(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.txt.gz").write_bytes(gzip.compress(b"packed"))
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "row"}\n\n{"text": null}\n')
    (tmp_path / "in" / "picture.png").write_bytes(b"\x89")
    (tmp_path / "c.txt").write_text("last")
    assert read([tmp_path / "in", tmp_path / "c.txt"]) == ["row", "", "packed", "last"]


def test_parquet_and_saved_data_sets(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["p", "q"], "other": [1, 2]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", field="body") == ["p", "q"]
    parts = {name: datasets.Dataset.from_dict({"text": [name]}) for name in ("train", "test")}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    assert read(tmp_path / "saved") == ["train"]
    assert read(tmp_path / "saved", split="test") == ["test"]
    with pytest.raises(InputError, match=r"unknown analysis\.corpus\.split of .*saved 'tset'; nearest: test"):
        read(tmp_path / "saved", split="tset")
    parts["train"].save_to_disk(str(tmp_path / "one"))
    assert read(tmp_path / "one") == ["train"]
    with pytest.raises(InputError, match=r"split=test would count for nothing with path=.*one: it is for"):
        read(tmp_path / "one", split="test")


def test_the_key_follows_the_content_and_how_it_is_cut(tmp_path: Path) -> None:
    keys = []
    for name, text in (("a.txt", "x\n\ny"), ("b.txt", "x\n\ny"), ("c.txt", "z")):
        (tmp_path / name).write_text(text)
        keys.append(open_corpus(CorpusConfig(path=str(tmp_path / name))).key)
    assert keys[0] == keys[1] != keys[2]
    assert open_corpus(CorpusConfig(path=str(tmp_path / "a.txt"), unit="file")).key != keys[0]


def test_a_branch_of_the_hub_has_no_key_and_a_commit_has(tmp_path: Path) -> None:
    assert open_corpus(CorpusConfig(id="some/text")).key is None
    assert open_corpus(CorpusConfig(id="some/text", revision="main")).key is None
    commit = open_corpus(CorpusConfig(id="some/text", revision="0" * 40))
    assert commit.key is not None
    with pytest.raises(InputError, match=r"analysis\.corpus\.id some/text: cannot be read from the hub"):
        list(commit.read())


def wrong(tmp_path: Path) -> list[tuple[CorpusConfig, str]]:
    (tmp_path / "empty").mkdir()
    text, rows = (str(tmp_path / name) for name in ("a.txt", "a.jsonl"))
    for file in (text, rows):
        Path(file).touch()
    return [
        (CorpusConfig(path=str(tmp_path / "none.txt")), "no such file or folder"),
        (CorpusConfig(path=str(tmp_path / "empty")), r"holds no file to be read; allowed are \.jsonl"),
        (CorpusConfig(path=[]), "must be a file, a folder or a list of them"),
        (CorpusConfig(path="a", id="b"), "give one of them"),
        (CorpusConfig(unit="lines"), r"unknown analysis\.corpus\.unit 'lines'; nearest: line"),
        (CorpusConfig(limit=0), r"analysis\.corpus\.limit 0: must be at least 1"),
        (
            CorpusConfig(path=text, revision="main"),
            r"revision=main would count for nothing with path=.*a\.txt: it is for",
        ),
        (CorpusConfig(path=text, subset="en"), "it is for data sets of the hub; leave it out"),
        (CorpusConfig(path=text, split="test"), "it is for data sets of the hub and saved ones with splits; leave"),
        (CorpusConfig(path=text, field="body"), "field=body would count for nothing with .*: it is for rows; leave it"),
        (
            CorpusConfig(path=rows, unit="file"),
            r"unit=file would count for nothing with path=.*a\.jsonl: it is for plain",
        ),
        (CorpusConfig(id="some/text", unit="file"), "unit=file would count for nothing with id=some/text: it is for"),
    ]


@pytest.mark.parametrize("number", range(12))
def test_what_cannot_be_meant_is_refused_before_anything_is_read(tmp_path: Path, number: int) -> None:
    config, message = wrong(tmp_path)[number]
    with pytest.raises(InputError, match=message):
        check_corpus(config)


def test_what_one_kind_of_file_among_several_is_read_by_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo")
    (tmp_path / "b.jsonl").write_text('{"body": "three"}')
    assert read(tmp_path, unit="file", field="body") == ["one\n\ntwo", "three"]


def test_the_first_document_of_every_file_is_checked_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"tex')
    check_documents(CorpusConfig(path=str(tmp_path)))
    (tmp_path / "b.jsonl").write_text('{"body": "b"}')
    with pytest.raises(InputError, match=r"b\.jsonl, row 1: no field 'text'; it has 'body'"):
        check_documents(CorpusConfig(path=str(tmp_path)))
    check_documents(CorpusConfig(path=str(tmp_path), limit=1))


def test_a_line_shows_whether_plain_text_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\n" + b"good\n" * 100_000 + b"\xff")
    check_documents(CorpusConfig(path=str(file), unit="file"))
    file.write_text("\n \n")
    with pytest.raises(InputError, match="it has no documents"):
        check_documents(CorpusConfig(path=str(file), unit="file"))


def test_a_data_set_of_the_hub_that_breaks_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> Iterator[dict[str, str]]:
        yield {"text": "a"}
        raise OSError("connection lost")

    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **settings: rows())
    documents = open_corpus(CorpusConfig(id="some/text")).read()
    assert next(documents) == "a"
    with pytest.raises(InputError, match=r"some/text: cannot be read from the hub \(connection lost\)"):
        next(documents)


def test_broken_files_say_where(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": "a"}) + "\n{")
    with pytest.raises(InputError, match=r"rows\.jsonl, row 2: malformed JSON"):
        read(rows)
    with pytest.raises(InputError, match=r"row 1: no field 'body'; it has 'text': name one of them"):
        read(rows, field="body")
    rows.write_text('{"text": 3}')
    with pytest.raises(InputError, match="row 1: field 'text' is a int, not text"):
        read(rows)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="not UTF-8"):
        read(tmp_path / "latin.txt")
    (tmp_path / "torn.txt.gz").write_bytes(gzip.compress(b"text" * 100)[:20])
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "torn.txt.gz")
    (tmp_path / "no.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read(tmp_path / "no.parquet")
