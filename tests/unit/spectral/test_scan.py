"""A row a matrix: from disk as from memory, with one worker as with several, at once as after kills."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from families import FAMILIES
from safetensors.torch import load_file, save_file
from torch import nn

from laser_lit import scan
from laser_lit.errors import InputError
from laser_lit.models.matrices import find_matrices
from laser_lit.spectral import scan as module
from laser_lit.spectral.measures import measure

FILES = ("scan.csv", "scan.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved("llama", tmp_path / "model")


def saved(family: str, folder: Path) -> Path:
    FAMILIES[family]().save_pretrained(folder)
    return folder


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Returns the matrices as they are measured."""
    matrices: list[torch.Tensor] = []

    def counting(W: torch.Tensor, **keywords: Any) -> Any:
        matrices.append(W)
        return measure(W, **keywords)

    monkeypatch.setattr(module, "measure", counting)
    return matrices


def test_a_row_has_identity_and_measures(folder: Path) -> None:
    table = scan(folder)
    handles = find_matrices(FAMILIES["llama"]())
    named = table[table["matrix"].notna()]
    assert len(named) == len(handles)
    for (_, row), (id, handle) in zip(named.iterrows(), handles.items(), strict=True):
        assert (row["layer"], row["matrix"], row["name"]) == (id.layer, id.matrix, handle.name)
        assert (row["shape"], row["dtype"]) == (handle.shape, "float32")
        expected = measure(handle.read()).as_dict()
        found = {name: None if pd.isna(row[name]) else row[name] for name in expected}
        assert found == expected
    others = table[table["matrix"].isna()]
    assert others["kind"].tolist() == ["lm_head", "model.embed_tokens"]
    assert others["layer"].isna().all()
    assert table.attrs["not_measured"] == []


@pytest.mark.parametrize("family", ["llama", "gpt2", "falcon_40b", "mixtral", "t5_gated", "vit"])
def test_disk_and_memory_agree(family: str, tmp_path: Path) -> None:
    model = FAMILIES[family]()
    in_memory, on_disk = scan(model), scan(saved(family, tmp_path))
    named = [table[table["matrix"].notna()].reset_index(drop=True) for table in (in_memory, on_disk)]
    pd.testing.assert_frame_equal(*named, check_exact=True)
    assert in_memory.attrs["architecture"] == on_disk.attrs["architecture"]


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "vit"])  # a ViT has no causal head to train
def test_names_are_those_of_the_model_in_memory(family: str, tmp_path: Path) -> None:
    model = FAMILIES[family]()
    table = scan(saved(family, tmp_path))
    known = dict(model.named_parameters(remove_duplicate=False))
    prefix = f"{model.base_model_prefix}."
    assert [name for name in table["name"] if name not in known and prefix + name not in known] == []


def test_files_are_valid_and_hold_the_table(folder: Path, tmp_path: Path) -> None:
    table = scan(folder, folder=tmp_path / "out", randomize=True, seed=3)
    content = strict((tmp_path / "out" / "scan.json").read_text())
    assert content["model"] == str(folder)
    assert content["settings"] == {"randomize": True, "seed": 3, "device": "cpu"}
    rows = content["matrices"]
    assert [row["name"] for row in rows] == table["name"].tolist()
    assert all(row["rand_distance"] is not None for row in rows)
    read = pd.read_csv(tmp_path / "out" / "scan.csv")
    assert read["shape"].iloc[0] == "16x16"
    for column in ("snr", "alpha", "mp_median_rank", "ww_softrank"):
        assert read[column].astype(float).tolist() == pytest.approx(table[column].astype(float).tolist(), nan_ok=True)
    assert not any(row["snr_is_infinite"] and row["snr"] is not None for row in rows)


def test_an_infinite_snr_is_null(tmp_path: Path) -> None:
    class Bulk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.noise = nn.Linear(256, 64, bias=False)

    torch.manual_seed(0)
    scan(Bulk(), folder=tmp_path)
    (row,) = strict((tmp_path / "scan.json").read_text())["matrices"]
    assert (row["snr"], row["snr_is_infinite"]) == (None, True)
    assert (row["kind"], row["layer"]) == ("noise", None)


def test_several_workers_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        scan(folder, folder=tmp_path / str(workers), workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_a_scan_goes_on_from_any_byte(folder: Path, tmp_path: Path, counted: list[torch.Tensor]) -> None:
    scan(folder, folder=tmp_path / "whole")
    total, rows = len(counted), (tmp_path / "whole" / "rows.jsonl").read_bytes()
    torn = tmp_path / "torn"
    for left in range(0, len(rows) + 1, len(rows) // 7):
        torn.mkdir(exist_ok=True)
        (torn / "rows.jsonl").write_bytes(rows[:left])
        counted.clear()
        scan(folder, folder=torn)
        assert contents(torn) == contents(tmp_path / "whole")
        lines = rows[:left].split(b"\n")
        complete = len(lines) - 1 + (len(lines[-1]) > 0 and rows[left : left + 1] == b"\n")
        assert len(counted) == total - complete
        assert len([line for line in (torn / "rows.jsonl").read_bytes().splitlines() if line]) >= total


def test_damaged_rows_are_measured_again(folder: Path, tmp_path: Path, counted: list[torch.Tensor]) -> None:
    scan(folder, folder=tmp_path)
    before, file = contents(tmp_path), tmp_path / "rows.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([b"\xff\x00 no row\n", b"[]\n", b'{"key": 3}\n', *lines[1:]]))
    counted.clear()
    scan(folder, folder=tmp_path)
    assert len(counted) == 1
    assert contents(tmp_path) == before


def test_rows_are_those_of_content_and_settings(folder: Path, tmp_path: Path, counted: list[torch.Tensor]) -> None:
    kept = tmp_path / "kept"
    scan(folder, resume=kept)
    counted.clear()
    scan(FAMILIES["llama"](), resume=kept)  # the same weights under any name
    assert counted == []
    scan(folder, resume=kept, seed=5)  # there is nothing to shuffle
    assert counted == []
    scan(folder, folder=tmp_path / "out", resume=kept)
    assert counted == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scan.csv", "scan.json"]
    first = len(scan(folder, resume=kept, randomize=True))
    assert len(counted) == first
    scan(folder, resume=kept, randomize=True, seed=5)
    assert len(counted) == 2 * first
    counted.clear()
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.1.mlp.up_proj.weight"][0, 0] += 1
    save_file(tensors, file, metadata={"format": "pt"})
    scan(folder, resume=kept)
    (W,) = counted
    assert torch.equal(W, tensors["model.layers.1.mlp.up_proj.weight"])


def test_equal_matrices_are_measured_once(counted: list[torch.Tensor]) -> None:
    layer = nn.Linear(6, 5, bias=False)
    copies = nn.Sequential(layer, nn.Linear(6, 5, bias=False))
    copies[1].load_state_dict(layer.state_dict())
    assert len(scan(copies, workers=1)) == 2
    assert len(counted) == 1


def test_what_cannot_be_measured_is_listed_with_its_reason(folder: Path, tmp_path: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.0.mlp.up_proj.weight"][0, 0] = float("nan")
    tensors["model.vision.conv.weight"] = torch.ones(2, 3, 4)
    tensors["model.layers.0.mask"] = torch.ones(4, 4, dtype=torch.int64)
    save_file(tensors, file, metadata={"format": "pt"})
    table = scan(folder, folder=tmp_path)
    listed = {entry["name"]: entry["reason"] for entry in table.attrs["not_measured"]}
    assert set(listed) == {
        *("model.layers.0.mlp.up_proj.weight", "model.vision.conv.weight", "model.layers.0.mask"),
    }
    assert listed["model.layers.0.mlp.up_proj.weight"].startswith("it has 1 NaN")
    assert listed["model.vision.conv.weight"].startswith("3 axes")
    assert listed["model.layers.0.mask"] == "entries are int64"
    assert strict((tmp_path / "scan.json").read_text())["not_measured"] == table.attrs["not_measured"]
    assert len(table) == 2 * 7 + 2 - 1


def test_an_unknown_family_is_scanned_by_name(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "novel"}))
    table = scan(folder)
    assert table.attrs["architecture"] is None
    assert len(table) == 16
    assert table["matrix"].isna().all()
    assert set(table["kind"]) >= {"mlp.down_proj", "self_attn.q_proj", "lm_head"}


def test_a_part_of_the_matrices(folder: Path) -> None:
    table = scan(folder, matrices=["fc_in", "q_proj"])
    assert set(table["matrix"]) == {"fc_in", "q_proj"}
    with pytest.raises(InputError, match="unknown matrix 'nothing'"):
        scan(folder, matrices="nothing")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"device": "cuda:99"}, "device 'cuda:99'"),
        ({"device": "gpu"}, "device 'gpu'"),
        ({"device": "meta"}, "device 'meta'"),
        ({"device": None}, "device None"),
        ({"workers": 0}, "workers 0"),
        ({"workers": 1.5}, "workers 1.5"),
        ({"seed": -1, "randomize": True}, "seed -1: must be a whole number, 0 or more"),
    ],
)
def test_wrong_settings(folder: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        scan(folder, **wrong)


def test_progress_is_told(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    scan(folder, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 16) for done in range(1, 17)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_numbers(folder: Path) -> None:
    on_cpu, on_gpu = (scan(folder, device=device) for device in ("cpu", "cuda"))
    for column in ("snr", "alpha", "stable_rank", "entropy"):
        assert on_gpu[column].tolist() == pytest.approx(on_cpu[column].tolist(), rel=1e-6, nan_ok=True)
    assert on_gpu["mp_median_rank"].tolist() == on_cpu["mp_median_rank"].tolist()


def test_a_scan_loads_nothing_heavy(folder: Path) -> None:
    heavy = ("lightning", "transformers", "datasets", "accelerate", "wandb", "hydra")
    script = (
        f"import sys; from laser_lit import scan; scan({str(folder)!r}); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
