"""Folders of pyreft, with the tensors of its reference cases, give its logits."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pyreft_folders import write_pyreft
from safetensors.torch import load_file
from torch import Tensor, nn

from laser_lit.models.load import load_weights
from laser_lit.reft.prompt import prompts
from laser_lit.reft.pyreft import import_pyreft
from laser_lit.reft.saving import load_reft, save_reft

pytestmark = pytest.mark.reference

NEAR = 1e-5
CASES: dict[str, dict[str, Any]] = {
    "llama_loreft_L2_l1": {"positions": "l1"},
    "llama_loreft_all_f2l3_tied": {"positions": "f2+l3"},
    "llama_loreft_all_f2l3_untied": {"positions": "f2+l3"},
    "llama_loreft_comp_mlp_output": {"positions": "f1+l1"},
    "llama_loreft_relu": {"positions": "f1+l1", "act_fn": "relu"},
    "llama_noreft_L2_l1": {"positions": "l1"},
}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "reference" / "reft"


@pytest.fixture(scope="module")
def model(folder: Path) -> nn.Module:
    return load_weights(folder / "tiny_llama").requires_grad_(False)


def write_case(folder: Path, name: str, target: Path) -> tuple[list[str], dict[str, Tensor]]:
    """Returns the keys of pyreft in the manifest, and the tensors, of a case whose folder it writes."""
    case = json.loads((folder / "cases" / "manifest.json").read_text(encoding="utf-8"))["cases"][name]
    tensors = load_file(folder / "cases" / f"{name}.safetensors")
    parts = []
    for entry in case["interventions"]:
        prefix = f"int{entry['index']}."
        own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        parts.append((entry["layer"], entry["component"], entry["type"], own))
    assert write_pyreft(target, parts) == case["keys"]
    return case["keys"], tensors


@pytest.mark.parametrize("name", CASES)
def test_an_imported_folder_gives_pyrefts_logits(name: str, folder: Path, model: nn.Module, tmp_path: Path) -> None:
    keys, case = write_case(folder, name, tmp_path / "pyreft")
    reft = import_pyreft(tmp_path / "pyreft", model, **CASES[name])
    assert len(reft.edits) == len(keys)
    save_reft(reft, tmp_path / "ours")
    prompt = (case["labels"] == -100) & case["attention_mask"].bool()
    inputs = {"input_ids": case["input_ids"], "attention_mask": case["attention_mask"]}
    with torch.no_grad(), prompts(prompt), load_reft(tmp_path / "ours").attached(model):
        logits = model(**inputs).logits
    seen = case["attention_mask"].bool()
    assert (case["logits"] - case["base_logits"])[seen].abs().max() > 100 * NEAR
    assert (logits - case["logits"])[seen].abs().max() < NEAR


def test_the_spelling_of_old_files_is_known(folder: Path, model: nn.Module, tmp_path: Path) -> None:
    [key], case = write_case(folder, "llama_loreft_L2_l1", tmp_path / "pyreft")
    [file] = (tmp_path / "pyreft").glob("*.bin")
    layer = re.search(r"layer_(\d+)", key)
    assert layer is not None
    file.rename(file.with_name(f"intkey_layer.{layer[1]}.repr.block_output.unit.pos.nunit.1#0.bin"))
    reft = import_pyreft(tmp_path / "pyreft", model, positions="l1")
    assert torch.allclose(reft.edits[0].directions(), case["int0.rotate_layer.weight"], atol=1e-6)


def test_r_is_what_pyreft_computes_of_its_trained_parameter(folder: Path, model: nn.Module, tmp_path: Path) -> None:
    trained = load_file(folder / "cases" / "train_manual.safetensors")
    names = {"original": "weight.original", "base": "weight.0.base"}
    tensors = {f"rotate_layer.{ours}": trained[f"final.rotate_layer.parametrizations.{n}"] for ours, n in names.items()}
    tensors |= {f"learned_source.{name}": trained[f"final.learned_source.{name}"] for name in ("weight", "bias")}
    write_pyreft(tmp_path / "pyreft", [(2, "block_output", "DireftIntervention", tensors)])
    reft = import_pyreft(tmp_path / "pyreft", model, positions="l1")
    assert not torch.allclose(trained["init.rotate_layer.weight"], trained["final.rotate_layer.weight"], atol=1e-3)
    assert torch.allclose(reft.edits[0].directions(), trained["final.rotate_layer.weight"], atol=1e-6)
