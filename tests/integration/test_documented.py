"""The commands and the Python of the documents, typed as they stand in a folder that has the files they name."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from documented.commands import ROOT, is_python
from documented.composed import SCRIPTS, words_of
from documented.coverage import Block, Entry, read_blocks, read_table
from documented.markdown import Code, code_in
from documented.workspace import fill

from laser_lit import main

TABLE = read_table()
RUN = [entry for entry in TABLE.values() if entry.way == "run"]
BLOCKS = read_blocks()
REAL = re.compile(r"\.\./shared|tinystories-260k|tinyshakespeare|known_1000|scan/unfrozen|shakespeare")
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")
ENTRIES = {"evaluate": main.evaluate, "train": main.train}

pytestmark = pytest.mark.slow


@dataclass
class Place:
    """The folder that all commands are typed in, and what has been typed there."""

    folder: Path
    typed: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("documented") / "here"
    folder.mkdir()
    real = Path(os.environ.get("LASER_LIT_SHARED", ROOT.parent / "shared"))
    fill(folder, real if real.is_dir() else None)
    return Place(folder)


@pytest.fixture
def run(
    place: Place, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Entry], None]]:
    """Returns a function that runs an entry of the table in the common folder, once, after those that it needs."""
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("LASER_LIT_CACHE", str(place.folder.parent / "cache"))
    monkeypatch.setenv("COLUMNS", "160")

    def once(entry: Entry) -> None:
        if entry.command in place.typed:
            return
        for before in entry.after:
            once(TABLE[before])
        place.typed.add(entry.command)
        folder = Path("runs") / str(len(place.typed))
        leaves = _leaves(entry)
        pattern = leaves and leaves.replace("RUN", str(folder))
        assert not (pattern and list(Path().glob(pattern))), f"{pattern} is there before the command"
        out = _out_of(_recipe(entry), folder, command)
        assert pattern is None or list(Path().glob(pattern)), out
        assert (entry.says or "") in out

    return once


def _leaves(entry: Entry) -> str | None:
    """Returns the pattern of files that an entry makes; those of the two commands make a record."""
    evaluates = words_of(entry.typed)[0] == "evaluate.py" and "--cfg" not in entry.typed
    return entry.leaves or ("RUN/result.json" if evaluates else None)


def _recipe(entry: Entry) -> list[str]:
    """Returns the words of an entry, or of the one line that a target of make runs; what makes it small comes last."""
    if not entry.typed.startswith("make "):
        return words_of(entry.typed)
    target = entry.command.split()[1:]
    asked = ["make", "-n", "-s", "-o", ".venv/installed.stamp", *target]
    line = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    return words_of(line + entry.typed.removeprefix(entry.command))


def _out_of(words: list[str], folder: Path, command: Callable[..., Any]) -> str:
    """Returns what a command prints; it has to end well."""
    if words[0] in SCRIPTS:
        said = command(*words[1:], *_quiet(words, folder), entry=ENTRIES[SCRIPTS[words[0]]])
    elif words[0] == "-m":
        module = import_module(f"{words[1]}.__main__")
        said = command(entry=lambda: sys.exit(module.main(words[2:])))
    else:
        done = subprocess.run(["bash", "-ec", " ".join(words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert said.code in (0, None), said.err
    return said.out


def _quiet(words: list[str], folder: Path) -> list[str]:
    """Returns what is added to every command: the run's folder, no logger, the CPU, unless the command says so."""
    place = "hydra.sweep.dir" if "-m" in words else "hydra.run.dir"
    wanted = {place: str(folder), "logger": "none", "trainer": "cpu", "trainer.progress_bar": "false"}
    given = {word.partition("=")[0] for word in words}
    return [f"{name}={value}" for name, value in wanted.items() if name not in given]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry.command, marks=[pytest.mark.reference] if REAL.search(entry.typed) else [])
        for entry in RUN
    ],
)
def test_a_command_runs(entry: Entry, run: Callable[[Entry], None], request: pytest.FixtureRequest) -> None:
    if REAL.search(entry.typed):
        request.getfixturevalue("shared")
    run(entry)


def test_the_targets_of_make_are_listed() -> None:
    out = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "lint"):
        assert f"make {target} " in out


@pytest.mark.reference
@pytest.mark.parametrize("document", BLOCKS)
def test_python_runs(document: str, run: Callable[[Entry], None], shared: Path) -> None:
    names: dict[str, Any] = {}
    codes = code_in(ROOT / document, ROOT)
    _write_yaml(codes)
    blocks = iter(BLOCKS[document])
    for number, code in enumerate(codes):
        if is_python(code):
            block = next(blocks)
            for before in block.after:
                run(TABLE[before])
            out = _printed(code, block, names)
            if block.prints is not None:
                shown = next(each for each in codes[number + 1 :] if each.kind == "fence")
                _same_output(out, "\n".join(shown.lines), block.prints)


def _write_yaml(codes: list[Code]) -> None:
    """Writes the blocks of YAML that begin with the name of a file, which Python beside them reads."""
    for code in codes:
        if code.language == "yaml" and (named := re.fullmatch(r"# (\w+\.yaml)", code.lines[0])):
            Path(named[1]).write_text("\n".join(code.lines))


def _printed(code: Code, block: Block, names: dict[str, Any]) -> str:
    source = "\n".join(code.lines)
    for text, instead in block.replace.items():
        assert text in source, f"{code.place}: no {text!r}, which commands.yaml replaces"
        source = source.replace(text, instead)
    with redirect_stdout(io.StringIO()) as out:
        exec(block.before, names)
        exec(compile(source, code.place, "exec"), names)
    return out.getvalue()


def _same_output(out: str, documented: str, share: float) -> None:
    """Asserts that an output is the documented one, but for a share of its numbers (of one where they are smaller)."""
    assert NUMBER.sub("#", out.strip()) == NUMBER.sub("#", documented.strip())
    numbers, wanted = (list(map(float, NUMBER.findall(text))) for text in (out, documented))
    assert numbers == pytest.approx(wanted, rel=share, abs=share)
