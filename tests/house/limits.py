"""The limits of size: a file has at most 300 lines and a function at most 40, or says beside it why it has more.

    # house: a file of 320 lines because the table of families reads best in one place
    # house: a function of 52 lines because each branch is one row of the paper's Table 3

The first stands among the first five lines of the file, the second above `def` or in the function's head. The number is
the size that the reason is good for; beyond it the check fails again. A function's lines are those from `def` to its
end, docstring included. Run as a script it prints what is over a limit, and exits with 1 if anything is.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("laser_lit", "rl", "tests", "benchmarks", "examples", "evaluate.py", "train.py")
LIMITS = {"file": 300, "function": 40}
REASON = re.compile(r"#\s*house: a (file|function) of (\d+) lines because \S.{9,}")


def check_tree(root: Path) -> list[str]:
    """Returns a sentence for each file and function of the project at `root` that breaks a limit."""
    files = [file for place in PLACES for file in _python_files(root / place)]
    return [
        complaint
        for file in files
        for complaint in check_source(file.read_text(encoding="utf-8"), str(file.relative_to(root)))
    ]


def check_source(source: str, name: str) -> Iterator[str]:
    """Yields a sentence for the file and each function that is over its limit, or whose reason is needed no longer.

    Args:
        source: the text of a Python file.
        name: how the sentences call the file.
    """
    granted = _granted(source)
    yield from _verdict(name, "file", len(source.splitlines()), range(1, 6), granted)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            head = range(first - 1, max(node.body[0].lineno, node.lineno + 1))
            yield from _verdict(f"{name}:{node.lineno}: {node.name}", "function", size, head, granted)


def _python_files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def _granted(source: str) -> dict[tuple[str, int], int]:
    """Returns how many lines each reason is good for, by its kind and the line on which it stands."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token for token in tokens if token.type == tokenize.COMMENT]
    return {
        (found[1], comment.start[0]): int(found[2]) for comment in comments if (found := REASON.match(comment.string))
    }


def _verdict(place: str, kind: str, size: int, head: range, granted: dict[tuple[str, int], int]) -> Iterator[str]:
    reason = max((granted.get((kind, line), 0) for line in head), default=0)
    most = max(reason, LIMITS[kind])
    if size > most:
        yield f"{place}: {size} lines, at most {most}; split it, or say `# house: a {kind} of {size} lines because …`"
    elif reason and size <= LIMITS[kind]:
        yield f"{place}: {size} lines need no reason, the limit is {most}; take the `# house:` comment out"


if __name__ == "__main__":
    complaints = check_tree(ROOT)
    for complaint in complaints:
        print(complaint)
    if not complaints:
        print("All within the limits: " + ", ".join(f"{limit} lines a {kind}" for kind, limit in LIMITS.items()) + ".")
    sys.exit(bool(complaints))
