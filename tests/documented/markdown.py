"""Code in Markdown: blocks between fences, blocks indented by four spaces, spans between backticks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r" *```(\w*) *$")
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
INDENT = "    "


@dataclass(frozen=True)
class Code:
    """A piece of code in a document.

    Attributes:
        kind: "fence", "indent" or "span".
        language: what stands behind the opening fence; empty for the others.
        file: the document, relative to the repository.
        line: its first line's number there, from 1.
        lines: without fences and indent; a span is one line.
    """

    kind: str
    language: str
    file: str
    line: int
    lines: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def code_in(document: Path, root: Path) -> list[Code]:
    """Returns the code of a document, in order."""
    name = str(document.relative_to(root))
    lines = document.read_text().splitlines()
    found = []
    number = 0
    while number < len(lines):
        code = _fence(name, lines, number) or _indented(name, lines, number)
        if code is None:
            end = _end_of_text(lines, number)
            found += _spans(name, lines, number, end)
            number = end
            continue
        found.append(code)
        number += len(code.lines) + (2 if code.kind == "fence" else 0)
    return found


def _fence(file: str, lines: list[str], start: int) -> Code | None:
    opening = FENCE.match(lines[start])
    if opening is None:
        return None
    end = next((i for i in range(start + 1, len(lines)) if lines[i].strip() == "```"), None)
    if end is None:
        raise ValueError(f"{file}:{start + 1}: a fence that is never closed")
    return Code("fence", opening[1], file, start + 2, tuple(lines[start + 1 : end]))


def _indented(file: str, lines: list[str], start: int) -> Code | None:
    after_blank = start == 0 or not lines[start - 1].strip() or FENCE.match(lines[start - 1])
    if not (after_blank and lines[start].startswith(INDENT)):
        return None
    end = start
    while end < len(lines) and (lines[end].startswith(INDENT) or not lines[end].strip()):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    return Code("indent", "", file, start + 1, tuple(line[len(INDENT) :] for line in lines[start:end]))


def _end_of_text(lines: list[str], start: int) -> int:
    end = start + 1
    while lines[start].strip() and end < len(lines) and lines[end].strip() and not FENCE.match(lines[end]):
        end += 1
    return end


def _spans(file: str, lines: list[str], start: int, end: int) -> Iterator[Code]:
    paragraph = "\n".join(lines[start:end])
    for span in SPAN.finditer(paragraph):
        line = start + 1 + paragraph.count("\n", 0, span.start())
        yield Code("span", "", file, line, (" ".join(span[1].split()),))
