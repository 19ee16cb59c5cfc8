"""What a config.json leaves out is filled in as transformers' own config classes fill it in."""

from itertools import product
from typing import Any

import pytest
import transformers

from laser_lit.models.architecture import Architecture, families

CLASSES = {
    "bloom": transformers.BloomConfig,
    "falcon": transformers.FalconConfig,
    "gpt_neox": transformers.GPTNeoXConfig,
    "phi3": transformers.Phi3Config,
}
VALUES: dict[str, list[Any]] = {
    "n_head": [4],
    "num_attention_heads": [16],
    "num_key_value_heads": [None, 4],
    "num_kv_heads": [None, 2],
    "multi_query": [False, True],
    "new_decoder_architecture": [False, True],
}
"""What a file may say of a field, besides nothing."""


def fields_of(family: Architecture) -> set[str]:
    """The config fields that the family's entries name."""
    entries = [entry for part in family.parts for entry in part.entries]
    numbers = [n for e in entries for place in (e.memory, e.disk) for n in (*place.shares, place.groups)]
    return {n for n in numbers if isinstance(n, str)} | {name for entry in entries for name, _ in entry.when}


NAMED = {name: fields for name, family in families().items() if (fields := fields_of(family))}


def test_every_family_that_names_config_fields_is_compared() -> None:
    assert set(NAMED) == set(CLASSES)
    assert set().union(*NAMED.values()) <= set(VALUES)
    for name, fields in NAMED.items():
        assert fields <= {field for field, _ in families()[name].defaults}, name


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_file_is_filled_in_as_transformers_does(name: str) -> None:
    named = {*NAMED[name], *({"num_attention_heads"} if name == "bloom" else ())}
    said = [[{}, *({field: value} for value in VALUES[field])] for field in sorted(named)]
    for parts in product(*said):
        file = {field: value for part in parts for field, value in part.items()}
        if name == "bloom" and len(file) > 1:
            continue  # two names of one field
        config, filled = CLASSES[name](**file, hidden_size=71 * 64 * 4), families()[name].filled(file)
        assert {field: filled[field] for field in NAMED[name]} == {
            field: getattr(config, field) for field in NAMED[name]
        }, file
