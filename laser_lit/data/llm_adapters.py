"""LLM-Adapters' commonsense and mathematics questions, asked as ReFT asks them.

Source: Hu et al. 2023 (arXiv 2304.01933); prompts, lengths and rules of pyreft (examples/loreft/task_config.py).
"""

from dataclasses import dataclass

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example
from laser_lit.data.matching import LETTERS, AfterTrigger, Match, MatchedSet, NumberOrLetter, is_number
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.template import fields_of, fill
from laser_lit.data.wording import alpaca, group_of

TRIGGER = "the correct answer is "
"""What announces the answer of a commonsense question, in training and in a generated text."""

ORIGINAL = "https://github.com/AGI-Edgerunners/LLM-Adapters (dataset/*/test.json and ft-training_set/*.json)"


@dataclass(frozen=True)
class Recipe:
    """How a kind of question is generated and judged.

    Attributes:
        match: when a generated text is right.
        max_new_tokens: its length.
    """

    match: Match
    max_new_tokens: int


RECIPES = {
    "commonsense": Recipe(AfterTrigger(TRIGGER), 32),
    "math": Recipe(NumberOrLetter(), 512),
}
"""By the name typed after `data=`."""


def load(config: DataConfig) -> MatchedSet:
    """Returns a question a row, in the order of the files.

    Args:
        config: `path` names the files; `prompt` a template in place of the recipe's.

    Raises:
        InputError: no file is named, or a row lacks a field or has an answer of another kind.
    """
    schema = Schema(f"{config.name} wants the fields instruction, input (may be empty), output and answer", ORIGINAL)
    if config.prompt is not None:
        fields_of(config.prompt, "data.prompt")
    tables = read_tables(config, schema)
    recipe = RECIPES[config.name]
    make = _commonsense if config.name == "commonsense" else _math
    examples = tuple(make(row, config.prompt) for table in tables for row in table)
    new_tokens = config.max_new_tokens or recipe.max_new_tokens
    return MatchedSet(
        config.name, "generate", examples, revision_of(tables), max_new_tokens=new_tokens, match=recipe.match
    )


def _asked(row: Row) -> tuple[str, str]:
    return row.text("instruction"), str(row.values.get("input") or "").strip()


def _commonsense(row: Row, template: str | None) -> Example:
    instruction, more = _asked(row)
    prompt = fill(template, row) if template else f"{instruction}\n{more}\n" if more else f"{instruction}\n"
    answer = row.text("answer").strip()
    return Example(row.key, group_of(prompt), prompt, answer, completion=TRIGGER + answer)


def _math(row: Row, template: str | None) -> Example:
    """Returns a question; its completion is the row's output where that comes to the answer, which many do not."""
    prompt = fill(template, row) if template else alpaca(*_asked(row))
    answer = str(row.value("answer")).strip()
    if answer not in LETTERS and not is_number(answer):
        raise row.error(f"answer {answer!r} is neither a number nor one of the letters {', '.join(LETTERS)}")
    output = str(row.values.get("output") or "").strip()
    _, right = RECIPES["math"].match.judge(output, [answer])
    completion = output if right else f"The answer is {answer.removesuffix('.0')}."
    return Example(row.key, group_of(prompt), prompt, answer, completion=completion)
