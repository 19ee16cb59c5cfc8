"""docs/leaderboard.md and the script that makes it from docs/records."""

import json
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest

from laser_lit.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
RECORDS = ROOT / "docs" / "records"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "leaderboard.py"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Returns a run's folder, as evaluate.py leaves one, whose record has folders of a machine in it."""
    content = json.loads((RECORDS / "facts" / "result.json").read_text(encoding="utf-8"))
    del content["commands"]
    content["config"]["paths"]["output"] = "/home/someone/outputs/run"
    content["warnings"] = [
        "/home/someone/warned",
        "re-applied from /home/someone/stack.yaml, 3/4 of azhx/counterfact",
        "reft.path=/home/someone/it changes no score (nor does '/home/some one/a b', a/b); see ~/it/",
        "/home/someone/a.jsonl, row 3: no field; see https://a/b/c",
    ]
    (tmp_path / "result.json").write_text(json.dumps(content))
    (tmp_path / ".hydra").mkdir()
    typed = ["laser=single", "'data.path=[a.jsonl, b.jsonl]'", "logger=csv", "hydra.run.dir=/home/someone/x"]
    typed += ["model.path=/home/someone/tiny", "hydra/launcher=joblib", "launch=local"]
    (tmp_path / ".hydra" / "overrides.yaml").write_text("".join(f"- {word}\n" for word in typed))
    return tmp_path


def test_the_page_is_what_the_script_makes(script: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    assert script["page"](text, script["read_rows"](RECORDS)) == text
    assert script["BEGIN"] in text


def test_gains_in_accuracy_come_first_and_the_largest_leads(script: dict[str, Any]) -> None:
    rows = script["read_rows"](RECORDS)
    order = [(not row.share, -row.gain[0]) for row in rows]
    assert order == sorted(order)
    assert {row.share for row in rows} == {True, False}


def test_of_a_run_with_an_adapter_laser_alone_has_no_row(script: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(RECORDS / "facts-lora")
    names = [row.variant.name for row in script["read_rows"](tmp_path)]
    assert sorted(names) == ["LASER + LoRA", "LoRA"]


def test_a_table_has_the_numbers_of_the_record(script: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(RECORDS / "facts")
    (line,) = script["table"](script["read_rows"](tmp_path)).splitlines()[2:]
    record = json.loads((RECORDS / "facts" / "result.json").read_text(encoding="utf-8"))
    best = max(record["controls"], key=lambda control: control["accuracy"])
    for shown in (
        f"{100 * record['base']['accuracy']:.1f} %",
        f"{100 * record['laser']['accuracy']:.1f} %",
        f"+{100 * record['gain']['accuracy']:.1f}, +{100 * record['gain']['ci95'][0]:.1f} to",
        f"{best['name']} {100 * best['accuracy']:.1f} %",
        "`python evaluate.py`",
        f"{record['gain']['n']:,}",
    ):
        assert f"| {shown}" in line


def test_what_is_kept_has_the_command_and_no_folder_of_the_machine(script: dict[str, Any], run: Path) -> None:
    before = 'python train.py task=reft reft.path="$PWD"/it'
    kept = script["kept"](run, [before])
    assert kept["commands"] == [
        before,
        "python evaluate.py laser=single 'data.path=[a.jsonl, b.jsonl]' model.path=tiny",
    ]
    assert "/home" not in json.dumps(kept)
    assert kept["config"]["paths"]["output"] == "run"
    assert kept["warnings"] == [
        "warned",
        "re-applied from stack.yaml, 3/4 of azhx/counterfact",
        "reft.path=it changes no score (nor does 'a b', a/b); see it/",
        "a.jsonl, row 3: no field; see https://a/b/c",
    ]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("data.path=[/home/me/a.jsonl,/home/me/b.jsonl]", "data.path=[a.jsonl,b.jsonl]"),
        ("data.path=[ /home/me/a.jsonl, ~/b.jsonl ]", "data.path=[ a.jsonl, b.jsonl ]"),
        ("data.path='/home/me/my file, (1).jsonl'", "data.path='my file, (1).jsonl'"),
        ('data.path="/home/my name/file.jsonl"', 'data.path="file.jsonl"'),
        ("data.path=/home/my name/my file.jsonl", "data.path=my file.jsonl"),
        (r"data.path=/home/a\,b/file.jsonl", "data.path=file.jsonl"),
        ("search.also=[{name: text, path: /home/me/book.txt}]", "search.also=[{name: text, path: book.txt}]"),
        ("lm_eval.args='pretrained=/home/me/model,parallel=3'", "lm_eval.args='pretrained=model,parallel=3'"),
        ("data.path=choice(/home/me/a,/home/me/b)", "data.path=choice(a,b)"),
        ("data.path=~/x", "data.path=x"),
        ("data.path='~me/texts/x'", "data.path='x'"),
        ("model.path=/home/me/tiny/", "model.path=tiny"),
        *(
            (same, same)
            for same in (
                "laser.rho=3/4",
                "data.path=azhx/counterfact",
                "data.path=[../shared/a.txt, './my texts/b.txt']",
                "prompts=['one and/or two: 1 / 2']",
                "model.path=https://huggingface.co/gpt2",
                "~laser.rank",
                "laser.path=${oc.env:HOME}/x",
                "search=auto",
            )
        ),
    ],
)
def test_paths_of_the_machine_are_cut_wherever_they_stand(
    script: dict[str, Any], run: Path, typed: str, kept: str
) -> None:
    (run / ".hydra" / "overrides.yaml").write_text(json.dumps([typed]))
    assert shlex.split(script["kept"](run)["commands"][0])[2:] == [kept]


def test_the_command_keeps_a_record_and_writes_the_page(
    script: dict[str, Any],
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    docs = tmp_path / "project" / "docs"
    docs.mkdir(parents=True)
    (docs / "leaderboard.md").write_text(f"above\n\n{script['BEGIN']}\nold\n{script['END']}\n\nbelow\n")
    monkeypatch.setitem(script["main"].__globals__, "DOCS", docs)
    monkeypatch.setattr("sys.argv", ["leaderboard.py", "add", "mine", str(run)])
    script["main"]()
    assert json.loads((docs / "records" / "mine" / "result.json").read_text())["commands"]
    shown = (docs / "leaderboard.md").read_text()
    assert shown.startswith("above\n")
    assert shown.endswith("\n\nbelow\n")
    assert "old" not in shown
    monkeypatch.setattr("sys.argv", ["leaderboard.py"])
    script["main"]()
    assert (docs / "leaderboard.md").read_text() == shown
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rows"] == 1


def test_a_folder_without_a_finished_run_is_refused(script: dict[str, Any], run: Path) -> None:
    (run / ".hydra" / "overrides.yaml").unlink()
    with pytest.raises(InputError, match="the words that were typed"):
        script["kept"](run)
    (run / "result.json").unlink()
    with pytest.raises(InputError, match="finished run"):
        script["kept"](run)


def test_a_page_without_the_marks_is_refused(script: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no table to replace"):
        script["page"]("# Leaderboard\n", [])


@pytest.mark.parametrize("file", sorted(RECORDS.glob("*/*")), ids=lambda file: file.parent.name)
def test_records_are_small_and_name_no_folder_of_a_machine(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert file.name == "result.json"
    assert len(text) < 50_000
    assert not [place for place in ('"/', "/root", "/home", "/tmp", "/work") if place in text]
