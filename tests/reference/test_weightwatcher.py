"""WeightWatcher 0.7.7 on tinystories-260k: its metrics of every layer, and what its SVDSmoothing keeps."""

import csv
import json
from collections.abc import Callable
from functools import partial
from math import floor, sqrt
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from laser_lit.linalg.rules import RULES
from laser_lit.linalg.spectrum import singular_values
from laser_lit.spectral.measures import measure

pytestmark = pytest.mark.reference

EXACT = {"num_pl_spikes": "num_pl_spikes", "detX_num": "detX_num", "matrix_rank": "numerical_rank"}
EXACT |= {"num_spikes": "num_spikes"}
CLOSE = {
    "D": "D",
    "alpha": "alpha",
    "alpha_weighted": "alpha_weighted",
    "entropy": "entropy",
    "log_norm": "log_norm",
    "sigma": "alpha_sigma",
    "spectral_norm": "spectral_norm",
    "stable_rank": "stable_rank",
    "sv_max": "s_max",
    "sv_min": "s_min",
    "xmin": "xmin",
    "bulk_max": "bulk_max",
    "bulk_min": "bulk_min",
    "mp_softrank": "mp_softrank",
    "sigma_mp": "sigma_mp",
}
RULE_OF = {"detX": "detx", "detX_accurate": "detx", "alpha_min": "xmin", "rmt": "ww_rmt", "auto": "ww_auto"}

Kept = Callable[[Tensor, tuple[int, int]], int]


@pytest.fixture(scope="module")
def weights(shared: Path) -> dict[str, Tensor]:
    """Returns the matrices by the names that WeightWatcher gives to their layers."""
    files = (shared / "checkpoints" / "tinystories-260k").glob("*.safetensors")
    return {name.removesuffix(".weight"): W for file in files for name, W in load_file(file).items()}


def rows_of(shared: Path, table: str, weights: dict[str, Tensor]) -> list[dict[str, str]]:
    """Returns the rows of a table but those of the head, which is tied to the embedding."""
    with (shared / "reference" / "weightwatcher" / f"tinystories_{table}.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["longname"] in weights]
    assert len({row["longname"] for row in rows}) == 36
    return rows


@pytest.mark.parametrize("table", ["analyze_default", "analyze_detX", "analyze_full"])
def test_metrics_of_every_layer(table: str, shared: Path, weights: dict[str, Tensor]) -> None:
    for row in rows_of(shared, table, weights):
        found = measure(weights[row["longname"]]).as_dict()
        for theirs in EXACT.keys() & row.keys():
            assert found[EXACT[theirs]] == int(row[theirs]), (row["longname"], theirs)
        for theirs in CLOSE.keys() & row.keys():
            assert found[CLOSE[theirs]] == pytest.approx(float(row[theirs]), rel=1e-6), (row["longname"], theirs)


def test_shuffled_entries_look_alike(shared: Path, weights: dict[str, Tensor]) -> None:
    """The reference's shuffles have no seed: its values are met as nearly as two shuffles meet each other."""
    for row in rows_of(shared, "analyze_full", weights):
        found = measure(weights[row["longname"]], randomize=True)
        assert found.max_rand_eval == pytest.approx(float(row["max_rand_eval"]), rel=0.2)
        assert found.ww_softrank == pytest.approx(float(row["ww_softrank"]), rel=0.3)
        assert found.rand_distance == pytest.approx(float(row["rand_distance"]), abs=0.05)
        assert found.rand_bulk_max == pytest.approx(float(row["rand_bulk_max"]), rel=0.05)
        assert found.rand_sigma_mp == pytest.approx(float(row["rand_sigma_mp"]), rel=0.05)


def kept(method: str) -> Kept | None:
    """Returns how many components a method keeps, negative where it drops the top ones; None for no method."""
    if method in RULE_OF:
        return RULES[RULE_OF[method]]
    name, _, percent = method.partition("_")
    return partial(_share, float(percent)) if name == "svd" else None


def _share(percent: float, S: Tensor, shape: tuple[int, int]) -> int:
    count = floor(abs(percent) * len(S))
    return count if percent > 0 else -count


def test_smoothing_keeps_as_much(shared: Path, weights: dict[str, Tensor]) -> None:
    seen = set()
    for row in rows_of(shared, "smoothing", weights):
        method, shape = kept(row["method"]), tuple(json.loads(row["shape"]))
        if method is None:
            continue
        seen.add(row["method"])
        S = singular_values(weights[row["longname"]])
        rank = method(S, shape)
        assert rank == int(row["num_smooth"]), row
        if row["exact_rel_fro_change"] and rank:
            lost = S[rank:] if rank > 0 else S[:-rank]
            change = sqrt(float(lost.square().sum() / S.square().sum()))
            assert change == pytest.approx(float(row["exact_rel_fro_change"]), abs=1e-4), row
    assert seen >= {"detX", "detX_accurate", "alpha_min", "rmt", "auto", "svd_0.8", "svd_0.5", "svd_0.2", "svd_-0.2"}
