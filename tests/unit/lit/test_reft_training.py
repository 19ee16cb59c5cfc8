"""Trainings of interventions and of LoRAs: killed ones end with the same bits, and each setting does what it says."""

from dataclasses import replace

import pytest
import torch
from trainings import SETTINGS, TYPES, Stop, made, pairs, train, trained_tensors

from laser_lit.config_reft import ReftConfig
from laser_lit.lit.learning_curve import TRAIN, VALIDATION
from laser_lit.lit.pairs import Pair, Pairs
from laser_lit.lit.training_checkpoint import saved_curve, saved_step
from laser_lit.reft.methods import FORMS

REFT = ReftConfig(layer="all", rank=2, positions="f2+l2", dropout=0.2, matrices=["q_proj", "fc_in"])


def said(type, **more):
    return replace(REFT, type=type, **more)


def files(trainee, folder):
    """Returns the tensors' bytes of what a trainee saves."""
    trainee.save(folder)
    found = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    assert len(found) == 1
    return found


def assert_resumes(tmp_path, settings, reft, step=5, dtype=torch.float32):
    """Asserts that a training which ends in a step's middle ends, begun again, as one that was left alone."""
    whole = made(reft, dtype=dtype)
    curve = train(whole, tmp_path / "whole.ckpt", settings)
    file = tmp_path / f"{step}.ckpt"
    with pytest.raises(RuntimeError, match="killed"):
        train(made(reft, dtype=dtype), file, settings, loggers=[Stop(tmp_path / "csv", step)])
    assert saved_step(file) == (step - 1) // settings.save_every * settings.save_every
    resumed = made(reft, dtype=dtype)
    again = train(resumed, file, settings)
    assert again == curve == saved_curve(file)
    assert [row["step"] for row in curve] == list(range(settings.steps + 1))
    one, two = (files(trainee, tmp_path / f"{step} {n}") for n, trainee in enumerate((whole, resumed)))
    assert one == two
    fresh = trained_tensors(made(reft, dtype=dtype))
    assert any(not torch.equal(fresh[name], tensor) for name, tensor in trained_tensors(resumed).items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("type", FORMS)
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, type, dtype):
    assert_resumes(tmp_path, SETTINGS, said(type, dtype=dtype, share="ends"))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("type", ["loreft", "lora"])
def test_a_killed_training_goes_on_in_every_precision(tmp_path, type, precision):
    dtype = torch.bfloat16 if precision == "bf16-true" else torch.float32
    assert_resumes(tmp_path, replace(SETTINGS, precision=precision), said(type), dtype=dtype)


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_every_place_to_be_killed_at(tmp_path, step):
    assert_resumes(tmp_path, replace(SETTINGS, steps=4, save_every=1), said("loreft"), step)


@pytest.mark.parametrize("type", ["loreft", "noreft", "lora"])
def test_what_was_killed_after_the_last_step_is_taken_from_the_checkpoint(tmp_path, type):
    one, other = made(said(type)), made(said(type), seed=2)
    curve = train(one, tmp_path / "last.ckpt")
    assert train(other, tmp_path / "last.ckpt") == curve
    assert files(one, tmp_path / "one") == files(other, tmp_path / "other")


def test_a_killed_training_goes_on_with_gradient_checkpointing(tmp_path):
    assert_resumes(tmp_path, replace(SETTINGS, gradient_checkpointing=True), said("loreft"))


@pytest.mark.parametrize("type", TYPES)
def test_the_loss_falls(tmp_path, type):
    settings = replace(SETTINGS, steps=40, learning_rate=3e-2, save_every=40)
    data = pairs(4, 0)
    curve = train(made(said(type, dropout=0.0, rank=4)), tmp_path / "last.ckpt", settings, data)
    assert curve[-1][TRAIN] < 0.9 * curve[0][TRAIN]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("type", ["loreft", "nodireft", "lora"])
def test_gradient_checkpointing_changes_no_loss(tmp_path, type, precision):
    dtype = torch.bfloat16 if precision == "bf16-true" else torch.float32
    settings = replace(SETTINGS, precision=precision, steps=3)
    curves = []
    for flag in (False, True):
        file = tmp_path / f"{flag}.ckpt"
        checkpointing = replace(settings, gradient_checkpointing=flag)
        curves.append(train(made(said(type), dtype=dtype), file, checkpointing))
    for one, other in zip(*curves, strict=True):
        assert other == pytest.approx(one, abs=1e-5)


@pytest.mark.parametrize("type", ["loreft", "lora"])
def test_accumulated_batches_are_one_large_batch(tmp_path, type):
    data = Pairs(tuple(Pair((5 + n, 6, 7), (8 + n, 9)) for n in range(8)), (), pad_id=2)  # equally many losses each
    curves, ends = [], []
    for size, accumulate in ((4, 1), (2, 2), (1, 4)):
        trainee = made(said(type, dropout=0.0))
        for layer in trainee.model.get_decoder().layers:
            layer.self_attn.attention_dropout = 0.0
        settings = replace(SETTINGS, batch_size=size, accumulate=accumulate)
        curves.append([row[TRAIN] for row in train(trainee, tmp_path / f"{size}.ckpt", settings, data)])
        ends.append(trained_tensors(trainee))
    for curve, end in zip(curves[1:], ends[1:], strict=True):
        assert curve == pytest.approx(curves[0], abs=1e-5)
        for name, tensor in end.items():
            torch.testing.assert_close(tensor, ends[0][name], rtol=0, atol=1e-4)


def test_the_loss_is_that_of_the_answers_under_the_interventions(tmp_path):
    trainee, data = made(said("loreft", dropout=0.9)), pairs(2, 3)
    curve = train(trainee, tmp_path / "last.ckpt", replace(SETTINGS, save_every=6), data)
    assert [VALIDATION in row for row in curve] == [row["step"] in (0, 6) for row in curve]
    total, count = 0.0, 0
    with trainee.attached(), torch.no_grad():
        for pair in data.held_out:  # one by one: no padding; a prompt by itself is all that is intervened on
            ids = torch.tensor([pair.prompt + pair.answer])
            begin = trainee.model(input_ids=ids[:, : len(pair.prompt)], use_cache=True)
            losses = -begin.logits[0, -1].log_softmax(-1)[pair.answer[0]]
            if len(pair.answer) > 1:
                rest = trainee.model(input_ids=ids[:, len(pair.prompt) : -1], past_key_values=begin.past_key_values)
                after = torch.tensor(pair.answer[1:])
                losses = losses - rest.logits[0].log_softmax(-1).gather(1, after[:, None]).sum()
            total, count = total + losses.item(), count + len(pair.answer)
    assert curve[-1][VALIDATION] == pytest.approx(total / count, abs=1e-5)


def test_a_set_of_parameters_without_a_token_has_a_gradient(tmp_path):
    trainee = made(said("loreft", positions="f3+l3", share="none", dropout=0.0))
    before = trained_tensors(trainee)
    data = Pairs(tuple(Pair((5 + n, 6, 7), (8, 9)) for n in range(4)), (), pad_id=2)  # one first token and one last
    train(trainee, tmp_path / "last.ckpt", replace(SETTINGS, weight_decay=0.0), data)
    grads = {name: weight.grad for name, weight in trainee.reft.named_parameters()}
    assert [name for name, grad in grads.items() if grad is None] == []
    changed = {int(name.split(".")[1]) for name, new in trained_tensors(trainee).items() if not new.equal(before[name])}
    assert [(slot.first, slot.last) for n, slot in enumerate(trainee.reft.slots) if n in changed] == [
        ((0, 1), None),  # of the first layer: what the last one says of this token is not asked for
        *[(None, (0, 1))] * 2,
    ]


def test_decay_leaves_the_basis_orthonormal(tmp_path):
    trainee = made(said("loreft"))
    train(trainee, tmp_path / "last.ckpt", replace(SETTINGS, weight_decay=10.0))
    for edit in trainee.reft.edits:
        R = edit.basis()
        torch.testing.assert_close(R.mT @ R, torch.eye(2), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "value"), [("dropout", 0.0), ("act_fn", "relu"), ("positions", "l1"), ("rank", 3)])
def test_every_setting_of_an_intervention_counts(tmp_path, name, value):
    settings = replace(SETTINGS, steps=2, warmup=0)
    curves = [
        train(made(replace(said("direft"), **more)), tmp_path / f"{len(more)}.ckpt", settings)
        for more in ({}, {name: value})
    ]
    assert curves[0][-1][TRAIN] != curves[1][-1][TRAIN]
