"""`make docs`: what is wrong with a page stops it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILD = re.search(r"\$\(RUN\) (-m mkdocs build .*)", (ROOT / "Makefile").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[x](nothing.md)", "'nothing.md'"), ("[x](faq.md#nowhere)", "#nowhere"), ("::: laser_lit.nothing", "nothing")],
)
def test_a_link_or_name_that_leads_nowhere_is_an_error(tmp_path: Path, text: str, complaint: str) -> None:
    assert BUILD is not None
    (tmp_path / "docs").mkdir()
    for page in ("index.md", "faq.md"):
        (tmp_path / "docs" / page).write_text("# Title\n")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[0]
    (tmp_path / "mkdocs.yml").write_text(f"{config}\nnav: [index.md, faq.md]\n")
    (tmp_path / "laser_lit").symlink_to(ROOT / "laser_lit")
    command = [sys.executable, *shlex.split(BUILD[1])]
    whole = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    (tmp_path / "docs" / "faq.md").write_text(f"# Title\n\n{text}\n")
    broken = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert broken.returncode != 0
    assert complaint in broken.stderr
