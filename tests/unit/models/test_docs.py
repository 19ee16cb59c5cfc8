"""The examples of docs/architectures.md, run as they stand there."""

import re
from pathlib import Path

import pytest
import yaml

from laser_lit.models.architecture import FOLDER, families
from laser_lit.models.matrices import find_matrices

PAGE = Path(__file__).resolve().parents[3] / "docs" / "architectures.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_worked_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gpt_neo.yaml").write_text(blocks("yaml")[0])
    example = blocks("python")[1]
    exec(example, {"find_matrices": find_matrices})
    shown = re.findall(r"# (\[.*\])", example)
    assert capsys.readouterr().out.splitlines() == shown


def test_the_table_names_every_family() -> None:
    listed = re.findall(
        r"^\| (`.*?`) \|", PAGE.read_text(encoding="utf-8").partition("## Families")[2], flags=re.MULTILINE
    )
    assert set(families()) <= {name for cell in listed for name in re.findall(r"`(\w+)`", cell)}


def test_the_fused_example_is_the_packaged_one() -> None:
    packaged = FOLDER / "gpt_neox.yaml"
    assert yaml.safe_load(blocks("yaml")[1])[0] in yaml.safe_load(packaged.read_text(encoding="utf-8"))["tensors"]
