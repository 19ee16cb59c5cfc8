"""FEVER: is a claim true or false?

Source: Thorne et al. 2018, "FEVER: a Large-scale Dataset for Fact Extraction and VERification".
"""

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.wording import group_of, masked, sentence

SCHEMA = Schema(
    wants="fever wants claim and label (SUPPORTS, REFUTES, NOT ENOUGH INFO, or 1 for true and 0 for false)",
    original="https://fever.ai/download/fever/paper_dev.jsonl",
)

_ANSWERS = {"SUPPORTS": "true", 1: "true", "REFUTES": "false", 0: "false", "NOT ENOUGH INFO": None}


def load(config: DataConfig) -> ExampleSet:
    """Returns one example a claim, in order of first appearance.

    Rows without enough information are dropped first; then claims that stand there with both labels.
    """
    tables = read_tables(config, SCHEMA, ("id", "claim", "label"))
    first: dict[str, Row] = {}
    answers: dict[str, set[str]] = {}
    for table in tables:
        for row in table:
            answer = _answer(row)
            if answer is not None:
                claim = row.text("claim")
                first.setdefault(claim, row)
                answers.setdefault(claim, set()).add(answer)
    kept = [(claim, row, answers[claim].pop()) for claim, row in first.items() if len(answers[claim]) == 1]
    examples = tuple(_example(claim, row, answer) for claim, row, answer in kept)
    return ExampleSet(config.name, "choice", examples, revision_of(tables))


def _answer(row: Row) -> str | None:
    label = row.value("label")
    if isinstance(label, list | dict) or label not in _ANSWERS:
        raise row.error(f"label {label!r} is none of {', '.join(map(repr, _ANSWERS))}")
    return _ANSWERS[label]


def _example(claim: str, row: Row, answer: str) -> Example:
    prompt = f"Consider the following claim: {sentence(claim)} Is this claim true or false. The claim is"
    return Example(
        id=row.key,
        group=group_of(claim),
        prompt=prompt,
        answer=answer,
        choices=("true", "false"),
        masked_prompt=masked(prompt),
    )
