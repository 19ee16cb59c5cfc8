"""Who may import whom in laser_lit: the table of its layers, and a walk over the imports that finds what breaks it."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# A part may import the parts of its own row and of the rows above it.
LAYERS = (
    ("errors", "files"),
    ("config",),
    ("results",),
    ("linalg",),
    ("models",),
    ("edits", "spectral", "reft"),
    ("data", "scoring", "export"),
    ("tasks", "lit"),
    ("search", "analyses"),
    ("report",),
    ("jobs", "main"),
)
ROW = {part: row for row, parts in enumerate(LAYERS) for part in parts}

# Parts with more to obey than their row: the only parts of laser_lit that they may import …
NARROW = {
    "results": {"errors", "files", "config"},
    "spectral": {"errors", "files", "config", "linalg", "models"},
}
# … and the only parts that may import them.
READERS = {"results": {"tasks", "lit", "search", "analyses", "report", "jobs", "main"}}

# Parts that work on bare tensors, tables and files, and the libraries that they therefore may not import.
LIGHT = {"errors", "files", "results", "linalg", "spectral"}
HEAVY = {"lightning", "transformers", "datasets", "accelerate", "wandb", "hydra"}


@dataclass(frozen=True)
class Import:
    """One import: the module that has it, its place, the module that it names, and whether it is for types alone."""

    source: str
    place: str
    module: str
    for_types: bool


def imports_of(package: Path) -> list[Import]:
    """Returns every import in a package, also those inside functions and those under TYPE_CHECKING.

    Args:
        package: folder of the package; its name is the package's.
    """
    files = {_module_name(file, package): file for file in sorted(package.rglob("*.py"))}
    found = []
    for name, file in files.items():
        inside = name if file.stem == "__init__" else name.rpartition(".")[0]
        for node, for_types in _import_nodes(ast.parse(file.read_text(encoding="utf-8"))):
            place = f"{file.relative_to(package.parent)}:{node.lineno}"
            found += [Import(name, place, module, for_types) for module in _modules(node, inside, set(files))]
    return found


def _module_name(file: Path, package: Path) -> str:
    names = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def _import_nodes(tree: ast.AST, for_types: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, for_types
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _import_nodes(ast.Module(node.body, []), True)
            yield from _import_nodes(ast.Module(node.orelse, []), for_types)
        else:
            yield from _import_nodes(node, for_types)


def _modules(node: ast.Import | ast.ImportFrom, inside: str, known: set[str]) -> list[str]:
    """Returns the modules that a statement imports: of `from a import b`, a.b where that is a module, or else a."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = inside.split(".")[: inside.count(".") + 2 - node.level] if node.level else []
    module = ".".join([*base, *filter(None, [node.module])])
    return sorted({name if (name := f"{module}.{alias.name}") in known else module for alias in node.names})


def part_of(module: str) -> str | None:
    """Returns the part of laser_lit that a module belongs to (`config_data` to config); None for other packages."""
    names = module.split(".")
    if names[0] != "laser_lit":
        return None
    part = names[1] if len(names) > 1 else "__init__"
    return "config" if part.startswith("config_") else part


def broken_rules(imports: list[Import]) -> list[str]:
    """Returns a sentence for each import of laser_lit that the tables do not allow."""
    return [
        f"{found.place}: {reason}"
        for found in imports
        if (part := part_of(found.source)) not in {None, "__init__"} and (reason := _reason(str(part), found))
    ]


def _reason(part: str, found: Import) -> str | None:
    library, target = found.module.split(".")[0], part_of(found.module)
    if part not in ROW:
        return f"`{part}` has no row in the table of layers (tests/house/layers.py); give it one"
    if library == "rl":
        return "laser_lit never imports rl"
    if part in LIGHT and library in HEAVY and not found.for_types:
        return f"`{part}` stays light and may not import {library}"
    if target is None or target == part:
        return None
    if target == "__init__":
        return "laser_lit/__init__.py is for users; import the module that has the name"
    return _layer_reason(part, target)


def _layer_reason(part: str, target: str) -> str | None:
    if target not in ROW:
        return f"`{target}` is no part of laser_lit"
    if ROW[target] > ROW[part]:
        return f"`{part}` may not import `{target}`, which comes after it"
    if target not in NARROW.get(part, {target}) or part not in READERS.get(target, {part}):
        return f"`{part}` may not import `{target}`"
    return None


def circle(imports: list[Import]) -> list[str]:
    """Returns the modules of a circle of imports, each imported by the next; empty if there is none."""
    graph: dict[str, set[str]] = defaultdict(set)
    for found in imports:
        if not found.for_types and found.module != found.source:
            graph[found.source].add(found.module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
