"""unfrozen.yaml: which modules, and in which form."""

from math import inf
from pathlib import Path

import pandas as pd
import pytest
import yaml

from laser_lit.errors import InputError
from laser_lit.spectral.scan import scan
from laser_lit.spectral.unfrozen import unfrozen_modules, write_unfrozen


def table(**ratios: list[float | None]) -> pd.DataFrame:
    rows = [
        {
            "name": f"model.layers.{layer}.{kind}.weight",
            "kind": kind,
            "snr_ratio": ratio if ratio != float("inf") else None,
            "snr_is_infinite": ratio == float("inf"),
        }
        for kind, values in ratios.items()
        for layer, ratio in enumerate(values)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("percent", "layers"), [(0, []), (24.9, []), (25, [2]), (50, [2, 0]), (99, [2, 0, 3]), (100, [2, 0, 3, 1])]
)
def test_the_highest_of_each_kind(percent: float, layers: list[int]) -> None:
    chosen = unfrozen_modules(table(up=[2.0, 0.5, 3.0, 1.0], down=[1.0]), percent)
    assert chosen["up"] == [f"model.layers.{layer}.up" for layer in layers]
    assert chosen["down"] == (["model.layers.0.down"] if percent == 100 else [])


def test_shares_are_exact() -> None:
    assert len(unfrozen_modules(table(up=[1.0] * 1000), 0.3)["up"]) == 3
    assert len(unfrozen_modules(table(up=[1.0] * 50), 58)["up"]) == 29


def test_infinite_comes_first_missing_last_and_ties_keep_their_order() -> None:
    chosen = unfrozen_modules(table(up=[1.0, None, float("inf"), 1.0, float("inf")]), 100)
    assert [name[13] for name in chosen["up"]] == ["2", "4", "0", "3", "1"]


def test_a_fused_tensor_with_an_infinite_and_a_missing_ratio_is_ranked() -> None:
    fused = pd.concat([table(qkv=[1.0, inf, 2.0]), table(qkv=[1.0, None, 2.0])])
    assert [name[13] for name in unfrozen_modules(fused, 100)["qkv"]] == ["1", "2", "0"]


def test_a_fused_tensor_counts_once_by_the_mean_of_its_matrices() -> None:
    fused = pd.concat([table(qkv=[1.0, 2.0]), table(qkv=[6.0, 2.0])])
    assert unfrozen_modules(fused, 50)["qkv"] == ["model.layers.0.qkv"]


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_percentage_that_is_none(percent: float) -> None:
    with pytest.raises(InputError, match=rf"spectral\.percent {percent}"):
        unfrozen_modules(table(up=[1.0]), percent)


def test_the_file_is_spectrum_s_form(tmp_path: Path) -> None:
    path = write_unfrozen(tmp_path / "unfrozen.yaml", table(up=[1.0, 2.0], down=[1.0]), 50)
    assert path.read_text() == "unfrozen_parameters:\n# down layers\n# up layers\n- model.layers.1.up\n"
    empty = write_unfrozen(tmp_path / "empty.yaml", pd.DataFrame(), 50)
    assert yaml.safe_load(empty.read_text()) == {"unfrozen_parameters": None}


@pytest.mark.reference
@pytest.mark.parametrize("percent", [25, 50])
def test_the_lists_of_spectrum_s_own_scanner(percent: int, shared: Path) -> None:
    found = scan(shared / "checkpoints" / "tinystories-260k")
    file = shared / "reference" / "rmt" / f"snr_results_tinystories-260k_unfrozenparameters_{percent}percent.yaml"
    expected = yaml.safe_load(file.read_text())["unfrozen_parameters"]
    with_norms = unfrozen_modules(found, percent, found.attrs["vectors"])
    assert [name for names in with_norms.values() for name in names] == expected
    alone = [name for names in unfrozen_modules(found, percent).values() for name in names]
    assert alone == [name for name in expected if "norm" not in name]
