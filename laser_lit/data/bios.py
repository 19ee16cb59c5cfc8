"""Bias in Bios: the gender or the profession of the person whom a text describes.

Source: De-Arteaga et al. 2019, "Bias in Bios"; the cut of Ravfogel et al. 2020 that the hub has.
"""

from laser_lit.config_data import DataConfig
from laser_lit.data.example import MASK, Example, ExampleSet
from laser_lit.data.source import read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.wording import group_of, sentence

SCHEMA = Schema(
    wants="bios_gender and bios_profession want hard_text, gender (0 male, 1 female) and "
    "profession (0 to 27, alphabetical)",
    original="https://huggingface.co/datasets/LabHC/bias_in_bios",
)

GENDERS = ("male", "female")
# fmt: off
PROFESSIONS = (
    "accountant", "architect", "attorney", "chiropractor", "comedian", "composer", "dentist", "dietitian", "dj",
    "filmmaker", "interior designer", "journalist", "model", "nurse", "painter", "paralegal", "pastor",
    "personal trainer", "photographer", "physician", "poet", "professor", "psychologist", "rapper",
    "software engineer", "surgeon", "teacher", "yoga teacher",
)
# fmt: on
"""The hub's numbering, from 0."""

ASKED = ("journalist", "poet", "composer", "model", "teacher", "architect", "painter", "professor")
"""The professions of one token that LASER asks for, in its order."""

_START = "Consider the following text: "


def load(config: DataConfig) -> ExampleSet:
    """Returns the texts; for professions only those of `ASKED`.

    A masked model sees the last 50 tokens of a text (`ExampleSet.masked_tail_tokens`).
    """
    tables = read_tables(config, SCHEMA, ("hard_text", "gender", "profession"))
    build = _gender if config.name == "bios_gender" else _profession
    built = (build(row) for table in tables for row in table)
    examples = tuple(example for example in built if example is not None)
    tail = config.masked_tail_tokens or 50
    return ExampleSet(config.name, "choice", examples, revision_of(tables), masked_tail_tokens=tail)


def _gender(row: Row) -> Example:
    text, gender = row.text("hard_text"), GENDERS[_index(row, "gender", len(GENDERS))]
    start = f"{_START}{sentence(text)} Is the person in this text a male or female?"
    return Example(
        id=row.key,
        group=group_of(text),
        prompt=f"{start} The gender of this person is",
        answer=gender,
        choices=GENDERS,
        masked_prompt=f"{start} This person is {MASK}.",
        category=PROFESSIONS[_index(row, "profession", len(PROFESSIONS))] if row.has("profession") else None,
        masked_text=text,
    )


def _profession(row: Row) -> Example | None:
    text, profession = row.text("hard_text"), PROFESSIONS[_index(row, "profession", len(PROFESSIONS))]
    if profession not in ASKED:
        return None
    start = f"{_START}{sentence(text)}"
    asks = "What is the profession of the person in this text? The profession of this person is"
    return Example(
        id=row.key,
        group=group_of(text),
        prompt=f"{start} {asks}",
        answer=profession,
        choices=ASKED,
        masked_prompt=f"{start} The profession of the person in the text is called {MASK}.",
        category=GENDERS[_index(row, "gender", len(GENDERS))] if row.has("gender") else None,
        masked_text=text,
    )


def _index(row: Row, name: str, n: int) -> int:
    value = row.value(name)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if isinstance(value, float) and value != number:
        number = -1
    if not 0 <= number < n:
        raise row.error(f"{name} {value!r}: must be a whole number in [0, {n - 1}]")
    return number
