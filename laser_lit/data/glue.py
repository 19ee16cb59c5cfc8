"""GLUE: sentences and pairs of sentences with labels, for classifiers.

Source: Wang et al. 2018, "GLUE" (arXiv 1804.07461); labels and fields as nyu-mll/glue on the hub has them.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, Table, revision_of
from laser_lit.data.wording import group_of
from laser_lit.errors import InputError, unknown_name


@dataclass(frozen=True)
class GlueTask:
    """What the rows of a task hold.

    Attributes:
        fields: the field of the text, or of the two texts.
        labels: names of the labels, in the order of their numbers; empty where the label is a score.
        validation: name of the split that is evaluated.
    """

    fields: tuple[str, ...]
    labels: tuple[str, ...] = ()
    validation: str = "validation"


_PAIR = ("sentence1", "sentence2")
_ENTAILED = ("entailment", "not_entailment")
TASKS = {
    "cola": GlueTask(("sentence",), ("unacceptable", "acceptable")),
    "sst2": GlueTask(("sentence",), ("negative", "positive")),
    "mrpc": GlueTask(_PAIR, ("not_equivalent", "equivalent")),
    "qqp": GlueTask(("question1", "question2"), ("not_duplicate", "duplicate")),
    "stsb": GlueTask(_PAIR),
    "mnli": GlueTask(("premise", "hypothesis"), ("entailment", "neutral", "contradiction"), "validation_matched"),
    "qnli": GlueTask(("question", "sentence"), _ENTAILED),
    "rte": GlueTask(_PAIR, _ENTAILED),
}
"""By the name typed after `data.task=`."""

SPLITS = {"train": "train", "validation": "validation", "dev": "validation"}
"""How the name of a file begins -> the split it is, which becomes `Example.category`."""


def load(config: DataConfig) -> ExampleSet:
    """Returns a labelled text (or pair of texts) a row; `Example.category` says "train" or "validation".

    Args:
        config: `task` names one of `TASKS`; in `files`, "{task}" and "{validation}" stand for its name and its split.

    Raises:
        InputError: the task is unknown, a file's name does not say which split it is, or a row is at fault.
    """
    if config.task not in TASKS:
        raise unknown_name("data.task of GLUE", config.task, TASKS)
    task = TASKS[config.task]
    files = {
        split: pattern.format(task=config.task, validation=task.validation)
        for split, pattern in (config.files or {}).items()
    }
    tables = read_tables(replace(config, files=files or None), _schema(config.task, task))
    examples = tuple(_example(row, task, _split(table)) for table in tables for row in table)
    return ExampleSet(config.name, "label", examples, revision_of(tables))


def _schema(name: str, task: GlueTask) -> Schema:
    label = f"a number from 0 to {len(task.labels) - 1}" if task.labels else "a score"
    wants = f"{name} of GLUE wants the fields {', '.join(task.fields)} and label ({label})"
    return Schema(wants, "https://huggingface.co/datasets/nyu-mll/glue")


def _split(table: Table) -> str:
    """Returns which split a table is, by its name, its file's or its folder's."""
    path = Path(table.source)
    for begin, split in SPLITS.items():
        if table.split.startswith(begin) or path.name.startswith(begin) or path.parent.name == begin:
            return split
    raise InputError(
        f"{table.source}: its name does not say which split it is; begin it with {', '.join(SPLITS)}, as in "
        "data.path=[train.parquet,validation.parquet]"
    )


def _example(row: Row, task: GlueTask, split: str) -> Example:
    texts = [row.text(field) for field in task.fields]
    return Example(
        id=row.key,
        group=group_of("\n".join(texts)),
        prompt=texts[0],
        answer=_label(row, task.labels, row.value("label")),
        choices=task.labels,
        category=split,
        second=texts[1] if len(texts) > 1 else None,
    )


def _label(row: Row, names: tuple[str, ...], given: Any) -> str:
    """Returns the name of a label that is given as its number or its name; of a score, the number as text."""
    text = str(given).strip()
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not names and 0 <= number <= 5:
        return text
    if text in names:
        return text
    if names and number in range(len(names)):
        return names[int(number)]
    allowed = f"one of {', '.join(f'{i} ({name})' for i, name in enumerate(names))}" if names else "a score from 0 to 5"
    hidden = "; -1 marks a test split, whose labels are kept back" if number == -1 else ""
    raise row.error(f"label {given!r}: must be {allowed}{hidden}")
