"""Names, configs and content hashes."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from laser_lit.config_data import DataConfig, config_folder
from laser_lit.data.example import Example, ExampleSet, TextSet
from laser_lit.data.fingerprint import fingerprint
from laser_lit.data.matching import AfterTrigger, MatchedSet, NumberOrLetter
from laser_lit.data.pairs import ExactMatch, PairExample, PairSet
from laser_lit.data.registry import LOADERS, as_data_config, load_data, loader, named_config
from laser_lit.errors import InputError, UnknownNameError

EXAMPLES = (Example("1", "g", "p", "a"), Example("2", "g", "q", "b"))


def test_every_loader_can_be_imported_and_has_a_config_of_its_name() -> None:
    for name in LOADERS:
        assert callable(loader(name))
        if not name.startswith("facts"):
            assert named_config(name, config_folder()).name == name


def test_every_config_from_the_hub_is_pinned() -> None:
    for file in (config_folder() / "data").glob("*.yaml"):
        if file.stem.startswith("facts"):
            continue
        config = named_config(file.stem, config_folder())
        if config.id is not None:
            revision = str(config.revision)
            assert revision == "refs/convert/parquet" or (len(revision) == 40 and int(revision, 16))
            assert config.files


def test_unknown_names_and_fields_list_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown data 'hotpot'; nearest: hotpotqa"):
        load_data(DataConfig(name="hotpot"))
    with pytest.raises(UnknownNameError, match="unknown data 'wikitext'; nearest: wikitext2"):
        named_config("wikitext", config_folder())
    with pytest.raises(OmegaConfBaseException, match="promt"):
        as_data_config({"name": "jsonl", "promt": "x"})
    with pytest.raises(OmegaConfBaseException, match="could not be converted"):
        as_data_config({"name": "jsonl", "limit": "many"})


def test_configs_may_be_dataclasses_mappings_or_omegaconf_nodes() -> None:
    expected = DataConfig(name="text", path="a.txt")
    for given in (expected, {"name": "text", "path": "a.txt"}, OmegaConf.structured(expected)):
        assert as_data_config(given) == expected


def test_two_examples_of_one_id_are_refused(write: Callable[..., str]) -> None:
    rows = [{"known_id": 1, "attribute": "a", "prompt": "p"}] * 2
    with pytest.raises(InputError, match="two examples have the id '1'"):
        load_data(named_config("counterfact", config_folder(), path=write("known.json", rows)))


def test_several_files_are_told_apart(write: Callable[..., str]) -> None:
    paths = [write(f"{name}.jsonl", [{"claim": name, "label": 1}]) for name in ("paper_dev", "paper_test")]
    data = load_data(named_config("fever", config_folder(), path=paths))
    assert isinstance(data, ExampleSet)
    assert [e.id for e in data.examples] == ["paper_dev/1", "paper_test/1"]
    assert len(data.revision.split("+")) == 2


def test_fingerprints_follow_the_content_and_not_its_origin() -> None:
    data = ExampleSet("a", "token", EXAMPLES, "r1")
    same = ExampleSet("b", "token", EXAMPLES, "r2")
    assert fingerprint(data) == fingerprint(same)
    assert len(fingerprint(data)) == 32
    changed: list[Any] = [
        dataclasses.replace(data, scoring="generate"),
        dataclasses.replace(data, max_new_tokens=3),
        dataclasses.replace(data, examples=EXAMPLES[::-1]),
        dataclasses.replace(data, examples=EXAMPLES[:1]),
        dataclasses.replace(data, examples=(dataclasses.replace(EXAMPLES[0], target_new="x"), EXAMPLES[1])),
        TextSet("a", ("p", "q"), "r1"),
        TextSet("a", ("pq",), "r1"),
        TextSet("a", ("pq",), "r1", window=5),
    ]
    assert len({fingerprint(data), *map(fingerprint, changed)}) == len(changed) + 1


def test_fields_that_came_later_leave_earlier_fingerprints_alone() -> None:
    examples = (EXAMPLES[0], Example("2", "g", "q", "b", choices=("b", "c")))
    assert fingerprint(ExampleSet("a", "token", examples, "r")) == "a210dd2a1761844851e7bb22d9255028"
    pairs = (PairExample("1", "g", "p", "a", contexts=("p",), continuations=(" a",)),)
    exact = PairSet("a", "generate", pairs, "r", match=ExactMatch(until=("\n",)))
    assert fingerprint(exact) == "e0b2183521a1f53f931a11bb61c4340e"
    assert fingerprint(PairSet("a", "greedy", pairs, "r")) == "7d6288cf7e34a2db9010600259bf0e80"


def test_fingerprints_know_what_is_taught_and_how_it_is_judged() -> None:
    plain, taught = EXAMPLES[0], dataclasses.replace(EXAMPLES[0], completion="a")
    data: list[Any] = [
        ExampleSet("a", "generate", (plain,), "r"),
        ExampleSet("a", "generate", (taught,), "r"),
        ExampleSet("a", "generate", (dataclasses.replace(plain, second="a"),), "r"),
        MatchedSet("a", "generate", (plain,), "r", match=AfterTrigger("x")),
        MatchedSet("a", "generate", (plain,), "r", match=AfterTrigger("y")),
        MatchedSet("a", "generate", (plain,), "r", match=NumberOrLetter()),
        MatchedSet("a", "generate", (plain,), "r", match=NumberOrLetter(0.5)),
    ]
    assert len(set(map(fingerprint, data))) == len(data)


def test_a_name_stands_for_its_config(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "one and one", "result": "two"}\n')
    data = load_data("jsonl", path=str(file), prompt="{question} makes", answer="result")
    assert isinstance(data, ExampleSet)
    assert [(example.prompt, example.answer) for example in data.examples] == [("one and one makes", "two")]
    with pytest.raises(InputError, match="nearest: jsonl"):
        load_data("jsonll", path=str(file))


@pytest.mark.parametrize("name", ["facts", "facts_distractor"])
def test_the_built_in_data_reads_no_file(name: str) -> None:
    with pytest.raises(InputError, match=r"data.path=rows.json would count for nothing"):
        load_data(name, path="rows.json")
