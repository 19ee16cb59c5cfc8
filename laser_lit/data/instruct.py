"""Instructions with the output that is wanted: Alpaca's rows, and UltraFeedback's chosen answers.

Source: Alpaca's prompts as pyreft writes them (examples/loreft/templates.py and dataset.py).
"""

from collections.abc import Mapping

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.template import fields_of, fill
from laser_lit.data.wording import alpaca, group_of
from laser_lit.errors import InputError

ORIGINALS = {
    "instruct": "https://github.com/tatsu-lab/stanford_alpaca (alpaca_data.json)",
    "ultrafeedback": "https://huggingface.co/datasets/argilla/ultrafeedback-binarized-preferences-cleaned",
}
MAX_NEW_TOKENS = 32


def load(config: DataConfig) -> ExampleSet:
    """Returns an instruction a row; rows without an output are left out.

    Args:
        config: `prompt` is a template in place of Alpaca's.

    Raises:
        InputError: a row lacks a field, or no row has an output.
    """
    schema = Schema(
        f"{config.name} wants the fields instruction, input (may be missing) and output, or prompt and chosen (a "
        "conversation: a list of role and content)",
        ORIGINALS[config.name],
    )
    if config.prompt is not None:
        fields_of(config.prompt, "data.prompt")
    tables = read_tables(config, schema)
    made = (_example(row, config.prompt) for table in tables for row in table)
    examples = tuple(example for example in made if example is not None)
    if not examples:
        raise InputError(f"data set {config.name}: every output is empty")
    new_tokens = config.max_new_tokens or MAX_NEW_TOKENS
    return ExampleSet(config.name, "generate", examples, revision_of(tables), max_new_tokens=new_tokens)


def _example(row: Row, template: str | None) -> Example | None:
    if row.has("chosen"):
        prompt, output = alpaca(row.text("prompt")), _reply(row)
    else:
        more = row.values.get("input")
        prompt, output = alpaca(row.text("instruction"), str(more or "").strip()), row.value("output")
    if not isinstance(output, str):
        raise row.error(f"its output is {output!r}, not a string")
    output = output.strip()
    if template is not None:
        prompt = fill(template, row)
    return Example(row.key, group_of(prompt), prompt, output, completion=output) if output else None


def _reply(row: Row) -> object:
    """Returns the text of the last turn of the chosen conversation, which is the assistant's."""
    turns = row.value("chosen")
    if isinstance(turns, str):
        return turns
    last = turns[-1] if isinstance(turns, list) and turns else None
    if not isinstance(last, Mapping) or last.get("role") != "assistant" or "content" not in last:
        raise row.error(f"field 'chosen' ends in {last!r}, not in a turn of the assistant")
    return last["content"]
