"""Pairs are tokenized, cut, chosen and matched as lm-evaluation-harness does."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.data.pairs import ExactMatch, Filter, PairExample, PairSet
from laser_lit.errors import InputError
from laser_lit.scoring.loss import log_losses
from laser_lit.scoring.pairs import pairs_ids
from laser_lit.scoring.requests import encode
from laser_lit.scoring.score import score

huggingface = pytest.importorskip("lm_eval.models.huggingface", reason="lm-eval is not installed")

TOKENIZERS = ("tokenizer", "bos_tokenizer", "gpt", "llama")
PAIRS = (
    ("claim is", " true"),
    ("claim is ", "true"),
    ("claim is\n\n", "true"),
    ("claim is \n ", " true false"),
    ("claim", "s is"),
    ("claim tr", "ue"),
    ("w1 w2 w3", " w4 w5"),
    ("", "true claim"),
    ("", " w4"),
    ("<s>claim", " is"),
    ("<|end|>claim", " is"),
    ("[BOS] w1", " w2"),
)


class Harness(huggingface.HFLM):  # type: ignore[misc, name-defined]
    """The harness's model class, for its tokenizing alone."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.backend = "causal"
        self.add_bos_token = self.custom_prefix_token_id = self.enable_thinking = None

    def _loglikelihood_tokens(self, requests: Any, **_: Any) -> list[Any]:
        return [(tuple(context), tuple(continuation)) for _, context, continuation in requests]

    def pairs(self, *pairs: tuple[str, str]) -> list[Any]:
        instances = [type("Instance", (), {"args": pair}) for pair in pairs]
        return self.loglikelihood(instances, disable_tqdm=True)


def one(contexts: tuple[str, ...], continuations: tuple[str, ...], right: int = 0, **fields: Any) -> PairExample:
    choices = tuple(continuation.strip() for continuation in continuations)
    lengths = tuple(len(choice) for choice in choices)
    about = {"choices": choices, "lengths": lengths, "right": (right,), **fields}
    return PairExample("e", "g", contexts[0], choices[right], contexts=contexts, continuations=continuations, **about)


def pair_set(*examples: PairExample, scoring: Any = "choice", **fields: Any) -> PairSet:
    numbered = tuple(replace(example, id=str(i), group=str(i)) for i, example in enumerate(examples))
    return PairSet("lm_eval", scoring, numbered, "r", **fields)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_pairs_are_split_where_the_harness_splits_them(name: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(name)
    expected = dict(zip(PAIRS, Harness(tokenizer).pairs(*PAIRS), strict=True))
    kept = {pair: ids for pair, ids in expected.items() if ids[1]}  # words that a word tokenizer does not know merge
    assert len(kept) >= 10
    assert pairs_ids(tokenizer, *zip(*kept, strict=True)) == list(kept.values())


TEXT = st.text(alphabet="abc e.\n", min_size=1, max_size=12)


@pytest.mark.parametrize("name", ["gpt", "llama"])
@given(context=TEXT.filter(str.strip), continuation=TEXT.filter(str.strip))
def test_any_text_is_split_where_the_harness_splits_it(
    name: str, context: str, continuation: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(name)
    expected = Harness(tokenizer).pairs((context, continuation))
    if not expected[0][1]:
        with pytest.raises(InputError, match="continuation has no tokens"):
            pairs_ids(tokenizer, [context], [continuation])
    else:
        assert pairs_ids(tokenizer, [context], [continuation]) == expected


def test_what_has_no_tokens_is_refused(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="context has no tokens: '  ' continued by 'w1'"):
        pairs_ids(tokenizer, ["  "], ["w1"])
    with pytest.raises(InputError, match=r"example 0 of lm_eval: its continuation has no tokens"):
        encode(pair_set(one(("w1",), ("  ",), choices=("x",))), tokenizer)


def test_sequences_lose_their_beginning_as_the_harness_cuts_them(bos_tokenizer: Any) -> None:
    data = pair_set(one(("w1 w2 w3 w4",) * 2, (" w5 w6", " w7")))
    long, short = encode(data, bos_tokenizer, max_length=4)
    (before, after), _ = Harness(bos_tokenizer).pairs(("w1 w2 w3 w4", " w5 w6"), ("w1 w2 w3 w4", " w7"))
    assert long.tokens == (before + after)[-5:][:-1]  # (context + continuation)[-(max_length + 1):][:-1]
    assert (long.dropped, short.dropped) == (2, 1)
    assert long.targets == after
    assert long.reads == (2, 3)
    with pytest.raises(InputError, match="a continuation of 5 tokens is too long for a model that takes 4"):
        encode(pair_set(one(("w1",), (" w1 w2 w3 w4 w5",))), bos_tokenizer, max_length=4)


def test_choices_of_one_token_after_one_context_are_one_sequence(tokenizer: Any) -> None:
    together = encode(pair_set(one(("w1 w2",) * 3, (" w3", " w4", " w5"))), tokenizer)
    assert [request.role for request in together] == ["choices"]
    assert together[0].reads == (1, 1, 1)
    apart = encode(pair_set(one(("w1 w2", "w1 w3"), (" w3", " w3"))), tokenizer)
    assert [request.role for request in apart] == ["choice 0", "choice 1"]


def log_prob(model: Any, tokens: list[int], n: int) -> float:
    """Returns the summed log prob of the last n tokens, by a pass of their own."""
    with torch.no_grad():
        table = model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    return float(sum(table[i - 1, tokens[i]] for i in range(len(tokens) - n, len(tokens))))


def test_a_choice_is_the_most_probable_sum_or_the_sum_over_its_characters(models_by_name: Any, tokenizer: Any) -> None:
    model = models_by_name("llama")
    continuations = (" w3", " w110 w111 w112", " w5 w6")
    data = pair_set(one(("w1 w2",) * 3, continuations, right=1))
    texts = [tokenizer.encode("w1 w2" + continuation) for continuation in continuations]
    expected = [log_prob(model, ids, len(ids) - 2) for ids in texts]
    plain, normed = (score(model, tokenizer, data, length_normalize=on).iloc[0] for on in (False, True))
    assert plain["choice_log_probs"] == pytest.approx(expected, abs=1e-4)
    assert plain["prediction"] == data.examples[0].choices[expected.index(max(expected))]
    ranks = [value / len(text.strip()) for value, text in zip(expected, continuations, strict=True)]
    assert normed["prediction"] == data.examples[0].choices[ranks.index(max(ranks))]
    assert plain["log_loss"] == pytest.approx(-expected[1] / 3, abs=1e-4)


def test_any_right_choice_counts_and_equal_choices_are_told_apart(models_by_name: Any, tokenizer: Any) -> None:
    model = models_by_name("llama")
    question = one(("w1 w2",) * 3, (" w3", " w4", " w5"))
    best = score(model, tokenizer, pair_set(question)).iloc[0]["prediction"]
    place = question.choices.index(best)
    other = (place + 1) % 3
    rights = [(other,), (other, place)]
    table = score(model, tokenizer, pair_set(*(replace(question, right=right) for right in rights)))
    assert list(table["correct"]) == [False, True]
    twins = one(("w1 w2", "w9 w2"), (" w3", " w3"), right=1)
    loss = score(model, tokenizer, pair_set(twins)).iloc[0]["log_loss"]
    assert loss == pytest.approx(-log_prob(model, tokenizer.encode("w9 w2 w3"), 1), abs=1e-4)
    requests = encode(pair_set(twins), tokenizer)
    assert sum(float(part.detach()) for part in log_losses(model, pair_set(twins), requests)) == pytest.approx(
        loss, abs=1e-4
    )


def test_a_continuation_is_right_where_every_token_is_the_most_probable_one(
    models_by_name: Any, tokenizer: Any
) -> None:
    model = models_by_name("gpt2")
    ids = tokenizer.encode("w1 w2")
    greedy = []
    for _ in range(2):
        with torch.no_grad():
            greedy.append(int(model(torch.tensor([ids + greedy])).logits[0, -1].argmax()))
    text = " " + tokenizer.decode(greedy)
    wrong = " " + tokenizer.decode([greedy[0], (greedy[1] + 1) % 100 + 5])
    examples = [PairExample("", "", "w1 w2", t.strip(), contexts=("w1 w2",), continuations=(t,)) for t in (text, wrong)]
    data = pair_set(*examples, scoring="greedy")
    table = score(model, tokenizer, data)
    assert list(table["correct"]) == [True, False]
    assert list(table["n_tokens"]) == [2, 2]
    for row, example in zip(table.itertuples(), examples, strict=True):
        own = log_prob(model, tokenizer.encode("w1 w2" + example.continuations[0]), 2)
        assert row.log_loss * 2 == pytest.approx(-own, abs=1e-4)
    losses = log_losses(model, data, encode(data, tokenizer))
    assert sum(float(part.detach()) for part in losses) == pytest.approx(float(table["log_loss"].mean()), abs=1e-4)


def test_generated_text_is_cut_filtered_and_compared(models_by_name: Any, tokenizer: Any) -> None:
    model = models_by_name("gpt2")
    free = PairExample("", "", "w1 w2", "w3", contexts=("w1 w2",), continuations=(" w3",))
    made = score(model, tokenizer, pair_set(free, scoring="generate", match=ExactMatch(), max_new_tokens=4)).iloc[0]
    words = made["prediction"].split()
    assert 1 <= len(words) <= 4
    assert not made["correct"]
    match = ExactMatch(until=(" " + words[1],), filters=(Filter("uppercase"),), ignore_case=True)
    right = replace(free, answer="x", aliases=(words[0],))
    table = score(model, tokenizer, pair_set(right, scoring="generate", match=match, max_new_tokens=4))
    assert table.iloc[0]["prediction"] == words[0].upper()
    assert table.iloc[0]["correct"]


def test_pairs_need_a_causal_model_and_strict_scoring(tokenizer: Any) -> None:
    data = pair_set(one(("w1",), (" w2",)))
    with pytest.raises(InputError, match="a causal model"):
        encode(data, tokenizer, "masked")
    with pytest.raises(InputError, match="scoring=strict"):
        encode(data, tokenizer, scoring="paper")
