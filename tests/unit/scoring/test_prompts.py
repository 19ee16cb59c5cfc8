"""Which tokens of a request are its prompt, and what interventions therefore change in a score."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.prompt import given_prompts
from laser_lit.reft.reft import Reft
from laser_lit.scoring.batches import Batches, collate
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.request import Request
from laser_lit.scoring.requests import encode

SIDES = ("right", "left")


def told(batch: Any) -> list[tuple[int, ...]]:
    """Returns the tokens of each prompt of a batch."""
    mask = batch.prompt_mask
    assert mask.shape == batch.input_ids.shape
    assert mask.dtype == torch.bool
    return [tuple(ids[row].tolist()) for ids, row in zip(batch.input_ids, mask, strict=True)]


@st.composite
def requests(draw: Any) -> tuple[Request, int]:
    """Returns a request of any role that is not generated, and the length of its prompt."""
    prompt, answer = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    role = draw(st.sampled_from(("token", "choices", "choice 1", "answer", "target_new", "greedy", "window")))
    ids = tuple(draw(st.lists(st.integers(3, 90), min_size=prompt + answer, max_size=prompt + answer)))
    if role in ("token", "choices"):
        return Request(0, role, ids[:prompt], (prompt - 1,) * 2, (5, 6)), prompt
    reads = tuple(range(prompt - 1, prompt + answer - 1))
    return Request(0, role, ids[:-1], reads, ids[prompt:], length=answer), prompt


@given(asked=st.lists(requests(), min_size=1, max_size=6), side=st.sampled_from(SIDES))
def test_a_prompt_ends_where_the_first_answer_is_read(asked: list[tuple[Request, int]], side: Any) -> None:
    batch = collate([request for request, _ in asked], range(len(asked)), 0, side)
    assert told(batch) == [request.tokens[:length] for request, length in asked]
    assert told(batch.to("cpu")) == told(batch)
    assert not batch.prompt_mask[batch.attention_mask == 0].any()


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), side=st.sampled_from(SIDES))
def test_what_is_to_be_continued_is_prompt_as_a_whole(lengths: list[int], side: Any) -> None:
    asked = [Request(0, "generate", tuple(range(3, 3 + n)), max_new_tokens=4) for n in lengths]
    assert told(collate(asked, range(len(asked)), 0, side)) == [request.tokens for request in asked]


@pytest.mark.parametrize("scoring", ["strict", "paper"])
@pytest.mark.parametrize(("kind", "words"), [("token", 1), ("token", 3), ("choice", 1), ("choice", 2), ("generate", 3)])
def test_encoded_prompts_are_those_of_the_examples(
    sets: Callable[..., ExampleSet], bos_tokenizer: Any, kind: str, words: int, scoring: Any
) -> None:
    examples = sets(kind, words)
    asked = encode(examples, bos_tokenizer, "causal", scoring)
    for side in SIDES:
        batches = list(Batches(asked, 0, 5, side=side))  # type: ignore[arg-type]
        for number, ids in ((n, ids) for batch in batches for n, ids in zip(batch.numbers, told(batch), strict=True)):
            prompt = examples.examples[asked[number].index].prompt
            assert list(ids) == bos_tokenizer(prompt)["input_ids"], asked[number].role


def test_of_a_window_what_is_not_scored_is_prompt(tokenizer: Any) -> None:
    text = TextSet("text", ("w1 w2 w3 w4 w5 w6 w7 w8 w9",), "r", window=4)
    whole = encode(text, tokenizer)
    assert told(collate(whole, range(len(whole)), 0)) == [request.tokens[:1] for request in whole]
    sliding = encode(text, tokenizer, window=4, stride=2)
    context = [request.reads[0] + 1 for request in sliding]
    assert told(collate(sliding, range(len(sliding)), 0)) == [
        request.tokens[:length] for request, length in zip(sliding, context, strict=True)
    ]
    assert max(context) > 1


def said_by(model: Any, batch: Any) -> torch.Tensor:
    """Returns what the model hears of its prompts when a batch is scored."""
    heard = []
    handle = model.register_forward_pre_hook(lambda *_: heard.append(given_prompts()))
    try:
        score_batch(model, batch)
    finally:
        handle.remove()
    assert given_prompts() is None
    return heard[0]


def test_a_model_is_told_what_is_prompt(
    models_by_name: Callable[[str], Any], sets: Callable[..., ExampleSet], tokenizer: Any
) -> None:
    asked = encode(sets("choice", 3), tokenizer)
    batch = Batches(asked, 0, 6)[0]
    assert torch.equal(said_by(models_by_name("gptj"), batch), batch.prompt_mask)
    masked = Batches(encode(sets("token"), tokenizer, "masked"), 0, 6)[0]
    assert torch.equal(said_by(models_by_name("bert"), masked), masked.attention_mask.bool())
    generated = next(batch for batch in Batches(encode(sets("generate", 2), tokenizer), 0, 6) if batch.max_new_tokens)
    assert said_by(models_by_name("gptj"), generated) is None  # generate says it by itself


def strong(model: Any, **values: Any) -> Reft:
    reft = Reft.on(model, [Intervention(layer="all", rank=2, **values)]).eval()
    with torch.no_grad():
        for parameter in reft.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return reft


@pytest.mark.parametrize("positions", ["l1", "f2+l2"])
@pytest.mark.parametrize(("kind", "words"), [("token", 1), ("choice", 2), ("generate", 2)])
@pytest.mark.parametrize("name", ["gptj", "llama"])
def test_scores_under_interventions_depend_on_neither_batch_nor_padding(
    models_by_name: Callable[[str], Any],
    sets: Callable[..., ExampleSet],
    tokenizer: Any,
    name: str,
    kind: str,
    words: int,
    positions: str,
) -> None:
    model = models_by_name(name)
    asked = encode(sets(kind, words), tokenizer)
    plain = [score_batch(model, collate([request], [0], 0))[0] for request in asked]
    with strong(model, positions=positions).attached(model):
        alone = [score_batch(model, collate([request], [0], 0))[0] for request in asked]
        for side in SIDES:
            for batch in Batches(asked, 0, 5, side=side):  # type: ignore[arg-type]
                for score in score_batch(model, batch):
                    expected = alone[score.number]
                    assert score.log_probs == pytest.approx(expected.log_probs, abs=1e-4)
                    assert score.generated == expected.generated
    changed = [one != other for one, other in zip(plain, alone, strict=True)]
    long = [len(told(collate([request], [0], 0))[0]) > 1 for request in asked]
    assert changed == long or kind == "generate"
    again = [score_batch(model, collate([request], [0], 0))[0] for request in asked]
    assert again == plain


def test_an_answer_is_read_as_if_it_followed_the_edited_prompt(
    models_by_name: Callable[[str], Any], tokenizer: Any
) -> None:
    model = models_by_name("gptj")
    request = Request(0, "answer", (10, 11, 12, 13, 20, 21), (3, 4, 5), (20, 21, 22))
    with strong(model, positions="f1+l1").attached(model), torch.no_grad():
        score = score_batch(model, collate([request], [0], 0))[0]
        first = model(torch.tensor([[10, 11, 12, 13]]), use_cache=True)  # without a mask all of it is prompt
        second = model(torch.tensor([[20, 21]]), past_key_values=first.past_key_values)
    logits = torch.cat([first.logits[0, -1:], second.logits[0]])
    expected = logits.log_softmax(-1)[range(3), [20, 21, 22]]
    assert score.log_probs == pytest.approx(expected.tolist(), abs=1e-4)
