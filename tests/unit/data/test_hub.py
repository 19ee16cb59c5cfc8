"""Every hub data set through the loading path that a user takes, from a cache laid out as the hub's."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laser_lit.config_data import config_folder
from laser_lit.data import hub as hub_module
from laser_lit.data.example import ExampleSet
from laser_lit.data.registry import load_data, named_config
from laser_lit.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
EXPECTED = {
    "counterfact": (["7/0", "7/1", "7/2", "8/0", "8/1", "8/2"], ["French"] * 6),
    "hotpotqa": (["t0", "v0"], ["Ann", "yes"]),
    "fever": (["paper_dev/1", "paper_dev/3", "paper_test/1"], ["true", "false", "false"]),
    "bios_gender": (["dev/1", "dev/2"], ["female", "male"]),
    "bios_profession": (["dev/1"], ["poet"]),
    "truthfulqa": (["validation/1/1", "validation/1/2"], ["true", "false"]),
    "epistemic_reasoning": (["validation/1", "train/1"], ["entailment", "non-entailment"]),
    "causal_judgement": (["validation/1", "train/1"], ["Yes", "No"]),
    "qa_wikidata": (["validation/1", "train/1"], ["Lima", "Rome"]),
    "web_of_lies": (["train/1"], ["No"]),
    "ultrafeedback": (["train/1", "train/2"], ["one", "two"]),
    "glue": (["train/1", "validation/1"], ["unacceptable", "acceptable"]),
}
TEXTS = {
    "wikitext2": "\n\n = Title = \n\n\n\n\n Words . \n",
    "ptb": "no it was n't <unk> said",
    "c4": "First page",
    "gsm8k": "2 + 2?\n4\n#### 4",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_examples_in_the_hubs_schema(name: str, hub: Path, load: Callable[..., Any]) -> None:
    data = load(name)
    assert isinstance(data, ExampleSet)
    assert ([e.id for e in data.examples], [e.answer for e in data.examples]) == EXPECTED[name]


@pytest.mark.parametrize("name", TEXTS)
def test_texts_in_the_hubs_schema(name: str, hub: Path, load: Callable[..., Any]) -> None:
    data = load(name)
    assert data.documents[0] == TEXTS[name]
    assert data.groups == {"c4": ("validation/1", "validation/2"), "gsm8k": ("test/1",)}.get(name, ())


def test_a_pinned_commit_and_a_moving_ref_are_both_recorded_as_commits(hub: Path, load: Callable[..., Any]) -> None:
    assert load("counterfact").revision == "c01c413f856ee38f5c080c9fc5e87aff478e2ff9"
    assert load("fever").revision == COMMIT


def test_first_rows_stream_through_the_files_address(
    hub: Path, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def local(config: Any, pattern: str) -> str:
        return str(hub_module.fetch(config, None) / pattern)

    monkeypatch.setattr(hub_module, "location", local)
    assert [e.id for e in load("counterfact", first_rows=1).examples][:3] == ["7/0", "7/1", "7/2"]
    assert len(load("c4", first_rows=1).documents) == 1
    assert load("web_of_lies", first_rows=5).examples[0].answer == "No"


def test_files_on_the_hub_are_named_by_repository_and_revision() -> None:
    fever = named_config("fever", config_folder())
    address = hub_module.location(fever, "v1.0/paper_dev/*.parquet")
    assert address == "hf://datasets/EleutherAI/fever@refs/convert/parquet/v1.0/paper_dev/*.parquet"


def test_offline_says_what_where_and_what_instead(load: Callable[..., Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(hub_module.HubError) as caught:
        load("truthfulqa")
    message = str(caught.value)
    for part in ("truthfulqa/truthful_qa", "741b8276f2d1982aa3d5b832d3ee81ed3b896490", "data.path=", "mc2_targets"):
        assert part in message
    assert "github.com/sylinrl/TruthfulQA" in message
    assert caught.value.reason == "offline, HF_HUB_OFFLINE is set"


def test_a_file_that_the_revision_lacks_is_named(hub: Path, load: Callable[..., Any]) -> None:
    folder = next((hub / "datasets--hotpotqa--hotpot_qa" / "snapshots").iterdir())
    shutil.rmtree(folder / "fullwiki")
    with pytest.raises(InputError, match=r"hotpotqa/hotpot_qa at revision 1908d6a.* has no file fullwiki/train-\*"):
        load("hotpotqa")


def test_an_id_needs_a_revision_and_files() -> None:
    config = named_config("jsonl", config_folder(), id="someone/something", prompt="{q}", answer="a")
    with pytest.raises(InputError, match=r"data.revision .* data.files"):
        load_data(config)
    with pytest.raises(InputError, match=r"needs data\.path"):
        load_data(named_config("text", config_folder()))


def test_of_ones_own_data_set_there_is_no_public_original(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    own = {"id": "someone/something", "revision": "0" * 40, "files": {"test": "*.parquet"}}
    with pytest.raises(hub_module.HubError, match=r"jsonl wants the fields .* name$"):
        load_data(named_config("jsonl", config_folder(), prompt="{q}", answer="a", **own))
