"""Every token of a text is scored exactly once, given what went before it in its window."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laser_lit.data.example import TextSet
from laser_lit.errors import InputError
from laser_lit.scoring.metrics import metrics
from laser_lit.scoring.perplexity import BLOCKS
from laser_lit.scoring.requests import encode
from laser_lit.scoring.score import score


def text_of(n: int, groups: tuple[str, ...] = ()) -> TextSet:
    return TextSet("text", (" ".join(f"w{i % 120}" for i in range(n)),), "r", groups)


@given(n=st.integers(2, 90), window=st.integers(2, 20), data=st.data(), bos=st.booleans())
@settings(deadline=None, max_examples=60)
def test_each_token_is_scored_once_after_its_own_context(
    tokenizer: Any, bos_tokenizer: Any, n: int, window: int, data: st.DataObject, bos: bool
) -> None:
    stride = data.draw(st.integers(1, window))
    text = text_of(n)
    ids = tokenizer(text.documents[0])["input_ids"]
    seen: list[int] = []
    for request in encode(text, bos_tokenizer if bos else tokenizer, window=window, stride=stride):
        assert len(request.tokens) <= window
        assert (request.tokens[0] == 1) == bos
        context = list(request.tokens[bos:])
        for read, target in zip(request.reads, request.targets, strict=True):
            at = len(seen) + (not bos)
            seen.append(target)
            assert target == ids[at]
            before = read + 1 - bos  # tokens of the text that the read has behind it
            assert context[:before] == ids[at - before : at]
    assert seen == ids[not bos :]


def test_windows_after_the_first_have_context(tokenizer: Any) -> None:
    requests = encode(text_of(40), tokenizer, window=10, stride=4)
    assert [len(r.targets) for r in requests] == [10, *[4] * 7, 1]
    assert all(r.reads[0] >= 6 for r in requests[1:-1])


def test_documents_are_groups_and_running_text_is_cut_into_blocks(tokenizer: Any) -> None:
    pair = TextSet("pair", ("w1 w2 w3", "w4 w5 w6 w7"), "r", ("a", "b"))
    assert [(r.group, len(r.targets)) for r in encode(pair, tokenizer, window=2)] == [
        ("a", 2),
        ("b", 2),
        ("b", 1),
    ]
    blocks = [r.group for r in encode(text_of(800), tokenizer, window=4)]
    assert len(set(blocks)) == BLOCKS
    assert max(Counter(blocks).values()) - min(Counter(blocks).values()) <= 1
    assert blocks == sorted(blocks, key=lambda name: int(name.split()[1]))


def test_paper_windows_share_nothing(tokenizer: Any) -> None:
    requests = encode(text_of(25), tokenizer, scoring="paper", window=10)
    assert [(len(r.tokens), len(r.targets)) for r in requests] == [(9, 9), (9, 9)]
    assert requests[1].tokens[0] == 15


@pytest.mark.parametrize("batch_size", [1, 7])
def test_perplexity_is_that_of_the_whole_text(models_by_name: Callable, tokenizer: Any, batch_size: int) -> None:
    model, text = models_by_name("llama"), text_of(50)
    table = score(model, tokenizer, text, window=64, batch_size=batch_size)
    ids = torch.tensor([tokenizer(text.documents[0])["input_ids"]])
    with torch.no_grad():
        logits = model(ids).logits[0, :-1]
    losses = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
    found = metrics(table)
    assert found["log_loss"] == pytest.approx(losses.mean().item(), abs=1e-5)
    assert found["perplexity"] == pytest.approx(losses.mean().exp().item(), rel=1e-5)
    assert found["token_accuracy"] == pytest.approx((logits.argmax(-1) == ids[0, 1:]).float().mean().item())
    assert found["accuracy"] is None
    assert found["n"] == 1


def test_tokens_weigh_alike_but_under_paper_windows_do(models_by_name: Callable, tokenizer: Any) -> None:
    text = TextSet("two", ("w1 w2", "w3 w4 w5 w6 w7 w8 w9"), "r", ("a", "b"))
    table = score(models_by_name("gpt2"), tokenizer, text)
    short, long = table["log_loss"]
    assert table["n_tokens"].tolist() == [1, 6]
    assert metrics(table)["log_loss"] == pytest.approx((short + 6 * long) / 7)
    assert metrics(table, "paper")["perplexity"] == pytest.approx(math.exp((short + long) / 2))


def test_the_window_is_the_texts_own_or_the_models_limit(tokenizer: Any) -> None:
    assert max(len(r.tokens) for r in encode(text_of(900), tokenizer)) == 384
    assert max(len(r.tokens) for r in encode(text_of(900), tokenizer, max_length=64)) == 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 1}, "window 1"),
        ({"window": 99, "max_length": 64}, r"window 99: must lie in \[2, 64\]"),
        ({"window": 8, "stride": 9}, r"stride 9: must lie in \[1, 8\]"),
        ({"window": 8, "stride": 0}, "stride 0"),
        ({"window": 64, "scoring": "paper"}, "too short for one window"),
    ],
)
def test_bad_windows_are_refused(tokenizer: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(text_of(20), tokenizer, **options)
