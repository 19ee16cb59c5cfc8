"""Thresholds and ranks of random matrices: constants of the noise law, and the rules on given matrices."""

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from laser_lit.linalg.marchenko_pastur import edge, noise_level, optimal_threshold, quantile
from laser_lit.linalg.rules import RULES
from laser_lit.linalg.svd import factorize

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
    return [(row, factorize(weights[row["name"]], dtype=torch.float64).S) for row in rows]


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


def test_noise_levels_and_thresholds(spectra: list[tuple[Row, Tensor]]) -> None:
    for row, S in spectra:
        shape = tuple(row["shape"])
        sigma = noise_level(S, shape)
        scale = sigma * max(shape) ** 0.5
        beta = min(shape) / max(shape)
        assert float(S[0]) == pytest.approx(row["sv_max"], rel=1e-6)
        assert sigma == pytest.approx(row["sigma_mp_median"], rel=1e-5)
        assert scale * edge(beta) == pytest.approx(row["edge_mp_median"], rel=1e-5)
        assert scale * optimal_threshold(beta) == pytest.approx(row["thr_gavish_donoho"], rel=1e-5)


def test_the_signal_to_noise_ratio_that_the_rank_splits(spectra: list[tuple[Row, Tensor]]) -> None:
    for row, S in spectra:
        rank = RULES["laser_rmt"](S, tuple(row["shape"]))
        below = float(S[rank:].sum())
        ratio = float(S[:rank].sum()) / below if below else inf
        assert ratio == pytest.approx(inf if row["snr_is_inf"] else row["snr"], rel=1e-6)
