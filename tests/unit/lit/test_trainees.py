"""What trains beside a frozen model: it alone changes, in the numbers that are said, and its folder has all of it."""

import json
from dataclasses import replace

import pytest
import torch
from families import FAMILIES
from interventions import tokens
from peft import PeftModel
from trainings import SETTINGS, TYPES, logits, made, train, trained_tensors
from weight_bits import bits

from laser_lit.config_reft import ReftConfig
from laser_lit.errors import InputError
from laser_lit.lit.trainees import interventions_of, make_trainee
from laser_lit.reft.saving import load_reft

STEPS = replace(SETTINGS, steps=2, accumulate=1, warmup=0, save_every=2)
REFT = ReftConfig(layer=1, rank=2, positions="f1+l1")
LORA = ReftConfig(type="lora", rank=2)
D, R = 16, 2
COUNTS = {
    "loreft": 2 * D * R + R,
    "noreft": 2 * D * R + 2 * R,
    "consreft": D * R + R,
    "direft": 2 * D * R + R,
    "lobireft": D * R + R,
    "nodireft": 2 * D * R + R,
    "lora": 2 * (R * (D + D) + R * (D + D // 2)),  # two layers; two heads of four have values
}


def said(type):
    return LORA if type == "lora" else replace(REFT, type=type)


@pytest.mark.parametrize("type", TYPES)
def test_it_alone_trains_and_the_base_keeps_its_bits(tmp_path, type):
    trainee, before = made(said(type)), bits(made(REFT).model)
    mine = trained_tensors(trainee)
    assert trainee.parameters == COUNTS[type] == sum(tensor.numel() for tensor in mine.values())
    assert trainee.total == sum(weight.numel() for weight in FAMILIES["llama"]().parameters())
    assert trainee.type == type
    train(trainee, tmp_path / "last.ckpt", STEPS)
    base = trainee.model.get_base_model() if type == "lora" else trainee.model
    now = {name.replace(".base_layer", ""): tensor for name, tensor in bits(base).items() if "lora_" not in name}
    assert now.keys() == before.keys()
    assert [name for name in before if not torch.equal(before[name], now[name])] == []
    assert [name for name, tensor in trained_tensors(trainee).items() if torch.equal(tensor, mine[name])] == []
    frozen = [weight for name, weight in trainee.model.named_parameters() if "lora_" not in name]
    assert not any(weight.requires_grad or weight.grad is not None for weight in frozen)


@pytest.mark.parametrize(("share", "sets"), [("all", 1), ("ends", 2), ("none", 5)])
def test_every_set_of_parameters_counts(share, sets):
    settings = replace(REFT, layer="all", positions="f2+l3", share=share)
    assert made(settings).parameters == 2 * sets * COUNTS["loreft"]


@pytest.mark.parametrize("type", ["loreft", "lora"])
def test_the_seed_decides_and_the_callers_random_state_is_left(type):
    torch.manual_seed(5)
    expected = torch.rand(2)
    model = FAMILIES["llama"]()
    torch.manual_seed(5)
    make_trainee(model, said(type), 1, "base", None)
    assert torch.equal(torch.rand(2), expected)
    one, same, other = (trained_tensors(made(said(type), seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft's own loading
@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_folder_has_all_that_was_trained(tmp_path, type, dtype):
    trainee, ids = made(said(type), dtype=dtype), tokens()
    precision = "bf16-true" if dtype == torch.bfloat16 else "32-true"
    train(trainee, tmp_path / "last.ckpt", replace(STEPS, precision=precision))
    with trainee.attached():
        expected = logits(trainee.model, ids)
    trainee.save(tmp_path / "folder")
    fresh = made(REFT, dtype=dtype).model
    plain = logits(fresh, ids)
    if type == "lora":
        found = logits(PeftModel.from_pretrained(fresh, tmp_path / "folder"), ids)
    else:
        with load_reft(tmp_path / "folder").attached(fresh):
            found = logits(fresh, ids)
    assert torch.equal(found, expected)
    assert not torch.equal(found, plain)


def test_a_lora_is_on_the_matrices_that_are_named(tmp_path):
    trainee = made(replace(LORA, layer=-1, matrices=["v_proj", "fc_out"]))
    trainee.save(tmp_path / "folder")
    content = json.loads((tmp_path / "folder" / "adapter_config.json").read_text())
    names = {"model.layers.1.self_attn.v_proj", "model.layers.1.mlp.down_proj"}
    assert set(content["target_modules"]) == names
    assert {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in trained_tensors(trainee)} == names
    assert trainee.parameters == R * (D + D // 2) + R * (24 + D)
    assert content["base_model_name_or_path"] == "base"
    assert content["task_type"] == "CAUSAL_LM"
    assert content["fan_in_fan_out"] is False
    assert (content["r"], content["lora_alpha"], content["lora_dropout"]) == (2, 4, 0.0)


def test_a_lora_of_a_model_of_the_hub_names_its_commit(tmp_path):
    make_trainee(FAMILIES["llama"](), replace(LORA, alpha=3.0, dropout=0.1), 0, "some/model", "abc").save(
        tmp_path / "f"
    )
    content = json.loads((tmp_path / "f" / "adapter_config.json").read_text())
    assert (content["base_model_name_or_path"], content["revision"]) == ("some/model", "abc")
    assert (content["lora_alpha"], content["lora_dropout"]) == (3.0, 0.1)


def test_gpt2_keeps_its_weights_transposed(tmp_path):
    trainee = made(replace(LORA, matrices=["q_proj", "k_proj", "v_proj", "fc_in"]), "gpt2")
    assert trainee.parameters == 2 * (R * (D + 3 * D) + R * (D + 4 * D))  # one module has queries, keys and values
    trainee.save(tmp_path / "folder")
    content = json.loads((tmp_path / "folder" / "adapter_config.json").read_text())
    assert content["fan_in_fan_out"] is True
    names = {f"transformer.h.{layer}.{name}" for layer in (0, 1) for name in ("attn.c_attn", "mlp.c_fc")}
    assert set(content["target_modules"]) == names
    train(trainee, tmp_path / "last.ckpt", STEPS)
    expected = logits(trainee.model, tokens())
    torch.testing.assert_close(logits(trainee.model.merge_and_unload(), tokens()), expected, rtol=0, atol=1e-5)


def test_matrices_that_peft_does_not_reach_are_named():
    with pytest.raises(InputError, match=r"reft\.matrices: model\.layers\.0\.mlp\.experts is a MixtralExperts"):
        made(replace(LORA, matrices=["fc_in"]), "mixtral")


def test_several_interventions_have_types_of_their_own():
    given = [{"layer": 0, "type": "noreft", "rank": 3}, {"layer": 1}, {"layer": [0, 1], "type": "noreft"}]
    settings = replace(REFT, rank=7, interventions=given)
    first, second, third = interventions_of(settings)
    assert (first.type, first.rank, second.type, second.rank, third.layer) == ("noreft", 3, "loreft", 4, (0, 1))
    assert made(settings).type == "noreft+loreft"


def test_an_intervention_that_is_none_is_named_by_its_number():
    with pytest.raises(InputError, match=r"reft\.interventions number 1 .*'ranc'.*nearest: rank"):
        interventions_of(replace(REFT, interventions=[{"layer": 0}, {"layer": 0, "ranc": 3}]))


def test_a_path_of_a_module_has_no_layer():
    trainee = made(replace(REFT, component="model.layers.1.mlp.input", layer="all"))
    assert [place.module for place in trainee.reft.places] == ["model.layers.1.mlp"]
