"""How often facts are told and what components say alone, through the command."""

import json

import pandas as pd
import pytest
from checkpoints import data_arguments, save_checkpoint, save_data

from laser_lit.errors import InputError
from laser_lit.report.__main__ import main as report
from laser_lit.tasks.language import LanguageTask

EDIT = ("laser=single", "laser.layer=1", "laser.matrix=fc_in", "laser.rank=3")


@pytest.fixture
def local(tmp_path):
    checkpoint, data = save_checkpoint(tmp_path / "model"), save_data(tmp_path / "data")
    return lambda kind: ("model=local", f"model.path={checkpoint}", *data_arguments(data)[kind])


@pytest.fixture
def about(tmp_path, local):
    """Returns the overrides for 30 facts and a corpus that tells the first once and the second twice."""
    rows = [{"ask": f"w{i} w9", "about": f"w{i}", "say": f"w{i + 4}", "fact": i} for i in range(1, 31)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "corpus.txt").write_text("w1 and W5\nw2, w6.\nw2 w6 w1\nw3 w8\n")
    fields = ("data.prompt='{ask}'", "data.answer=say", "data.group=fact", "data.score_as=token", "data.limit=null")
    named = ("data=jsonl", f"data.path={tmp_path / 'rows.jsonl'}", *fields)
    return (*local("token")[:2], *named, f"analysis.corpus.path={tmp_path / 'corpus.txt'}", "controls=false")


def test_predictions_have_the_frequency_of_each_fact(evaluate, about):
    run = evaluate(*about, *EDIT, "data.subject=about", "analysis.components=[0.5]")
    predictions = pd.read_parquet(run.folder / "predictions.parquet").set_index("group")
    told = {group: n for group, n in predictions["frequency"].items() if n}
    assert told == {"1": 1, "2": 2}
    record = json.loads((run.folder / "result.json").read_text())
    assert record["analyses"]["frequency"]["read"] == 4
    assert "Which examples" in (run.folder / "report.html").read_text()


def test_what_was_asked_for_is_on_the_terminal_and_again_with_table(evaluate, about, capsys):
    storage = ("analysis.storage=[0.5]", "data.subject=about")
    folder = evaluate(*about, *EDIT, *storage).folder
    finished = words_of(capsys.readouterr().out)
    report([str(folder), "--table"])
    again = words_of(capsys.readouterr().out)
    for said in ("A fact's frequency is the number of documents, of 4 in", "On test, with part of the"):
        assert finished.count(said) == again.count(said) == 1
    unasked = evaluate(*about[:-2], "controls=false", *EDIT).folder
    report([str(unasked), "--table"])
    out = words_of(capsys.readouterr().out)
    assert "Gain of LASER over the base" in out
    assert "A fact's frequency" not in out
    assert "with part of the" not in out


def words_of(printed):
    return " ".join(printed.split())


def test_a_corpus_that_breaks_off_leaves_the_result_and_a_warning(evaluate, about, tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"text": "w1 w5"}\n{"tex')
    corpus = f"analysis.corpus.path={tmp_path / 'corpus.jsonl'}"
    run = evaluate(*about[:-2], corpus, *EDIT, "data.subject=about")
    assert run.record["gain"] is not None
    assert "frequency" not in pd.read_parquet(run.folder / "predictions.parquet")
    (said,) = run.record["warnings"]
    assert said.startswith("How often each fact is told is not counted: ")
    assert "corpus.jsonl, row 2: malformed JSON" in said
    assert "run the same command again" in said
    assert "malformed JSON" in (run.folder / "report.html").read_text()


def test_a_file_that_cannot_be_read_after_all_leaves_the_result_and_a_warning(evaluate, about, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("laser_lit.data.documents.file_hash", denied)
    run = evaluate(*about, *EDIT, "data.subject=about")
    assert run.record["gain"] is not None
    (said,) = run.record["warnings"]
    assert "Permission denied" in said


def test_a_corpus_is_opened_once_before_a_search(evaluate, about, monkeypatch):
    checked = []
    monkeypatch.setattr("laser_lit.jobs.frequency.check_documents", checked.append)
    evaluate(*about, "data.subject=about", "search=grid", "search.matrices=fc_in", "search.rank=[3]")
    assert len(checked) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", '{"body": "w1"}\n', "no field 'text'; it has 'body'"),
        ("bytes.txt", b"\xff\xfe\xfa", "not UTF-8 text"),
        ("empty.txt", "\n", "it has no documents"),
    ],
)
def test_a_corpus_that_cannot_be_read_is_refused_before_anything_is_scored(
    evaluate, about, tmp_path, monkeypatch, name, content, message
):
    monkeypatch.setattr(LanguageTask, "score", lambda *args, **kwargs: pytest.fail("scored"))
    (tmp_path / f"corpus_{name}").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        evaluate(*about[:-2], *EDIT, "data.subject=about", f"analysis.corpus.path={tmp_path / f'corpus_{name}'}")


def test_facts_without_a_subject_are_refused_before_anything_is_scored(evaluate, about):
    with pytest.raises(InputError, match=r"do not say what they are about; counterfact and facts do"):
        evaluate(*about, *EDIT)


@pytest.mark.parametrize(
    ("kind", "overrides", "message"),
    [
        ("token", (*EDIT, "analysis.components=[0.5,1.0]"), r"analysis\.components 1\.0: each must lie in \(0, 1\)"),
        ("generate", (*EDIT, "analysis=components"), "only answers that are one token or one of a few choices"),
        ("token", ("laser=none", "analysis=components"), r"analysis\.components: there are no edits"),
        (
            "token",
            (*EDIT, "laser.kind=prune", "laser.rank=null", "laser.rho=0.5", "analysis=components"),
            "a prune edit",
        ),
        ("token", (*EDIT, "analysis.corpus.path=nowhere"), "nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_had_is_refused(evaluate, local, kind, overrides, message):
    with pytest.raises(InputError, match=message):
        evaluate(*local(kind), *overrides)
