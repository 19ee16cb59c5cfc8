"""Thresholds, ranks and ratios of laserRMT: constants of the noise law, the rules and the scanner's measures."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from laser_lit.linalg.marchenko_pastur import edge, optimal_threshold, quantile
from laser_lit.linalg.noise import mp_iqr_plain
from laser_lit.linalg.rules import RULES
from laser_lit.linalg.spectrum import singular_values
from laser_lit.spectral.measures import measure_spectrum

pytestmark = pytest.mark.reference

Row = dict[str, Any]


@pytest.fixture(scope="module", params=["random", "tinystories_260k"])
def spectra(request: pytest.FixtureRequest, shared: Path) -> list[tuple[Row, Tensor]]:
    """Returns the reference's row of each matrix with its singular values."""
    rows = json.loads((shared / "reference" / "rmt" / f"{request.param}.json").read_text())
    if request.param == "random":
        weights = load_file(shared / "reference" / "rmt" / "random_inputs.safetensors")
    else:
        weights = load_file(next((shared / "checkpoints" / "tinystories-260k").glob("*.safetensors")))
    return [(row, singular_values(weights[row["name"]])) for row in rows]


def test_constants_of_the_noise_law(shared: Path) -> None:
    rows = json.loads((shared / "reference" / "rmt" / "pure_noise_limit.json").read_text())
    assert len(rows) >= 10
    for row in rows:
        beta = row["beta"]
        near = {"abs": 1e-5 if beta == 1 else 1e-9}  # the reference integrates numerically, least well at beta = 1
        spread = quantile(beta, 0.75) - quantile(beta, 0.25)
        assert edge(beta) == pytest.approx(row["true_edge"])
        assert quantile(beta, 0.0) == pytest.approx(row["bulk_lo"], abs=1e-7)
        assert quantile(beta, 0.5) == pytest.approx(row["mp_median"], **near)
        assert spread == pytest.approx(row["mp_iqr"], **near)
        assert spread / 1.349 * edge(beta) == pytest.approx(row["coded_threshold"], **near)
        assert optimal_threshold(beta) == pytest.approx(row["gd_lambda"])
        assert optimal_threshold(beta) / quantile(beta, 0.5) == pytest.approx(row["gd_omega"], **near)


def test_rules_keep_the_reference_ranks(spectra: list[tuple[Row, Tensor]]) -> None:
    assert len(spectra) >= 10
    for row, S in spectra:
        shape = tuple(row["shape"])
        assert RULES["laser_rmt"](S, shape) == row["rank"], row["name"]
        assert RULES["mp_median"](S, shape) == row["rank_edge_mp_median"], row["name"]
        assert RULES["gavish_donoho"](S, shape) == row["rank_gavish_donoho"], row["name"]
        assert mp_iqr_plain(S, shape).rank == row["rank_edge_mp_iqr"], row["name"]
        if "true_rank" in row:
            assert RULES["mp_iqr"](S, shape) == row["true_rank"], row["name"]


def test_measures_of_the_scanner(spectra: list[tuple[Row, Tensor]]) -> None:
    columns = {
        "sigma": "laser_rmt_sigma",
        "threshold": "laser_rmt_threshold",
        "rank": "laser_rmt_rank",
        "snr": "snr",
        "snr_is_inf": "snr_is_infinite",
        "snr_ratio": "snr_ratio",
        "sv_max": "s_max",
        "sv_min": "s_min",
        "stable_rank": "stable_rank",
        "rank_breakeven": "breakeven_rank",
    }
    for row, S in spectra:
        found = measure_spectrum(S, tuple(row["shape"])).as_dict()
        for theirs, ours in columns.items():
            expected = row[theirs]
            near = expected if expected is None else pytest.approx(expected, rel=1e-6)
            assert found[ours] == near, (row["name"], ours)


def test_noise_levels_and_edges(spectra: list[tuple[Row, Tensor]]) -> None:
    columns = {
        "sigma_mp_median": "mp_median_sigma",
        "edge_mp_median": "mp_median_edge",
        "sigma_mp_iqr": "mp_iqr_plain_sigma",
        "edge_mp_iqr": "mp_iqr_plain_edge",
        "thr_gavish_donoho": "gavish_donoho_threshold",
    }
    for row, S in spectra:
        found = measure_spectrum(S, tuple(row["shape"])).as_dict()
        near = 1e-5 if row["beta"] == 1 else 1e-6  # see the constants
        for theirs, ours in columns.items():
            assert found[ours] == pytest.approx(row[theirs], rel=near), (row["name"], ours)
