"""The dataclasses, the hash, and every choice of every group."""

import json

import pytest
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from laser_lit.config import EvaluateConfig, TrainConfig, config_hash, plain, register_schemas
from laser_lit.config_data import config_folder
from laser_lit.config_errors import check_keys, explain
from laser_lit.errors import InputError

FOLDER = config_folder()
CHOICES = sorted(
    (path.parent.name, path.stem) for path in FOLDER.glob("*/*.yaml") if path.parent.name not in ("hydra", "sweep")
)
TRAINS = ("facts",)
"""Choices of `task` that belong to train.py."""


def test_the_folders_are_found():
    assert {"model", "data", "laser", "task", "trainer", "logger", "paths"} <= {group for group, _ in CHOICES}


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_and_fits_the_dataclasses(composed, group, choice):
    trains = group == "experiment" or (group, choice) in [("task", task) for task in TRAINS]
    name = "train" if trains else "evaluate"
    config = composed(f"{group}={choice}", name=name)
    check_keys(config)
    json.dumps(plain(config), allow_nan=False)
    if group in ("model", "data", "laser", "task"):
        assert config[group].name == choice


@pytest.mark.parametrize("model", [choice for group, choice in CHOICES if group == "model"])
def test_every_model_names_its_default_data_and_the_command_line_wins(composed, model):
    assert composed(f"model={model}").data.name != "facts" or model.startswith("facts")
    assert composed(f"model={model}", "data=fever").data.name == "fever"
    assert composed("data=fever", f"model={model}", "laser=none").laser.name == "none"
    assert composed(f"model={model}", name="train").model.name == model


def test_defaults_are_the_built_in_world(composed):
    config = composed()
    assert (config.model.name, config.data.name, config.laser.name) == ("facts", "facts", "single")
    assert OmegaConf.get_type(config) is EvaluateConfig
    assert OmegaConf.get_type(composed(name="train")) is TrainConfig


def test_what_is_typed_as_a_number_stays_as_typed(composed):
    config = composed("laser.rho=0.1", "laser.layer=-1", "laser.matrix=[fc_in,fc_out]")
    assert (config.laser.rho, config.laser.layer, list(config.laser.matrix)) == (0.1, -1, ["fc_in", "fc_out"])
    assert composed("laser.from=runs/1").laser["from"] == "runs/1"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("laser.rhoo=1", ("unknown config key 'laser.rhoo'", "nearest: laser.rho")),
        ("data.wrld.noise=1", ("unknown config key 'data.wrld'", "nearest: data.world")),
        ("trainer.devices.x=3", ("unknown config key 'trainer.devices.x'",)),
        ("laser.svd.n_iter=x", ("laser.svd.n_iter=x: must be a whole number",)),
        ("laser.svd=3", ("laser.svd=3: has fields of its own", "laser.svd.method=")),
        ("search.rank=8.5", ("search.rank=8.5: must be a list of whole numbers", "search.rank=[1,8]")),
        ("search.rank=8", ("search.rank=8: must be a list of whole numbers", "search.rank=[8]")),
        ("search.rank=[1,8.5]", ("search.rank=[1,8.5]: 8.5 must be a whole number",)),
        ("search.rank={a: 1}", ("search.rank={a: 1}: must be a list of whole numbers", "search.rank=[1,8]")),
        ("search.also=text", ("search.also=text: must be a list", "in brackets", "search.also=[text]")),
        ("search.kinds=prune", ("search.kinds=prune: must be a list of words", "search.kinds=[prune]")),
        (
            "search.guard=text",
            ("search.guard=text: has fields of its own", "search.guard.data=", "search.guard.limit="),
        ),
        ("search.guard=null", ("search.guard=null: must not be null",)),
        ("search.guard.limit=low", ("search.guard.limit=low: must be a number",)),
        ("search.guard.data=[text]", ("search.guard.data=[text]: must be a single text",)),
        ("search.trials=null", ("search.trials=null: must not be null",)),
        ("search.retry=maybe", ("search.retry=maybe: must be true or false",)),
        ("data.files=a", ("data.files=a", "Dict[str, str]")),
        ("laser.edits=[3]", ("laser.edits=[3]",)),
        ("model=gtpj", ("unknown model 'gtpj'", "nearest: gptj", "roberta")),
        ("data=[counterfact,nothing]", ("data/nothing",)),
        ("~laser.nothing", ("laser.nothing",)),
        ("laser.rank=[1", ("cannot read 'laser.rank=[1'",)),
    ],
)
def test_explanations_say_what_was_typed(composed, typed, words):
    with pytest.raises(HydraException) as caught:
        composed(typed)
    message = explain(caught.value)
    assert "\n" not in message.strip() or "Config search path" in message
    for word in words:
        assert word in message


def test_keys_that_were_forced_in(composed):
    for typed, key in (("+foo=3", "foo"), ("+model.facts.stepz=1", "model.facts.stepz"), ("+laser.a.b=1", "laser.a")):
        with pytest.raises(InputError, match=f"unknown config key '{key}'"):
            check_keys(composed(typed))


def test_plain_has_no_missing_values(composed):
    content = plain(composed("model=local"))
    assert content["model"]["path"] is None
    assert "???" not in json.dumps(content)
    assert content["laser"]["svd"]["method"] == "auto"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), values, max_size=4))
def test_the_hash_depends_on_the_content_and_not_on_its_order(content):
    shuffled = dict(reversed(content.items()))
    assert config_hash(content) == config_hash(shuffled)
    assert config_hash(content) != config_hash({**content, "one more": 1})
    assert len(config_hash(content)) == 16


def test_the_hash_takes_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        config_hash({"rho": float("nan")})


def test_schemas_can_be_registered_again():
    register_schemas()
    register_schemas()
    assert ConfigStore.instance().load("evaluate_schema.yaml").node is not None
