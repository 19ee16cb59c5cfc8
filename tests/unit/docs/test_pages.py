"""The pages of docs: every public name, every environment, the example, and a place for each in the navigation."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest
import yaml
from omegaconf import DictConfig

import laser_lit
import rl  # noqa: F401
from laser_lit.config_data import FactsConfig
from laser_lit.lit import facts_training

ROOT = Path(__file__).resolve().parents[3]
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "laser_in_20_lines.py"


def test_every_public_name_has_its_place_once() -> None:
    assert sorted(re.findall(r"^::: laser_lit\.(\w+)$", API, re.M)) == sorted(laser_lit.__all__)


def test_every_environment_is_listed() -> None:
    registered = {f"rl:{id}" for id in gymnasium.registry if id.startswith("laser_lit/")}
    assert set(re.findall(r"^\| `(rl:.*?)` \|", API, re.M)) == registered


def test_every_page_is_in_the_navigation_once() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    shown = re.findall(r"[\w-]+\.md", str(yaml.safe_load(nav)))
    assert sorted(shown) == sorted(file.name for file in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_example_is_shown_as_it_is(page: str) -> None:
    code = EXAMPLE.read_text(encoding="utf-8").partition('"""\n\n')[2]
    assert code in (ROOT / page).read_text(encoding="utf-8")
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 20


def test_the_default_training_is_that_of_the_config(composed: Callable[..., DictConfig]) -> None:
    config = composed("model=facts")
    assert facts_training.FactsTraining() == facts_training.facts_training(
        {**config.model.facts, "world": config.data.world}
    )
    assert facts_training.FactsTraining().world == FactsConfig()


@pytest.mark.slow
def test_the_example_runs_and_rank_1_gains(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE))
    shown = re.findall(r"^rank +(\d+), error [\d.]+: ([\d.]+)% -> ([\d.]+)%", capsys.readouterr().out, re.M)
    gains = {int(rank): float(after) - float(before) for rank, before, after in shown}
    assert list(gains) == [1, 4, 16, 48]
    assert gains[1] > 15 > abs(gains[48])
