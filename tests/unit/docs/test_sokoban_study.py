"""docs/sokoban.md and the script whose records it tells."""

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "sokoban_study.py"))


def record(level: float, seed: int, gain: float, bias: float = 0.0, noise: str = "uniform") -> dict[str, Any]:
    judged = {"ci95": None, "name": "none"}
    return {
        **{"noise": noise, "level": level, "seed": seed, "base": 0.5, "edit": None},
        "laser_verdict": {"difference": gain, **judged},
        "bias": {"chosen": 0.0, "verdict": {"difference": bias, **judged}},
    }


def test_over_all_levels_the_training_seed_is_the_unit(
    script: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    gains = {(0.1, 0): 0.01, (0.3, 0): 0.03, (0.1, 1): -0.05, (0.3, 1): 0.13, (0.1, 2): 0.9}
    found = [record(level, seed, gain, bias=-0.01) for (level, seed), gain in gains.items()]
    said = script["summary"](found)
    mean, low, high = said["uniform"]["laser_gain_points"]
    assert said["uniform"]["seeds"] == 2  # the third lacks a level
    assert (mean, (low + high) / 2) == (3.0, 3.0)
    assert high - mean == pytest.approx(12.706 * 1, abs=0.01)  # t with one degree of freedom; a standard error of 1
    assert said["uniform"]["bias_gain_points"] == [-1.0, -1.0, -1.0]
    assert "uniform, mean over its levels, a seed being the unit: {'seeds': 2" in capsys.readouterr().out


def test_no_seed_with_every_level_is_no_mean(script: dict[str, Any]) -> None:
    said = script["summary"]([record(0.1, 0, 0.01), record(0.3, 1, 0.01), record(0.2, 0, 0.02, noise="generic")])
    assert "uniform" not in said
    assert said["generic"] == {"seeds": 1, "laser_gain_points": [2.0], "bias_gain_points": [0.0]}


def test_the_page_has_the_means_of_the_records(script: dict[str, Any]) -> None:
    said = script["summary"](script["records"]())
    page = (ROOT / "docs" / "sokoban.md").read_text(encoding="utf-8")
    for name in ("laser_gain_points", "bias_gain_points"):
        for level in ("uniform 0.1", "uniform 0.3", "uniform 0.5", "generic 0.2", "generic 0.4", "generic 0.6"):
            assert _quoted(said[level][name]) in page
    over_all = _quoted(said["uniform"]["laser_gain_points"]).replace(" (", " points (")
    assert over_all.removesuffix(")") in page


def _quoted(points: list[float]) -> str:
    mean, low, high = (f"{point:+.2f}".replace("-", "−") for point in points)
    return f"{mean} ({low} to {high})"
