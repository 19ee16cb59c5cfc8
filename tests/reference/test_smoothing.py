"""WeightWatcher's SVDSmoothing as `laser=svd_smoothing`: what a stack keeps of every matrix, and how far it moves."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder
from laser_lit.edits.row import AppliedEdit
from laser_lit.jobs.laser import configured_stack
from laser_lit.models.load import load_model
from laser_lit.models.matrices import find_matrices

pytestmark = pytest.mark.reference

METHODS = {
    "detX": ["laser.method=detX"],
    "detX_accurate": [],
    "alpha_min": ["laser.method=alpha_min"],
    "rmt": ["laser.method=rmt"],
    "auto": ["laser.method=auto"],
    "svd_0.8": ["laser.method=svd"],
    "svd_0.5": ["laser.method=svd", "laser.percent=0.5"],
    "svd_0.2": ["laser.method=svd", "laser.percent=0.2"],
    "svd_-0.2": ["laser.method=svd", "laser.percent=-0.2"],
}

Smooth = Callable[[list[str]], list[AppliedEdit]]


@pytest.fixture(scope="module")
def smooth(shared: Path) -> Smooth:
    """Returns a function from what is typed after laser=svd_smoothing to what it does to the model."""
    path = shared / "checkpoints" / "tinystories-260k"
    matrices = find_matrices(load_model(str(path))[0])
    register_schemas()

    def run(typed: list[str]) -> list[AppliedEdit]:
        line = ["model=local", f"model.path={path}", "laser=svd_smoothing", "laser.layer=all", "laser.matrix=all"]
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            configured = configured_stack(compose("evaluate", ["paths.output=run", *line, *typed])).on(matrices)
        assert configured.stack is not None
        return configured.stack.resolve(matrices)

    return run


@pytest.mark.parametrize("method", METHODS)
def test_as_much_is_kept_and_as_much_is_lost(method: str, smooth: Smooth, shared: Path) -> None:
    with (shared / "reference" / "weightwatcher" / "tinystories_smoothing.csv").open() as lines:
        rows = {row["longname"]: row for row in csv.DictReader(lines) if row["method"] == method}
    expected = {f"{name}.weight": row for name, row in rows.items() if name.startswith("model.layers.")}
    assert len(expected) == 35  # the embedding and the head are in no matrix map
    done = {row.name: row for row in smooth(METHODS[method])}
    assert set(done) == {name for name, row in expected.items() if row["num_smooth"] != "0"}
    for name, row in done.items():
        number = int(expected[name]["num_smooth"])
        assert list(row.shape) == json.loads(expected[name]["shape"])
        assert (row.kind, row.rank) == ("low_rank" if number > 0 else "high_order", abs(number)), name
        if expected[name]["exact_rel_fro_change"]:
            assert row.relative_error == pytest.approx(float(expected[name]["exact_rel_fro_change"]), abs=1e-4), name
