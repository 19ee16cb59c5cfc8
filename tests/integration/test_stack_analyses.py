"""The analyses of a stack, through the commands: what a run keeps of them, and what stops it before it begins."""

import pytest

from laser_lit.results.record import read_record

TITLES = (
    "The stack, edit by edit",
    "Spectra of the edited matrices",
    "Pruning against rank reduction at equal storage",
    "General text before and after the edit",
)


@pytest.fixture
def model(gptj, files):
    return ["model=local", f"model.path={gptj}", *files["token"], "laser.path=stack.yaml", "laser=file"]


@pytest.fixture
def stack():
    return "edits:\n- {layer: 1, matrix: fc_in, rank: 3}\n- {layer: 2, matrix: out_proj, rank: 2}\n"


def test_everything_at_once(evaluate, model, stack, tmp_path):
    (tmp_path / "stack.yaml").write_text(stack)
    (tmp_path / "book.txt").write_text(" ".join(f"w{i * i % 91}" for i in range(2000)))
    text = ["analysis.text.data=text", "analysis.text.path=book.txt", "analysis.text.window=16"]
    run = evaluate(*model, "analysis=all", *text)
    record = read_record(run.folder)
    assert record.to_dict() == run.record
    found = record.analyses
    assert len(found.composition.steps) == len(found.spectra.shown) == 2
    last = found.composition.steps[-1]
    assert last.test.accuracy == record.test.laser["accuracy"]
    assert last.validation.gain == record.validation.gain
    assert found.storage.own == 3 * 160 + 2 * 64
    assert found.text.tokens > 500
    page = (run.folder / "report.html").read_text()
    assert [title for title in TITLES if title not in page] == []


def test_none_of_it(evaluate, model, stack, tmp_path):
    (tmp_path / "stack.yaml").write_text(stack)
    found = read_record(evaluate(*model, "analysis=none").folder).analyses
    assert (found.composition, found.spectra, found.storage, found.text) == (None, None, None, None)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("analysis.storage=[2]", "analysis.storage 2.0: each must lie in (0, 1]"),
        ("analysis.text.path=book.txt", "analysis.text.path=book.txt would count for nothing"),
        ("analysis.text.data=text analysis.text.path=nowhere.txt", "analysis.text.path=nowhere.txt: "),
        ("analysis.text.data=text", "analysis.text.data=text: needs analysis.text.path (a local file)"),
        ("analysis=storage laser=none", "analysis.storage: there are no edits to look at"),
        ("analysis.path=true", "analysis.path=true: the stack has 1 edit"),
    ],
)
def test_what_cannot_be_had_is_one_line_before_anything_is_scored(command, local, tmp_path, typed, words):
    arguments = [word for word in local if "laser" not in word] if "laser=none" in typed else local
    said = command(*arguments, "trainer=cpu", "logger=none", f"hydra.run.dir={tmp_path / 'run'}", *typed.split())
    assert said.code == 1
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
