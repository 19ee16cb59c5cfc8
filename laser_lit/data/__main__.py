"""`python -m laser_lit.data check` and `show`: which data sets can be had, and what a model would see of them."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from laser_lit.config_data import DataConfig, config_folder, quote_templates
from laser_lit.data.example import Example, ExampleSet, TextSet
from laser_lit.data.hub import HubError
from laser_lit.data.registry import load_data, named_config
from laser_lit.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 where a data set cannot be had.

    Args:
        arguments: what follows `python -m laser_lit.data`; None takes the command line's.
    """
    parser = argparse.ArgumentParser(prog="python -m laser_lit.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="read a few rows of each data set from the hub")
    check.add_argument("names", nargs="*", help="data sets; all of them where none is named")
    check.add_argument("--rows", type=int, default=3, help="rows of each part (default: 3)")
    show = commands.add_parser("show", help="print two examples as a model would see them")
    show.add_argument("name", help="the data set, as typed after data=")
    show.add_argument("path", nargs="?", help="a local file; the hub where it is left out")
    show.add_argument("settings", nargs="*", help="further settings, as in prompt='{question} Answer:' answer=answer")
    options = parser.parse_args(arguments)
    try:
        if options.command == "check":
            return check_all(options.names or hub_names(), options.rows)
        return show_examples(options.name, options.path, options.settings)
    except (InputError, OmegaConfBaseException) as error:
        Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1


def hub_names() -> list[str]:
    """Returns the data sets that come from the hub."""
    names = sorted(path.stem for path in (config_folder() / "data").glob("*.yaml"))
    return [name for name in names if named_config(name, config_folder()).id is not None]


def check_all(names: Sequence[str], rows: int) -> int:
    """Prints a table of which data sets can be read from the hub; returns 0 if all can, else 1.

    Args:
        names: the data sets.
        rows: rows of each part to read, at least 1.
    """
    console = Console()
    table = Table(title="Data sets on the hub")
    table.add_column("data", no_wrap=True)
    for heading in ("read", "id and revision"):
        table.add_column(heading, overflow="fold")
    failed = 0
    for name in names:
        config = named_config(name, config_folder(), first_rows=rows)
        try:
            outcome = f"yes: {_count(load_data(config))}"
        except InputError as error:
            failed += 1
            outcome = f"no: {error.reason if isinstance(error, HubError) else error}"
        table.add_row(name, outcome, f"{config.id}@{str(config.revision)[:21]}")
    console.print(table)
    console.print(f"{len(names) - failed} of {len(names)} can be read; data.path=FILE reads a local file instead")
    return 1 if failed else 0


def show_examples(name: str, path: str | None, settings: Sequence[str], n: int = 2) -> int:
    """Prints the first examples (or the start of the first documents) of a data set; returns 0.

    Args:
        name: the data set.
        path: a local file, or a setting as in the next argument; None reads from the hub.
        settings: further settings, field=value.
        n: how many.
    """
    given = ([path] if path is not None and "=" in path else []) + list(settings)
    config = named_config(name, config_folder(), **_settings(given))
    if path is not None and "=" not in path:
        config.path = path
    data = load_data(_quick(config, n))
    console = Console()
    if isinstance(data, TextSet):
        for document in data.documents[:n]:
            console.print(f"{document[:500]!r} …", markup=False, soft_wrap=True)
        return 0
    for example in data.examples[:n]:
        for line in _lines(data, example):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Returns field -> value, by the rules of Hydra's command line."""
    texts = quote_templates([f"data.{text.removeprefix('data.')}" for text in given])
    try:
        overrides = OverridesParser.create().parse_overrides(texts)
    except HydraException as error:
        raise InputError(f"settings are written field=value, as in answer=answer: {error}") from None
    return {override.get_key_element().removeprefix("data."): override.value() for override in overrides}


def _quick(config: DataConfig, n: int) -> DataConfig:
    if config.path is None and config.id is not None and config.first_rows is None:
        config.first_rows = 20 * n  # some data sets drop rows
    return config


def _lines(data: ExampleSet, example: Example) -> list[str]:
    fields = {
        "id": example.id,
        "group": example.group,
        "prompt": repr(example.prompt),
        "second text": repr(example.second) if example.second else None,
        "answer": repr(example.answer),
        "taught": repr(example.completion) if example.completion not in (None, example.answer) else None,
        "choices": ", ".join(example.choices),
        "also right": ", ".join(example.aliases),
        "split": example.category if data.scoring == "label" else None,
        "false object": example.target_new,
        "masked prompt": repr(example.masked_prompt) if example.masked_prompt else None,
        "scored by": data.scoring,
    }
    return [f"{name + ':':<15}{value}" for name, value in fields.items() if value] + [""]


def _count(data: ExampleSet | TextSet) -> str:
    return f"{len(data.documents)} text(s)" if isinstance(data, TextSet) else f"{len(data.examples)} example(s)"


if __name__ == "__main__":
    sys.exit(main())
