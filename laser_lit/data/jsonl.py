"""Anybody's own task: rows of any fields, a template for the prompt, and where the answer is."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from laser_lit.config_data import DataConfig
from laser_lit.data.example import MASK, Example, ExampleSet, Scoring
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.template import fields_of, fill
from laser_lit.data.wording import group_of, masked
from laser_lit.errors import InputError

SCHEMA = Schema(
    wants="jsonl wants the fields that data.prompt, data.answer, data.choices, data.group and data.subject name"
)


def load(config: DataConfig) -> ExampleSet:
    """Returns an example a row.

    Raises:
        InputError: `data.prompt` or `data.answer` is missing or malformed, or a row lacks a field.
    """
    if config.prompt is None or config.answer is None:
        missing = "data.prompt='{question} Answer:'" if config.prompt is None else "data.answer=FIELD"
        raise InputError(f"data={config.name}: needs {missing} (fields of a row, in braces in the prompt)")
    fields_of(config.prompt, "data.prompt")
    if config.masked_prompt is not None:
        fields_of(config.masked_prompt, "data.masked_prompt")
        if MASK not in config.masked_prompt:
            raise InputError(f"data.masked_prompt {config.masked_prompt!r}: has no {MASK} where the answer goes")
    tables = read_tables(config, SCHEMA)
    scoring = cast(Scoring, config.score_as or ("choice" if config.choices is not None else "generate"))
    if scoring == "choice" and config.choices is None:
        raise InputError("data.score_as=choice: needs data.choices (a field with a list, or a list)")
    masks = config.masks or (5 if scoring == "generate" else 1)
    examples = tuple(_example(row, config, masks) for table in tables for row in table)
    new_tokens = config.max_new_tokens or 10
    return ExampleSet(config.name, scoring, examples, revision_of(tables), max_new_tokens=new_tokens, masks=masks)


def _example(row: Row, config: DataConfig, masks: int) -> Example:
    prompt = fill(str(config.prompt), row)
    choices = _choices(row, config.choices)
    answer, *aliases = _answers(row, str(config.answer), choices)
    return Example(
        id=row.key,
        group=_scalar(row, config.group) if config.group else group_of(prompt),
        prompt=prompt,
        answer=answer,
        choices=choices,
        aliases=tuple(aliases),
        masked_prompt=masked(prompt, masks) if config.masked_prompt is None else fill(config.masked_prompt, row),
        subject=_subject(row, config.subject) if config.subject else None,
    )


def _choices(row: Row, given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    found = row.value(given) if isinstance(given, str) else given
    if isinstance(found, str | Mapping) or not isinstance(found, Sequence):
        raise row.error(f"choices are {found!r}, not a list")
    choices = tuple(_as_text(choice) for choice in found)
    if len(choices) < 2 or len(set(choices)) < len(choices) or not all(choices):
        raise row.error(f"choices {list(choices)}: at least two, different and not empty, are wanted")
    return choices


def _answers(row: Row, name: str, choices: tuple[str, ...]) -> list[str]:
    """Returns the accepted answers, the gold one first; a number that is no choice counts choices from 0."""
    value = row.value(name)
    answers = [_as_text(item) for item in value] if isinstance(value, list) else [_as_text(value)]
    if not choices:
        if not answers or not all(answers):
            raise row.error(f"answer {value!r} is empty")
        return answers
    if len(answers) == 1 and answers[0] in choices:
        return answers
    place = int(answers[0]) if len(answers) == 1 and re.fullmatch("[0-9]+", answers[0]) else len(choices)
    if place < len(choices):
        return [choices[place]]
    raise row.error(f"answer {value!r} is not one of the choices {list(choices)}, nor the place of one (from 0)")


def _scalar(row: Row, name: str) -> str:
    value = row.value(name)
    if isinstance(value, list | Mapping):
        raise row.error(f"field {name!r} is {value!r}, not a name")
    return str(value)


def _subject(row: Row, name: str) -> str:
    subject = _scalar(row, name).strip()
    if not subject:
        raise row.error(f"field {name!r} is empty")
    return subject


def _as_text(value: Any) -> str:
    """Returns a value as it is written in JSON: true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()
