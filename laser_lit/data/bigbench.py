"""BIG-bench tasks: epistemic_reasoning, causal_judgement, qa_wikidata, and web_of_lies of BIG-Bench-Hard.

Source: Srivastava et al. 2022 (arXiv 2206.04615); Suzgun et al. 2022 (arXiv 2210.09261). The files carry a canary: they
must not be trained on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.wording import group_of, masked

SCHEMA = Schema(
    wants="this task wants inputs and targets (the hub), or BIG-bench's task.json (examples of input with "
    "target_scores or target), or BIG-Bench-Hard's examples of input and target",
    original="https://github.com/google/BIG-bench and https://github.com/suzgunmirac/BIG-Bench-Hard",
)

CHOICES = {
    "epistemic_reasoning": ("entailment", "non-entailment"),
    "causal_judgement": ("Yes", "No"),
    "web_of_lies": ("Yes", "No"),
}


@dataclass(frozen=True)
class _Item:
    row: Row
    prompt: str
    targets: tuple[str, ...]


def load_choices(config: DataConfig) -> ExampleSet:
    """Returns the inputs as they are, with the task's choices."""
    tables = read_tables(config, SCHEMA, ("inputs", "targets", "input", "target"))
    choices = CHOICES[config.name]
    items = [_item(row, table.header) for table in tables for row in table]
    for item in items:
        if len(item.targets) != 1 or item.targets[0] not in choices:
            raise item.row.error(f"target {', '.join(item.targets)!r} is not one of {', '.join(choices)}")
    examples = tuple(
        Example(
            id=item.row.key,
            group=group_of(item.prompt),
            prompt=item.prompt,
            answer=item.targets[0],
            choices=choices,
            masked_prompt=masked(item.prompt),
        )
        for item in items
    )
    return ExampleSet(config.name, "choice", examples, revision_of(tables))


def load_generated(config: DataConfig) -> ExampleSet:
    """Returns the items with one target, as the protocol has it; all items where none has just one.

    Further targets of an item count as accepted answers.
    """
    tables = read_tables(config, SCHEMA, ("inputs", "targets", "input", "target"))
    items = [_item(row, table.header) for table in tables for row in table]
    masks = config.masks or 5
    examples = tuple(
        Example(
            id=item.row.key,
            group=group_of(item.prompt),
            prompt=item.prompt.strip(),
            answer=item.targets[0],
            aliases=item.targets[1:],
            masked_prompt=masked(item.prompt.strip(), masks),
        )
        for item in [item for item in items if len(item.targets) == 1] or items
    )
    new_tokens = config.max_new_tokens or 10
    return ExampleSet(config.name, "generate", examples, revision_of(tables), max_new_tokens=new_tokens, masks=masks)


def _item(row: Row, header: Mapping[str, Any]) -> _Item:
    if row.has("inputs"):
        return _Item(row, row.text("inputs"), _targets(row, "targets"))
    text = row.text("input")
    if row.has("target_scores"):
        scores = row.value("target_scores")
        if not isinstance(scores, Mapping) or not scores:
            raise row.error(f"field 'target_scores' is {scores!r}, not an object of scores")
        best = max(scores.values())
        targets = tuple(target for target, score in scores.items() if score == best)
        return _Item(row, _assembled(text, header, tuple(scores)), targets)
    is_task = "keywords" in header or "metrics" in header
    return _Item(row, _assembled(text, header, ()) if is_task else text, _targets(row, "target"))


def _targets(row: Row, name: str) -> tuple[str, ...]:
    value = row.value(name)
    targets = [value] if isinstance(value, str) else row.texts(name)
    if not targets or not all(target.strip() for target in targets):
        raise row.error(f"field {name!r} is {value!r}, where an answer is wanted")
    return tuple(target.strip() for target in targets)


def _assembled(text: str, header: Mapping[str, Any], choices: tuple[str, ...]) -> str:
    """Returns an input as BIG-bench puts it together from a task.json, which is what the hub's `inputs` hold.

    Source: "Creating the task", docs/doc.md of google/BIG-bench: the keys below and their defaults.
    """
    listed = ""
    if choices and header.get("append_choices_to_input", True):
        listed = "".join(header.get("choice_prefix", "\n  choice: ") + choice for choice in choices)
    parts = (
        header.get("task_prefix", ""),
        header.get("example_input_prefix", "\nQ: "),
        text,
        listed,
        header.get("example_output_prefix", "\nA: "),
    )
    return "".join(parts).strip()
