"""A training goes on where it was, to the bit, and trains what it should and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from lightning.pytorch.loggers import CSVLogger

from laser_lit.config import TrainerConfig
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.errors import InputError
from laser_lit.lit.batch_seed import BatchSeed
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.learning_curve import RATE, TRAIN, VALIDATION
from laser_lit.lit.trained_model import take_weights
from laser_lit.lit.training_checkpoint import saved_curve, saved_step, saved_weights
from laser_lit.lit.windows import Windows
from laser_lit.models.unfrozen import freeze_except

SETTINGS = FinetuneConfig(steps=6, batch_size=2, accumulate=2, learning_rate=1e-2, warmup=2, save_every=3)
CPU = TrainerConfig(accelerator="cpu", progress_bar=False)
UNFROZEN = ("model.layers.0.mlp", "model.norm", "model.layers.1.self_attn.q_proj")


def llama(dtype: torch.dtype = torch.float32) -> transformers.LlamaForCausalLM:
    """Returns a small model with dropout, so that a resumed training has to draw the same."""
    torch.manual_seed(0)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 2}
    shape = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 32}
    config = transformers.LlamaConfig(**shape, **heads, attention_dropout=0.2)
    model = transformers.LlamaForCausalLM(config)
    for weight in model.parameters():  # and no buffer, as from_pretrained does
        weight.data = weight.data.to(dtype)
    return model


@pytest.fixture
def windows() -> Windows:
    ids = np.random.default_rng(0).integers(3, 40, (12, 9)).astype(np.int32)
    return Windows(ids[:9], ids[9:])


def train(folder, windows, settings=SETTINGS, patterns=UNFROZEN, model=None, loggers=()):
    """Returns the model after a training whose checkpoint is in the folder."""
    model = model or llama(torch.bfloat16 if settings.precision == "bf16-true" else torch.float32)
    freeze_except(model, patterns)
    Finetuning(settings, windows, 1, folder / "last.ckpt").fit(model, CPU, loggers)
    return model


class Stop(CSVLogger):
    """Ends a training in the middle of a step's row."""

    def __init__(self, folder, step):
        super().__init__(folder, name="", version="")
        self.step = step

    def log_metrics(self, metrics, step=None):
        if step == self.step:
            raise RuntimeError("killed")
        super().log_metrics(metrics, step)


def assert_same(one, two):
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, windows, precision):
    settings = replace(SETTINGS, precision=precision)
    whole = train(tmp_path / "whole", windows, settings)
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path / "twice", windows, settings, loggers=[Stop(tmp_path / "csv", 5)])
    file = tmp_path / "twice" / "last.ckpt"
    assert saved_step(file) == 3
    resumed = train(tmp_path / "twice", windows, settings)
    assert saved_step(file) == 6
    assert_same(resumed.state_dict(), whole.state_dict())
    assert saved_curve(file) == saved_curve(tmp_path / "whole" / "last.ckpt")
    assert [row["step"] for row in saved_curve(file)] == [0, 1, 2, 3, 4, 5, 6]


def test_every_batch_of_every_seed_and_process_draws_its_own_dropout():
    class Trainer:
        global_rank = 0

    def drawn(seed, batch, rank=0):
        trainer = Trainer()
        trainer.global_rank = rank
        with torch.random.fork_rng(devices=[]):
            BatchSeed(seed).on_train_batch_start(trainer, None, None, batch)
            return torch.rand(1).item()

    draws = [drawn(0, 0), drawn(0, 1), drawn(1, 0), drawn(0, 0, rank=1)]
    assert len(set(draws)) == 4
    assert drawn(0, 1) == draws[1]


def test_every_place_to_be_killed_at(tmp_path, windows):
    settings = replace(SETTINGS, save_every=1, steps=4)
    whole = train(tmp_path / "whole", windows, settings).state_dict()
    for step in (1, 2, 3, 4):
        with pytest.raises(RuntimeError, match="killed"):
            train(tmp_path / str(step), windows, settings, loggers=[Stop(tmp_path / "csv", step)])
        assert_same(train(tmp_path / str(step), windows, settings).state_dict(), whole)


def test_exactly_what_is_unfrozen_changes(tmp_path, windows):
    before = llama().state_dict()
    after = train(tmp_path, windows).state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {
        *(f"model.layers.0.mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
        "model.norm.weight",
        "model.layers.1.self_attn.q_proj.weight",
    }
    weights = saved_weights(tmp_path / "last.ckpt")
    assert set(weights) == changed
    assert_same(weights, {name: after[name] for name in changed})


def test_a_finished_training_is_left_alone(tmp_path, windows):
    train(tmp_path, windows)
    before = (tmp_path / "last.ckpt").read_bytes()
    model = train(tmp_path, windows)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert_same(model.state_dict(), llama().state_dict())


@pytest.mark.parametrize(
    ("name", "value"),
    [("clip", 1e-9), ("weight_decay", 5.0), ("schedule", "constant"), ("warmup", 0), ("learning_rate", 2e-2)],
)
def test_every_setting_counts(tmp_path, windows, name, value):
    train(tmp_path / "one", windows, replace(SETTINGS, steps=3))
    train(tmp_path / "other", windows, replace(SETTINGS, steps=3, **{name: value}))
    one, other = (saved_weights(tmp_path / folder / "last.ckpt") for folder in ("one", "other"))
    matrix = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(one[matrix], other[matrix])


def test_accumulated_batches_are_one_large_batch(tmp_path, windows):
    settings = replace(SETTINGS, steps=3)
    off = {"attention_dropout": 0.0}
    models, curves = [], []
    for size, accumulate in ((4, 1), (2, 2), (1, 4)):
        folder = tmp_path / str(size)
        model = llama()
        model.config.update(off)
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.0
        split = replace(settings, batch_size=size, accumulate=accumulate)
        models.append(train(folder, windows, split, model=model).state_dict())
        curves.append(saved_curve(folder / "last.ckpt"))
    for other, curve in zip(models[1:], curves[1:], strict=True):
        for name, weight in models[0].items():
            torch.testing.assert_close(other[name], weight, rtol=0, atol=1e-6)
        assert [row[TRAIN] for row in curve[1:]] == pytest.approx([row[TRAIN] for row in curves[0][1:]], abs=1e-6)


def test_the_curve(tmp_path, windows):
    logger = CSVLogger(tmp_path / "csv", name="", version="")
    model = llama().eval()
    with torch.no_grad():
        ids = torch.tensor(windows.held_out.astype(np.int64))
        expected = model(input_ids=ids, labels=ids).loss.item()
    train(tmp_path, windows, loggers=[logger])
    rows = saved_curve(tmp_path / "last.ckpt")
    assert rows[0] == {"step": 0, VALIDATION: pytest.approx(expected, abs=1e-6)}
    assert [VALIDATION in row for row in rows] == [True, False, False, True, False, False, True]
    assert [row[RATE] for row in rows[1:3]] == pytest.approx([5e-3, 1e-2 * (1 + np.cos(np.pi / 6)) / 2])
    assert rows[-1][TRAIN] < rows[1][TRAIN]
    logger.finalize("success")
    assert (tmp_path / "csv" / "metrics.csv").read_text().count("\n") == 8


def test_a_resumed_training_logs_the_whole_curve(tmp_path, windows):
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path, windows, loggers=[Stop(tmp_path / "one", 5)])
    logger = CSVLogger(tmp_path / "two", name="", version="")
    train(tmp_path, windows, loggers=[logger])
    logger.finalize("success")
    assert (tmp_path / "two" / "metrics.csv").read_text().count("\n") == 8


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradient_checkpointing_gives_the_same_loss(tmp_path, windows, precision):
    settings = replace(SETTINGS, steps=2, precision=precision)
    curves = []
    for flag in (False, True):
        train(tmp_path / str(flag), windows, replace(settings, gradient_checkpointing=flag))
        curves.append([row.get(TRAIN) for row in saved_curve(tmp_path / str(flag) / "last.ckpt")][1:])
    assert curves[1] == pytest.approx(curves[0], abs=1e-6)


def test_rotary_frequencies_stay_float32_in_bfloat16(tmp_path, windows):
    model = train(tmp_path, windows, replace(SETTINGS, precision="bf16-true", steps=1))
    assert model.model.rotary_emb.inv_freq.dtype == torch.float32
    assert {weight.dtype for weight in saved_weights(tmp_path / "last.ckpt").values()} == {torch.bfloat16}


def test_dropout_acts_when_nothing_is_held_out_too(tmp_path, windows):
    whole = Windows(windows.train, windows.held_out[:0])
    weights = []
    for dropout in (0.2, 0.0):
        model = llama().eval()  # as from_pretrained leaves it
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = dropout
        train(tmp_path / str(dropout), whole, replace(SETTINGS, steps=1), model=model)
        weights.append(saved_weights(tmp_path / str(dropout) / "last.ckpt")["model.norm.weight"])
    assert not torch.equal(*weights)


def test_the_callers_random_state_is_left(tmp_path, windows):
    model = llama()
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    train(tmp_path, windows, replace(SETTINGS, steps=1), model=model)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("rate", "said"), [(1e30, "text held out is (nan|inf) at step 1"), (None, "before the first")])
def test_a_loss_that_is_no_number_leaves_no_checkpoint(tmp_path, windows, rate, said):
    model = llama()
    if rate is None:
        torch.nn.init.constant_(model.lm_head.weight, float("nan"))
    settings = replace(SETTINGS, steps=1, warmup=0, learning_rate=rate or 0.1)
    with pytest.raises(InputError, match=said):
        train(tmp_path, windows, settings, model=model)
    assert not (tmp_path / "last.ckpt").exists()


def test_trained_values_that_the_bases_type_cannot_hold_are_named():
    model, weight = llama().half(), torch.full((16,), 1e6)
    with pytest.raises(InputError, match=r"model\.norm\.weight has come to hold entries that torch\.float16 cannot"):
        take_weights(model, {"model.norm.weight": weight})


def test_a_checkpoint_of_another_choice_is_refused(tmp_path, windows):
    train(tmp_path, windows)
    with pytest.raises(InputError, match="holds other parameters than those that train"):
        train(tmp_path, windows, replace(SETTINGS, steps=9), patterns=("model.norm",))


def test_a_broken_checkpoint_is_named(tmp_path, windows):
    (tmp_path / "last.ckpt").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"last\.ckpt is no training checkpoint"):
        train(tmp_path, windows)
