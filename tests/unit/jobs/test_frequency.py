"""Whose counts the built-in model's folder has."""

import json
from dataclasses import asdict

import pytest

from laser_lit.config_data import FactsConfig
from laser_lit.jobs.frequency import is_of_world
from laser_lit.lit.facts_folder import COUNTS, RECORD

WORLD = asdict(FactsConfig())


def test_a_folder_without_record_and_counts_tells_nothing(composed, tmp_path):
    world = composed("data=facts").data.world
    assert not is_of_world(tmp_path, world)
    (tmp_path / RECORD).write_text(json.dumps({"training": {"world": WORLD}}))
    assert not is_of_world(tmp_path, world)
    (tmp_path / COUNTS).write_text("{}")
    assert is_of_world(tmp_path, world)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("noise=0.2", True),
        ("seed=1", False),
        ("subjects=9", False),
        ("zipf=1.1", False),
        ("distractor=per_fact", False),
    ],
)
def test_counts_of_another_world_tell_nothing_and_noise_makes_no_other(composed, tmp_path, typed, expected):
    (tmp_path / RECORD).write_text(json.dumps({"training": {"world": WORLD}}))
    (tmp_path / COUNTS).write_text("{}")
    assert is_of_world(tmp_path, composed("data=facts", f"data.world.{typed}").data.world) is expected


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[]",
        json.dumps({"training": {}}),
        json.dumps({"training": {"world": None}}),
        json.dumps({"training": {"world": {**WORLD, "later": 1}}}),
        json.dumps({"training": {"world": {name: value for name, value in WORLD.items() if name != "zipf"}}}),
        json.dumps({"training": {"world": {name: value for name, value in WORLD.items() if name != "noise"}}}),
    ],
)
def test_a_record_that_does_not_name_every_setting_of_the_world_and_no_other_tells_nothing(composed, tmp_path, record):
    (tmp_path / RECORD).write_text(record)
    (tmp_path / COUNTS).write_text("{}")
    assert not is_of_world(tmp_path, composed("data=facts").data.world)
