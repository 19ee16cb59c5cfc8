import math

import lightning
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.errors import InputError
from laser_lit.lit.finetune import CausalLMModule, learning_rate_factor, next_token_loss


def gptj(seed: int = 0, **settings) -> transformers.GPTJForCausalLM:
    torch.manual_seed(seed)
    shape = {"vocab_size": 30, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2, "rotary_dim": 4}
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}
    return transformers.GPTJForCausalLM(transformers.GPTJConfig(**shape, **off, **settings))


def batch(seed: int = 0) -> dict[str, torch.Tensor]:
    ids = torch.randint(1, 30, (4, 7), generator=torch.Generator().manual_seed(seed))
    labels = ids.clone()
    labels[0, 4:] = -100
    labels[1, :5] = -100
    labels[:, 0] = 3  # nothing comes before it
    return {"input_ids": ids, "labels": labels}


def test_the_loss_is_that_of_transformers():
    model, given_batch = gptj(), batch()
    expected = model(**given_batch).loss
    torch.testing.assert_close(next_token_loss(model, given_batch), expected)


def test_the_loss_respects_mask_and_positions():
    model, right = gptj(), batch()
    padding = torch.zeros(4, 3, dtype=torch.long)
    left = {
        "input_ids": torch.cat([padding, right["input_ids"]], 1),
        "labels": torch.cat([padding - 100, right["labels"]], 1),
        "attention_mask": torch.cat([padding, torch.ones(4, 7, dtype=torch.long)], 1),
        "position_ids": torch.cat([padding, torch.arange(7).expand(4, 7)], 1),
    }
    left["labels"][:, 3] = -100
    torch.testing.assert_close(next_token_loss(model, left), next_token_loss(model, right))


def test_soft_capped_logits_are_kept():
    torch.manual_seed(0)
    config = transformers.Gemma2Config(
        vocab_size=30,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        final_logit_softcapping=0.05,
    )
    model = transformers.Gemma2ForCausalLM(config)
    torch.testing.assert_close(next_token_loss(model, batch()), model(**batch()).loss)


def test_only_labelled_positions_reach_the_head_and_its_hook_goes_away():
    model, given_batch = gptj(), batch()
    rows = []
    hook = model.lm_head.register_forward_hook(lambda module, args, output: rows.append(output.shape))
    next_token_loss(model, given_batch)
    hook.remove()
    assert rows == [((given_batch["labels"][:, 1:] >= 0).sum(), 30)]
    assert not model.lm_head._forward_pre_hooks
    with pytest.raises(ValueError, match="specify exactly one"):
        next_token_loss(model, {"labels": given_batch["labels"]})
    assert not model.lm_head._forward_pre_hooks


@given(st.integers(1, 500), st.integers(0, 60), st.sampled_from(["cosine", "linear", "constant"]), st.floats(0, 1))
def test_the_learning_rate_rises_then_ends_at_its_floor(steps, warmup, schedule, floor):
    factors = [
        learning_rate_factor(step, steps=steps, warmup=warmup, schedule=schedule, floor=floor)
        for step in range(steps + 1)
    ]
    assert all(0 <= factor <= 1 for factor in factors)
    assert all(factor > 0 for factor in factors[:steps])
    if warmup <= steps:
        assert math.isclose(factors[-1], 1.0 if schedule == "constant" else floor, abs_tol=1e-12)
        assert all(a >= b - 1e-12 for a, b in zip(factors[warmup:], factors[warmup + 1 :], strict=False))


def test_unknown_schedules_are_refused():
    with pytest.raises(InputError, match="nearest: cosine"):
        CausalLMModule(gptj(), learning_rate=1e-3, schedule="cosin")


class Repeated:
    def __len__(self):
        return 30

    def __iter__(self):
        return (batch() for _ in range(30))


def trainer(**settings) -> lightning.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    return lightning.Trainer(accelerator="cpu", max_epochs=1, enable_progress_bar=False, **quiet, **settings)


@torch.no_grad()
def loss(model) -> float:
    return float(next_token_loss(model, batch()))


def test_training_lowers_the_loss_and_decays_only_matrices():
    module = CausalLMModule(gptj(), learning_rate=1e-2, weight_decay=0.5, warmup=5)
    fit = trainer()
    before = loss(module.model)
    fit.fit(module, Repeated())
    assert loss(module.model) < before / 2
    (optimizer,) = fit.optimizers
    decay = {p.ndim: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay == {2: 0.5, 1: 0.0}
    assert fit.global_step == 30
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)


def test_frozen_parameters_stay():
    module = CausalLMModule(gptj(), learning_rate=1e-2)
    frozen = module.model.transformer.wte.weight.requires_grad_(False)
    kept = frozen.clone()
    trainer().fit(module, Repeated())
    assert torch.equal(frozen, kept)


def test_hyperparameters_are_plain():
    module = CausalLMModule(gptj(), learning_rate=1e-2, betas=(0.8, 0.9))
    assert dict(module.hparams) == {
        "learning_rate": 1e-2,
        "weight_decay": 0.0,
        "betas": (0.8, 0.9),
        "warmup": 0,
        "schedule": "cosine",
        "floor": 0.0,
    }


@pytest.mark.parametrize(("clip", "expected"), [(0.5, 0.5), (100.0, 10.0), (None, 10.0)])
def test_the_gradient_is_scaled_down_to_its_norm(clip, expected):
    module = CausalLMModule(gptj(), learning_rate=1e-2)
    weights = [module.model.lm_head.weight, module.model.transformer.ln_f.bias]
    for weight, norm in zip(weights, (6.0, 8.0), strict=True):
        weight.grad = torch.full_like(weight, norm / weight.numel() ** 0.5)
    optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:]}], lr=1.0)
    module.configure_gradient_clipping(optimizer, clip)
    assert torch.cat([weight.grad.flatten() for weight in weights]).norm().item() == pytest.approx(expected, rel=1e-4)
