"""TruthfulQA, one true-or-false question a choice.

Source: Lin et al. 2022, "TruthfulQA: Measuring How Models Mimic Human Falsehoods", multiple choice mc2.
"""

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.wording import group_of, masked

SCHEMA = Schema(
    wants="truthfulqa wants question and mc2_targets, as {choice: 0 or 1} or as {choices: […], labels: […]}",
    original="https://github.com/sylinrl/TruthfulQA/blob/main/data/mc_task.json",
)


def load(config: DataConfig) -> ExampleSet:
    """Returns one example a choice of mc2; a group is a question."""
    tables = read_tables(config, SCHEMA, ("question", "mc2_targets"))
    examples = tuple(
        _example(row, i, choice, label)
        for table in tables
        for row in table
        for i, (choice, label) in enumerate(_choices(row), start=1)
    )
    return ExampleSet(config.name, "choice", examples, revision_of(tables))


def _choices(row: Row) -> list[tuple[str, int]]:
    targets = row.value("mc2_targets")
    if isinstance(targets, dict) and set(targets) == {"choices", "labels"}:
        choices, labels = row.texts("mc2_targets.choices"), row.value("mc2_targets.labels")
        if not isinstance(labels, list) or len(labels) != len(choices):
            raise row.error(f"mc2_targets has {len(choices)} choices and labels {labels!r}")
        pairs = list(zip(choices, labels, strict=True))
    elif isinstance(targets, dict):
        pairs = list(targets.items())
    else:
        raise row.error(f"field 'mc2_targets' is {targets!r}, not an object")
    for choice, label in pairs:
        if label not in (0, 1):
            raise row.error(f"label {label!r} of choice {choice!r} is neither 0 nor 1")
    return pairs


def _example(row: Row, i: int, choice: str, label: int) -> Example:
    question = row.text("question")
    statement = f"{question} {choice}"
    if not statement.endswith("."):
        statement += "."
    # no space before "Is": the published prompt has none
    prompt = f"{statement}Is this statement true or false? This statement is"
    return Example(
        id=f"{row.key}/{i}",
        group=group_of(question),
        prompt=prompt,
        answer="true" if label else "false",
        choices=("true", "false"),
        masked_prompt=masked(prompt),
    )
