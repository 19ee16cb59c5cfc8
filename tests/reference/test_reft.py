"""Interventions of pyreft on a tiny Llama: logits, losses, gradients, a training of 20 steps and the positions."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from laser_lit.models.load import load_weights
from laser_lit.reft.basis import OrthonormalBasis
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.methods import LowRankIntervention
from laser_lit.reft.positions import Positions
from laser_lit.reft.prompt import prompts
from laser_lit.reft.reft import Reft

pytestmark = pytest.mark.reference

NEAR = 1e-5
CASES = {
    "llama_loreft_L2_l1": "l1",
    "llama_loreft_all_f2l3_tied": "f2+l3",
    "llama_loreft_all_f2l3_untied": "f2+l3",
    "llama_loreft_comp_mlp_output": "f1+l1",
    "llama_loreft_relu": "f1+l1",
    "llama_noreft_L2_l1": "l1",
}
"""Each case of a whole model with its positions."""

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def reft_folder(shared: Path) -> Path:
    return shared / "reference" / "reft"


@pytest.fixture(scope="module")
def model(reft_folder: Path) -> nn.Module:
    return load_weights(reft_folder / "tiny_llama").requires_grad_(False)


def fill(edit: LowRankIntervention, given: Tensors) -> None:
    """Sets an edit's parameters; `given` has the reference's names."""
    if edit.projection is None:
        original = given["rotate_layer.original"]  # (d, r)
        base = given["rotate_layer.base"]  # (d, d)
        edit.basis = OrthonormalBasis.of(base[:, : original.shape[1]], completed=base)
        edit.basis.weight.data.copy_(original)
    for ours, theirs in (("source", "learned_source"), ("projection", "proj_layer")):
        if getattr(edit, ours) is not None:
            for kind in ("weight", "bias"):
                getattr(getattr(edit, ours), kind).data.copy_(given[f"{theirs}.{kind}"])


def gradients(edit: LowRankIntervention) -> Tensors:
    """Returns the gradients under the reference's names."""
    names = {"source": "learned_source", "projection": "proj_layer"}
    names["basis.weight"] = "rotate_layer.parametrizations.weight.original"
    found = {}
    for name, parameter in edit.named_parameters():
        assert parameter.grad is not None, name
        head = name.split(".")[0]
        found[names.get(name) or name.replace(head, names[head])] = parameter.grad
    return found


def under(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def said(case: str, entries: list[dict[str, Any]]) -> Intervention:
    first = entries[0]
    return Intervention(
        layer=tuple(dict.fromkeys(entry["layer"] for entry in entries)),
        component=first["component"],
        type=first["type"].removesuffix("Intervention").lower(),
        rank=first["rank"],
        positions=CASES[case],
        share="ends" if case.endswith("untied") else "all",
        act_fn="relu" if first["act_fn"] == "ReLU" else "linear",
    )


def test_every_case_file_is_tested(reft_folder: Path) -> None:
    found = {path.stem for path in (reft_folder / "cases").glob("*.safetensors")}
    assert found == {*CASES, "train_manual", "unit_loreft", "unit_noreft"}


@pytest.mark.parametrize("case", CASES)
def test_logits_loss_and_gradients(case: str, reft_folder: Path, model: nn.Module) -> None:
    entries = json.loads((reft_folder / "cases" / "manifest.json").read_text())["cases"][case]["interventions"]
    tensors = load_file(reft_folder / "cases" / f"{case}.safetensors")
    ids, attended, labels = tensors["input_ids"], tensors["attention_mask"], tensors["labels"]
    reft = Reft.on(model, [said(case, entries)])
    assert len(reft.edits) == len(entries) >= 1
    for i, edit in enumerate(reft.edits):
        fill(edit, under(tensors, f"int{i}."))
    with reft.attached(model), prompts(attended.bool() & (labels == -100)):
        out = model(input_ids=ids, attention_mask=attended, labels=labels)
    real = attended.bool()
    assert not torch.allclose(out.logits[real], tensors["base_logits"][real], atol=1e-2)
    torch.testing.assert_close(out.logits[real], tensors["logits"][real], atol=NEAR, rtol=0)
    torch.testing.assert_close(out.loss, tensors["loss"][0], atol=NEAR, rtol=0)
    out.loss.backward()
    assert max(grad.abs().max() for grad in under(tensors, "grad.").values()) > 1e-2
    for i, edit in enumerate(reft.edits):
        found, expected = gradients(edit), under(tensors, f"grad.int{i}.")
        assert found.keys() == expected.keys()
        for name, grad in expected.items():
            torch.testing.assert_close(found[name], grad, atol=NEAR, rtol=0, msg=lambda m, n=name: f"{n} {m}")
        if edit.projection is None:
            R = tensors[f"int{i}.rotate_layer.weight"]
            torch.testing.assert_close(edit.basis().detach(), R, atol=NEAR, rtol=0)


@pytest.mark.parametrize("method", ["loreft", "noreft"])
def test_one_intervention_alone(method: str, reft_folder: Path) -> None:
    tensors = load_file(reft_folder / "cases" / f"unit_{method}.safetensors")
    given = under(tensors, "int0.")
    rank, size = given["learned_source.weight"].shape
    edit = LowRankIntervention(method, size, rank)
    fill(edit, given)
    torch.testing.assert_close(edit(tensors["h"]).detach(), tensors["out"], atol=NEAR, rtol=0)


def test_a_training_of_20_steps(reft_folder: Path, model: nn.Module) -> None:
    losses = json.loads((reft_folder / "cases" / "train_manifest.json").read_text())["manual"]["losses"]
    assert len(losses) == 20
    tensors = load_file(reft_folder / "cases" / "train_manual.safetensors")
    original, base = (f"rotate_layer.parametrizations.weight.{name}" for name in ("original", "0.base"))
    reft = Reft.on(model, [Intervention(layer=3, rank=4, positions="l1")])
    [edit] = reft.edits
    start = under(tensors, "init.")
    fill(edit, start | {"rotate_layer.original": start[original], "rotate_layer.base": start[base]})
    optimizer = torch.optim.AdamW(reft.parameters(), lr=4e-3, weight_decay=0)
    with reft.attached(model):
        for step, expected in enumerate(losses):
            batch = under(tensors, f"step{step}.")
            last = batch.pop("intervention_locations")[:, 0]  # (batch, 1)
            optimizer.zero_grad()
            with prompts(torch.arange(batch["input_ids"].shape[1]) <= last):
                loss = model(**batch).loss
            loss.backward()
            if step == 0:
                for name, grad in under(tensors, "grad0.").items():
                    torch.testing.assert_close(gradients(edit)[name], grad, atol=NEAR, rtol=0)
            optimizer.step()
            assert loss.item() == pytest.approx(expected, abs=1e-4), step
    final = under(tensors, "final.")
    near = {"atol": 1e-4, "rtol": 0}
    torch.testing.assert_close(edit.source.weight.data, final["learned_source.weight"], **near)
    torch.testing.assert_close(edit.source.bias.data, final["learned_source.bias"], **near)
    torch.testing.assert_close(edit.basis.weight.data.tril(-1), final[original].tril(-1), **near)
    torch.testing.assert_close(edit.basis().detach(), final["rotate_layer.weight"], **near)


def test_positions_of_prompts(reft_folder: Path) -> None:
    rows = json.loads((reft_folder / "cases" / "positions_table.json").read_text())
    assert len(rows) == 160
    for row in rows:
        length = row["last_position"]
        slots = Positions.parse(row["positions"]).slots("all" if row["share_weights"] else "ends")
        theirs = row["locations"]  # an entry an intervention: one a layer for the prefixes, then for the suffixes
        every = len(theirs) // len(slots)
        for slot, expected in zip(slots, theirs[::every], strict=True):
            found = slot.mask(torch.ones(1, length, dtype=torch.bool))[0].nonzero().flatten().tolist()
            assert found == sorted(place for place in set(expected) if 0 <= place < length), row
