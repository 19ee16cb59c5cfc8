"""HotpotQA without its passages: questions with short generated answers.

Source: Yang et al. 2018, "HotpotQA: A Dataset for Diverse, Explainable Multi-hop Question Answering".
"""

from dataclasses import replace

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, Table, revision_of
from laser_lit.data.wording import group_of, masked

SCHEMA = Schema(
    wants="hotpotqa wants question and answer",
    original="http://curtis.ml.cmu.edu/datasets/hotpot/hotpot_dev_fullwiki_v1.json",
)


def load(config: DataConfig) -> ExampleSet:
    """Returns the questions; of the hub, as many of the training split as validation has, then validation.

    Answers that are too long for `data.max_answer_tokens` are dropped later, when the tokenizer is known.
    """
    tables = _published_order(read_tables(config, SCHEMA, ("id", "question", "answer", "type")))
    masks = config.masks or 5
    examples = tuple(_example(row, masks) for table in tables for row in table)
    new_tokens = config.max_new_tokens or 15
    return ExampleSet(config.name, "generate", examples, revision_of(tables), max_new_tokens=new_tokens, masks=masks)


def _published_order(tables: list[Table]) -> list[Table]:
    by_split = {table.split: table for table in tables}
    if set(by_split) != {"train", "validation"}:
        return tables
    train, validation = by_split["train"], by_split["validation"]
    n = len(validation.rows)
    return [replace(train, rows=train.rows[:n], numbers=train.numbers[:n]), validation]


def _example(row: Row, masks: int) -> Example:
    question = row.text("question").strip()
    prompt = f"{question if question.endswith(('?', '.')) else question + '?'} The answer is"
    return Example(
        id=str(row.values.get("id") or row.values.get("_id") or row.key),
        group=group_of(question),
        prompt=prompt,
        answer=row.text("answer").strip(),
        masked_prompt=masked(prompt, masks),
        category=row.values.get("type"),
    )
