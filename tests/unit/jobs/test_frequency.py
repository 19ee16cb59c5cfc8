"""Whose counts the built-in model's folder has."""

import json

import pytest

from laser_lit.config_data import FactsConfig
from laser_lit.jobs.frequency import is_of_world
from laser_lit.lit.facts_folder import COUNTS, RECORD


@pytest.mark.parametrize(("seed", "expected"), [(0, True), (1, False)])
def test_counts_of_another_world_tell_nothing(composed, tmp_path, seed, expected):
    config = composed("data=facts", f"data.world.seed={seed}")
    assert not is_of_world(tmp_path, config.data.world)
    (tmp_path / RECORD).write_text(json.dumps({"training": {"world": {"subjects": FactsConfig().subjects, "seed": 0}}}))
    assert not is_of_world(tmp_path, config.data.world)
    (tmp_path / COUNTS).write_text("{}")
    assert is_of_world(tmp_path, config.data.world) is expected
