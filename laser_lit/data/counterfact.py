"""CounterFact: facts as prompts that the object completes, each with its paraphrases.

Source: Meng et al. 2022, "Locating and Editing Factual Associations in GPT"; LASER's protocol (arXiv 2312.13558, 5.1).
"""

from collections.abc import Iterator

from laser_lit.config_data import DataConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.wording import masked

SCHEMA = Schema(
    wants="counterfact wants requested_rewrite.{prompt, subject, target_true.str, target_new.str} and "
    "paraphrase_prompts as in ROME's counterfact.json, or prompt, subject and attribute as in known_1000.json",
    original="https://rome.baulab.info/data/dsets/counterfact.json",
)


def load(config: DataConfig) -> ExampleSet:
    """Returns each fact's prompt and paraphrases as they are; the answer is the true object, a group is a fact."""
    tables = read_tables(config, SCHEMA)
    examples = tuple(example for table in tables for row in table for example in _of_row(row))
    return ExampleSet(
        name=config.name,
        scoring="token",
        examples=examples,
        revision=revision_of(tables),
        max_new_tokens=config.max_new_tokens or 10,
        masks=config.masks or 1,
    )


def _of_row(row: Row) -> Iterator[Example]:
    if row.has("attribute"):
        key = str(row.values.get("known_id", row.key))
        subject = row.text("subject") if row.has("subject") else None
        yield _example(key, key, row.text("prompt"), row.text("attribute"), None, row, subject)
        return
    key = str(row.values.get("case_id", row.key))
    template, subject = row.text("requested_rewrite.prompt"), row.text("requested_rewrite.subject")
    if "{}" not in template:
        raise row.error(f"requested_rewrite.prompt {template!r} has no {{}} for the subject")
    answer, false = row.text("requested_rewrite.target_true.str"), row.text("requested_rewrite.target_new.str")
    prompts = [template.replace("{}", subject, 1), *row.texts("paraphrase_prompts")]
    for i, prompt in enumerate(prompts):
        yield _example(f"{key}/{i}", key, prompt, answer, false, row, subject)


def _example(
    key: str, group: str, prompt: str, answer: str, false: str | None, row: Row, subject: str | None
) -> Example:
    relation = row.values.get("relation_id") or row.values.get("requested_rewrite", {}).get("relation_id")
    return Example(
        id=key,
        group=group,
        prompt=prompt,
        answer=answer.strip(),
        target_new=false.strip() if false else None,
        masked_prompt=masked(prompt, end="."),
        category=relation,
        subject=subject,
    )
