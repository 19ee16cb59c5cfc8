"""Every command that the documents show, as one line each, and every Python block."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from documented.markdown import Code, code_in

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs")
SHELL = ("bash", "sh", "shell", "console")
PROGRAM = re.compile(
    r"(?:[A-Z_]+=\S+ +)*"  # OMP_NUM_THREADS=1 python …
    r"(?:(?:\.venv/bin/)?(?:python3?|pip|pre-commit|pytest)|make|laser-lit-(?:evaluate|train)"
    r"|\.ci/run|mkdocs|lm_eval|git|apt-get)(?= )"
)
SCRIPT = re.compile(r"(?:evaluate|train)\.py ")  # in running text `python` may be left out
ASSIGNMENT = re.compile(r"([A-Z_]+)=(\"[^\"]*\"|'[^']*'|\S*)$")
COMMENT = re.compile(r"(?:^|\s)#(?:\s.*)?$")
MADE = re.compile(r"<!-- made by .*?<!-- end of what it makes -->", re.DOTALL)
PYTHON = re.compile(r"(?:from [\w.]+ import |import \w)")


@dataclass(frozen=True)
class Command:
    """A command in a document.

    Attributes:
        text: one line, its variables filled in, without prompt and comment.
        file: the document.
        line: its number there, from 1.
        made: whether it stands in a part that a script makes of records, of whose runs it is.
    """

    text: str
    file: str
    line: int
    made: bool = False

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def documents(root: Path = ROOT) -> list[Path]:
    """Returns README.md, CONTRIBUTING.md and every page of docs/."""
    found = []
    for name in DOCUMENTS:
        path = root / name
        found += sorted(path.rglob("*.md")) if path.is_dir() else [path]
    return found


def documented_commands(root: Path = ROOT) -> list[Command]:
    """Returns every command in the order of the documents; one that is shown twice is here twice."""
    found = []
    for path in documents(root):
        made = _made_lines(path.read_text())
        for code in code_in(path, root):
            found += [replace(command, made=command.line in made) for command in commands_of(code)]
    return found


def python_blocks(root: Path = ROOT) -> list[Code]:
    """Returns every block of Python, fenced or indented."""
    return [code for path in documents(root) for code in code_in(path, root) if is_python(code)]


def is_python(code: Code) -> bool:
    """Returns whether a piece of code is a block of Python: said by its fence, or begun by an import."""
    if code.kind == "span" or code.language not in ("", "python"):
        return False
    return code.language == "python" or bool(PYTHON.match(code.lines[0]))


def commands_of(code: Code) -> Iterator[Command]:
    """Yields the commands of a piece of code.

    In a block whose fence says a shell every line is one; elsewhere a line that begins with the name of a program.
    """
    if code.language not in ("", *SHELL) or is_python(code):
        return
    variables: dict[str, str] = {}
    for line, text in _whole_lines(code):
        prompted = text.startswith("$ ")
        text = COMMENT.sub("", text.removeprefix("$ ")).strip()
        assigned = ASSIGNMENT.match(text)
        if assigned and code.kind != "span":
            variables[assigned[1]] = assigned[2].strip("\"'")
        elif text and (prompted or _is_command(text, code)):
            for name, value in variables.items():
                text = text.replace(f"${name}", value)
            yield Command(" ".join(text.split()), code.file, line)


def _made_lines(text: str) -> set[int]:
    spans = [(text.count("\n", 0, each.start()), text.count("\n", 0, each.end())) for each in MADE.finditer(text)]
    return {line + 1 for start, end in spans for line in range(start, end + 1)}


def _is_command(text: str, code: Code) -> bool:
    if code.kind == "span" and SCRIPT.match(text):
        return True
    return code.language in SHELL or PROGRAM.match(text) is not None


def _whole_lines(code: Code) -> Iterator[tuple[int, str]]:
    held, began = "", code.line
    for number, text in enumerate(code.lines, code.line):
        began = began if held else number
        if text.endswith("\\"):
            held += text[:-1] + " "
            continue
        yield began, held + text.strip() if held else text
        held = ""
