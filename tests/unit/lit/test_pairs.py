"""Prompts with answers as a training sees them: what has a label, what is prompt, what is cut."""

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from laser_lit.data.example import Example, ExampleSet
from laser_lit.errors import InputError
from laser_lit.lit.finetune import PROMPT
from laser_lit.lit.pairs import IGNORED, Pair, PairRows, training_pairs
from laser_lit.scoring.causal import encode_causal

PAD, BOS, EOS = 0, 1, 2
ROWS = (
    Example("a", "a", "w1 w2 w3", "w4"),
    Example("b", "b", "w5", "w6 w7 w8"),
    Example("c", "c", "w9 w10 ", "w11 w12"),
    Example("d", "d", "w13\n", "w14"),
)


@pytest.fixture(scope="module")
def merging():
    """Returns a tokenizer of characters in which a space belongs to the letter after it, and two letters merge."""
    letters = ["[PAD]", "[BOS]", "[EOS]", *"abcd\n", "Ġ", "Ċ", "Ġa", "Ġb", "ab", "Ġab"]
    merges = [("Ġ", "a"), ("Ġ", "b"), ("a", "b"), ("Ġa", "b")]
    bytes_of = Tokenizer(models.BPE({word: i for i, word in enumerate(letters)}, merges))
    bytes_of.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    names = {"pad_token": "[PAD]", "bos_token": "[BOS]", "eos_token": "[EOS]"}
    return PreTrainedTokenizerFast(tokenizer_object=bytes_of, **names)


def asked(*rows, scoring="generate", **more):
    return ExampleSet("set", scoring, rows, "r", **more)


def pairs_of(examples, tokenizer, max_length=None):
    return training_pairs(examples, range(len(examples.examples)), (), tokenizer, max_length).train


def ids(tokenizer, text):
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_labels_are_on_the_answers_and_the_mask_tells_prompts_from_padding(plain):
    pairs = training_pairs(asked(*ROWS), (1, 0), (2,), plain, None)
    assert pairs.counts == {"train": 2, "held_out": 1}
    train, held = pairs.rows
    assert (len(train), len(held)) == (2, 1)
    batch = train.batch([1, 0])  # the prompt of three words, and the answer of three
    one, two = ids(plain, "w1 w2 w3 w4"), ids(plain, "w5 w6 w7 w8")
    assert batch["input_ids"].tolist() == [[*one, EOS], [*two, EOS]]
    assert batch["labels"].tolist() == [[IGNORED] * 3 + [one[3], EOS], [IGNORED, *two[1:], EOS]]
    assert batch[PROMPT].tolist() == [[True] * 3 + [False] * 2, [True] + [False] * 4]
    assert batch["attention_mask"].tolist() == [[1] * 5] * 2


def test_padding_is_on_the_right_and_is_neither_seen_nor_taught():
    rows = PairRows((Pair((7, 8), (9,)), Pair((5,), (6, 2, 2))), pad_id=2)  # an end token that pads too
    batch = rows.batch([0, 1, 0])
    assert batch["input_ids"].tolist() == [[7, 8, 9, 2], [5, 6, 2, 2], [7, 8, 9, 2]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 9, -100], [-100, 6, 2, 2], [-100, -100, 9, -100]]
    assert batch[PROMPT].long().tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    assert batch[PROMPT].dtype == torch.bool


@pytest.mark.parametrize(("scoring", "ends"), [("generate", True), ("token", False), ("choice", False)])
def test_only_what_is_generated_ends(plain, scoring, ends):
    row = replace(ROWS[1], choices=("w6 w7 w8", "w9") if scoring == "choice" else ())
    (pair,) = pairs_of(asked(row, scoring=scoring), plain)
    assert pair.answer == ids(plain, "w6 w7 w8") + (EOS,) * ends


def test_a_completion_is_taught_in_the_answers_place(plain):
    (pair,) = pairs_of(asked(replace(ROWS[0], completion=" w20 w21 w4\n")), plain)
    assert pair.answer == (*ids(plain, "w20 w21 w4"), EOS)


@pytest.mark.parametrize("kind", ["plain", "llama_like"])
@pytest.mark.parametrize("limit", [None, 64, 5])
def test_the_tokens_are_those_that_are_scored(request, kind, limit):
    tokenizer = request.getfixturevalue(kind)
    examples = asked(*ROWS, max_new_tokens=2)
    requests = encode_causal(examples, tokenizer, "strict", limit)
    forced = [one for one in requests if one.role == "answer"]
    room = None if limit is None else limit + 2  # scoring feeds neither the last token nor the one that ends
    for pair, one in zip(pairs_of(examples, tokenizer, room), forced, strict=True):
        assert (*pair.prompt, *pair.answer[:-2]) == one.tokens
        assert pair.answer == (*one.targets, EOS)


def test_the_tokens_of_a_read_answer_are_those_that_are_scored(plain):
    examples = asked(ROWS[0], ROWS[3], scoring="token")
    for pair, one in zip(pairs_of(examples, plain), encode_causal(examples, plain, "strict", None), strict=True):
        assert (pair.prompt, pair.answer) == (one.tokens, one.targets)


@pytest.mark.parametrize(
    ("prompt", "answer", "prompts", "answers"),
    [
        ("cd", "b", ["c", "d"], ["Ġb"]),
        ("cd ", "ab", ["c", "d"], ["Ġab"]),  # the space is the answer's
        ("c\n", "b", ["c", "Ċ"], ["b"]),
    ],
)
def test_spaces_go_with_the_answer_as_in_scoring(merging, prompt, answer, prompts, answers):
    examples = asked(Example("a", "a", prompt, answer))
    (pair,) = pairs_of(examples, merging)
    assert merging.convert_ids_to_tokens(pair.prompt) == prompts
    assert merging.convert_ids_to_tokens(pair.answer) == [*answers, "[EOS]"]
    (one,) = [found for found in encode_causal(examples, merging, "strict", None) if found.role == "answer"]
    assert one.targets == pair.answer[:-1]


def test_turns_of_a_chat_are_taken_as_they_are(llama_like):
    (pair,) = pairs_of(asked(Example("a", "a", "[BOS] w1 ", "w2"), chat_template=True), llama_like)
    assert pair == Pair((BOS, *ids(llama_like, "w1")), (*ids(llama_like, "w2"), EOS))


@pytest.mark.parametrize("kind", ["plain", "llama_like"])
def test_a_long_prompt_loses_its_beginning_but_not_its_begin_token(request, kind):
    tokenizer = request.getfixturevalue(kind)
    row = Example("a", "a", "w1 w2 w3 w4 w5 w6", "w7")
    (pair,) = pairs_of(asked(row), tokenizer, 6)
    assert len(pair.prompt) + len(pair.answer) == 6
    kept = (BOS, *ids(tokenizer, "w4 w5 w6")) if kind == "llama_like" else ids(tokenizer, "w3 w4 w5 w6")
    assert pair == Pair(kept, (*ids(tokenizer, "w7"), EOS))


def test_an_answer_that_leaves_no_room_is_named(plain):
    (pair,) = pairs_of(asked(ROWS[1]), plain, 5)  # four tokens with the one that ends
    assert len(pair.prompt) == 1
    with pytest.raises(InputError, match=r"example b of set: its answer has 4 tokens.*in 4; raise reft\.max_length"):
        pairs_of(asked(ROWS[1]), plain, 4)
