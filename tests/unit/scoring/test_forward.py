"""Logits only where they are read, and results that depend neither on batch size nor on padding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers as tf

from laser_lit.errors import InputError
from laser_lit.scoring import forward
from laser_lit.scoring.batches import Batches
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.inputs import context_length, model_kind
from laser_lit.scoring.request import Request
from laser_lit.scoring.requests import encode
from laser_lit.scoring.score import score

CAUSAL = (
    "gptj gpt2 neox llama mixtral gemma2 cohere bloom opt falcon falcon_alibi mpt".split()  # noqa: SIM905
)
MASKED = ["bert", "roberta", "deberta", "deberta_positions"]


def scores_of(model: Any, requests: list[Request], batch_size: int = 7, side: Any = "right", **options: Any) -> list:
    batches = Batches(requests, 0, batch_size, side=side)
    return sorted((s for b in batches for s in score_batch(model, b, **options)), key=lambda s: s.number)


def full_log_probs(model: Any, request: Request) -> torch.Tensor:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([request.tokens])).logits[0]
    return torch.log_softmax(logits.float(), dim=-1)


@pytest.mark.parametrize("name", CAUSAL + MASKED)
@pytest.mark.parametrize("side", ["right", "left"])
def test_read_logits_equal_full_logits(
    models_by_name: Callable, tokenizer: Any, sets: Callable, name: str, side: str
) -> None:
    model = models_by_name(name)
    requests = encode(sets("choice", 2), tokenizer, model_kind(model))
    for request, found in zip(requests, scores_of(model, requests, side=side), strict=True):
        full = full_log_probs(model, request)[list(request.reads)]
        expected = full[range(len(request.targets)), list(request.targets)]
        assert torch.allclose(torch.tensor(found.log_probs), expected, atol=1e-5)
        assert found.best == tuple(full.argmax(-1).tolist())
        top = full[0].topk(10)
        assert found.top_ids == tuple(top.indices.tolist())
        assert torch.allclose(torch.tensor(found.top_log_probs), top.values, atol=1e-5)


@pytest.mark.parametrize("name", CAUSAL + MASKED)
@pytest.mark.parametrize("scoring", ["token", "choice", "generate"])
def test_results_do_not_depend_on_batch_size_or_side(
    models_by_name: Callable, tokenizer: Any, sets: Callable, name: str, scoring: str
) -> None:
    model = models_by_name(name)
    data = sets(scoring, 2 if scoring == "generate" else 1)
    base = score(model, tokenizer, data, batch_size=1)
    for batch_size in (7, 64):
        for side in ("right", "left"):
            table = score(model, tokenizer, data, batch_size=batch_size, side=side)
            assert table["correct"].tolist() == base["correct"].tolist()
            assert table["prediction"].tolist() == base["prediction"].tolist()
            assert table["log_loss"].tolist() == pytest.approx(base["log_loss"].tolist(), abs=1e-5)


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_the_head_sees_only_what_is_read(models_by_name: Callable, tokenizer: Any, sets: Callable, name: str) -> None:
    model = models_by_name(name)
    requests = encode(sets("token"), tokenizer, model_kind(model))
    seen: list[torch.Size] = []
    head = model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _module, _args, out: seen.append(out.shape))
    try:
        scores_of(model, requests, 64)
        assert [shape[:-1].numel() for shape in seen] == [len(requests)]  # answer and false object: one read
        assert len(head._forward_hooks) == 1
        assert not head._forward_pre_hooks
    finally:
        handle.remove()


def test_hooks_of_others_survive_and_see_all_positions(
    models_by_name: Callable, tokenizer: Any, sets: Callable
) -> None:
    model = models_by_name("gptj")
    seen: list[tuple[int, ...]] = []
    handle = model.lm_head.register_forward_pre_hook(lambda _module, args: seen.append(tuple(args[0].shape)))
    try:
        scores_of(model, encode(sets("choice"), tokenizer)[:4], 4)
        assert seen[0][0] == 4
        assert list(model.lm_head._forward_pre_hooks) == [handle.id]
    finally:
        handle.remove()


def test_hook_is_removed_when_the_model_fails(models_by_name: Callable, tokenizer: Any, sets: Callable) -> None:
    model = models_by_name("gptj")
    requests = [replace(r, tokens=(999,) * len(r.tokens)) for r in encode(sets("choice"), tokenizer)]
    with pytest.raises(IndexError):
        scores_of(model, requests)
    assert not model.lm_head._forward_pre_hooks


def test_a_batch_that_reads_much_is_split(
    models_by_name: Callable, tokenizer: Any, sets: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models_by_name("llama")
    requests = encode(sets("choice", 3), tokenizer)
    whole = scores_of(model, requests, 64)
    largest: list[int] = []
    handle = model.lm_head.register_forward_hook(lambda _module, _args, out: largest.append(out.numel()))
    monkeypatch.setattr(forward, "MAX_LOGITS", 20 * 128)
    monkeypatch.setattr(forward, "CHUNK", 3 * 128)
    try:
        parts = scores_of(model, requests, 64)
    finally:
        handle.remove()
    assert len(largest) > 5
    assert max(largest) <= 21 * 128
    assert [p.number for p in parts] == [w.number for w in whole]
    for part, one in zip(parts, whole, strict=True):
        assert part.log_probs == pytest.approx(one.log_probs, abs=1e-5)
        assert part.best == one.best


def test_logits_are_kept_where_asked_for(models_by_name: Callable, tokenizer: Any, sets: Callable) -> None:
    model = models_by_name("gemma2")
    requests = encode(sets("token"), tokenizer)
    for request, found in zip(requests, scores_of(model, requests, keep_logits=True), strict=True):
        assert found.logits is not None
        expected = full_log_probs(model, request)[request.reads[0]]
        assert torch.allclose(torch.log_softmax(found.logits, -1), expected, atol=1e-5)
    assert scores_of(model, requests)[0].logits is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_scores_in_float32(tokenizer: Any, sets: Callable, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    config = tf.LlamaConfig(
        vocab_size=128, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48
    )
    model = tf.LlamaForCausalLM(config).eval()
    requests = encode(sets("choice"), tokenizer)
    exact = scores_of(model, requests)
    for found, expected in zip(scores_of(model.to(dtype), requests), exact, strict=True):
        assert found.log_probs == pytest.approx(expected.log_probs, abs=0.05)
        assert sum(torch.tensor(found.top_log_probs).exp().tolist()) < 1


def test_models_that_cannot_be_scored_are_refused(models_by_name: Callable, tokenizer: Any, sets: Callable) -> None:
    requests = encode(sets("choice"), tokenizer)
    t5 = tf.T5ForConditionalGeneration(tf.T5Config(vocab_size=128, d_model=8, d_kv=4, d_ff=8, num_layers=1)).eval()
    with pytest.raises(InputError, match="sequence-to-sequence"):
        scores_of(t5, requests)
    with pytest.raises(InputError, match="sequence-to-sequence"):
        model_kind(t5)
    with pytest.raises(InputError, match="no language-model head"):
        model_kind(models_by_name("llama").model)
    model = models_by_name("gpt2")
    model.train()
    try:
        with pytest.raises(InputError, match="training mode"):
            scores_of(model, requests)
    finally:
        model.eval()


def test_nan_weights_are_an_error(tokenizer: Any, sets: Callable) -> None:
    model = tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=128, n_embd=8, n_layer=1, n_head=2)).eval()
    with torch.no_grad():
        model.transformer.h[0].mlp.c_fc.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        scores_of(model, encode(sets("choice"), tokenizer))


def test_context_lengths(models_by_name: Callable) -> None:
    lengths = {name: context_length(models_by_name(name)) for name in ("gptj", "llama", "mpt", "bloom", "roberta")}
    assert lengths == {"gptj": 64, "llama": 64, "mpt": 64, "bloom": None, "roberta": 65}
