"""The differentiable log loss: the table's mean, and gradients that finite differences confirm."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.errors import InputError
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.inputs import model_kind
from laser_lit.scoring.loss import gold_requests, log_losses
from laser_lit.scoring.metrics import metrics
from laser_lit.scoring.request import Request
from laser_lit.scoring.requests import encode

MODELS = ("gptj", "llama", "mixtral", "gemma2", "roberta")


def document(n: int) -> str:
    return " ".join(f"w{7 * i * n % 120}" for i in range(n))


def table_mean(model: Any, tokenizer: Any, examples: Any, requests: list[Request], scoring: Any) -> float:
    scores = [score for batch in Batches(requests, 0, 5) for score in score_batch(model, batch)]
    table = outcomes(examples, requests, scores, scoring, tokenizer=tokenizer)
    return float(metrics(table, scoring)["log_loss"])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("kind", "words"), [("token", 1), ("token", 2), ("choice", 1), ("choice", 2), ("generate", 3)])
@pytest.mark.parametrize("scoring", ["strict", "paper"])
def test_sum_is_the_tables_mean_log_loss(
    models_by_name: Callable, tokenizer: Any, sets: Callable, name: str, kind: str, words: int, scoring: Any
) -> None:
    model, examples = models_by_name(name), sets(kind, words)
    requests = encode(examples, tokenizer, model_kind(model), scoring)
    parts = list(log_losses(model, examples, requests, scoring, max_tokens=40))
    assert len(parts) > 1
    expected = table_mean(model, tokenizer, examples, requests, scoring)
    assert sum(part.item() for part in parts) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scoring", ["strict", "paper"])
def test_text_is_weighted_as_the_table_weights_it(models_by_name: Callable, bos_tokenizer: Any, scoring: Any) -> None:
    model = models_by_name("gptj")
    text = TextSet("tiny", tuple(document(n) for n in (37, 11, 24)), "r", ("a", "b", "c"), window=16)
    requests = encode(text, bos_tokenizer, "causal", scoring)
    expected = table_mean(model, bos_tokenizer, text, requests, scoring)
    for budget in (20, None):
        parts = list(log_losses(model, text, requests, scoring, max_tokens=budget))
        assert sum(part.item() for part in parts) == pytest.approx(expected, rel=1e-5)


def test_a_rows_log_loss_comes_from_one_request(tokenizer: Any, sets: Callable) -> None:
    for kind, words in (("token", 1), ("token", 2), ("choice", 1), ("choice", 2), ("generate", 3)):
        examples: ExampleSet = sets(kind, words)
        gold = gold_requests(examples, encode(examples, tokenizer))
        assert [request.index for request in gold] == list(range(len(examples.examples)))
        for request, example in zip(gold, examples.examples, strict=True):
            assert tokenizer.decode(request.targets) == example.answer


def test_requests_that_only_generate_have_no_log_loss(tokenizer: Any, sets: Callable) -> None:
    examples = sets("generate", 3)
    requests = [request for request in encode(examples, tokenizer) if request.role == "generate"]
    with pytest.raises(InputError, match="tiny: no row has a log loss"):
        gold_requests(examples, requests)


@pytest.mark.parametrize("name", ["gptj", "llama", "roberta"])
def test_gradient_is_what_finite_differences_give(
    models_by_name: Callable, tokenizer: Any, sets: Callable, name: str
) -> None:
    model, examples = models_by_name(name).double(), sets("choice", 2, 9)
    requests = encode(examples, tokenizer, model_kind(model))
    try:
        weights = [weight for key, weight in model.named_parameters() if ".0." in key and weight.dim() > 1]
        generator = torch.Generator().manual_seed(3)
        along = [torch.randn(weight.shape, generator=generator).double() for weight in weights]

        def loss() -> torch.Tensor:
            return torch.stack(list(log_losses(model, examples, requests, max_tokens=30))).sum()

        gradients = torch.autograd.grad(loss(), weights)
        slope = sum(float((g * a).sum()) for g, a in zip(gradients, along, strict=True))
        ends = []
        for step in (1e-4, -1e-4):
            shift(weights, along, step)
            with torch.no_grad():
                ends.append(loss().item())  # differentiable whatever the mode
            shift(weights, along, -step)
        assert (ends[0] - ends[1]) / 2e-4 == pytest.approx(slope, rel=1e-3)
    finally:
        model.float()


def shift(weights: list[Any], along: list[torch.Tensor], step: float) -> None:
    with torch.no_grad():
        for weight, direction in zip(weights, along, strict=True):
            weight.add_(direction, alpha=step)


def test_a_micro_batch_reads_no_more_tokens_than_allowed(
    models_by_name: Callable, tokenizer: Any, sets: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, examples = models_by_name("gptj"), sets("token")
    requests = encode(examples, tokenizer)
    monkeypatch.setattr("laser_lit.scoring.loss.MAX_TOKENS", 24)
    seen: list[int] = []
    handle = model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    try:
        count = len(list(log_losses(model, examples, requests)))
    finally:
        handle.remove()
    assert len(seen) == count
    assert max(seen) <= 24
