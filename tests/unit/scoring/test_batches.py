"""Batches: every request once, of like length, padded on either side, dealt out to processes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.errors import InputError, UnknownNameError
from laser_lit.scoring.batches import Batches, collate, pad_token
from laser_lit.scoring.request import Request


def request(length: int, new: int = 0) -> Request:
    return Request(0, "token", tuple(range(10, 10 + length)), (length - 1,), (3,), max_new_tokens=new)


lengths = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@given(lengths=lengths, batch_size=st.integers(1, 9), budget=st.none() | st.integers(1, 90), world=st.integers(1, 5))
def test_shards_are_every_request_once(lengths: list[int], batch_size: int, budget: int | None, world: int) -> None:
    requests = [request(n, new=(i % 3 == 0) * 4) for i, n in enumerate(lengths)]
    batches = Batches(requests, 0, batch_size, budget)
    seen = [n for rank in range(world) for batch in batches.shard(rank, world) for n in batch.numbers]
    assert sorted(seen) == list(range(len(requests)))
    for batch in batches:
        assert len(batch.numbers) <= batch_size
        assert len({r.max_new_tokens for r in batch.requests}) == 1
        tokens = len(batch.numbers) * (batch.input_ids.shape[1] + batch.max_new_tokens)
        assert budget is None or tokens <= budget or len(batch.numbers) == 1


@given(lengths=lengths, batch_size=st.integers(1, 9))
def test_batches_hold_like_lengths_the_longest_first(lengths: list[int], batch_size: int) -> None:
    batches = list(Batches([request(n) for n in lengths], 0, batch_size))
    found = [len(r.tokens) for batch in batches for r in batch.requests]
    assert found == sorted(lengths, reverse=True)
    assert all(batch.input_ids.shape[1] == len(batch.requests[0].tokens) for batch in batches)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_mask_and_positions(side: Any) -> None:
    batch = collate([request(4), request(2)], [7, 8], pad_id=99, side=side)
    ids = [[10, 11, 12, 13], [10, 11, 99, 99] if side == "right" else [99, 99, 10, 11]]
    assert batch.input_ids.tolist() == ids
    assert batch.attention_mask.tolist() == [[int(i != 99) for i in row] for row in ids]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3], [0, 1, 0, 0] if side == "right" else [0, 0, 0, 1]]
    assert list(zip(batch.rows.tolist(), batch.columns.tolist(), strict=True)) == [
        (0, 3),
        (1, 1 if side == "right" else 3),
    ]


def test_positions_that_recur_are_read_once() -> None:
    twice = Request(0, "choices", (10, 11, 12), (2, 2, 2), (3, 4, 5))
    other = Request(1, "choice 0", (10, 11, 12), (1, 2), (6, 7))
    batch = collate([twice, other], [0, 1], 0)
    assert (batch.rows.tolist(), batch.columns.tolist()) == ([0, 1, 1], [2, 1, 2])
    assert (batch.slots.tolist(), batch.targets.tolist()) == ([0, 0, 0, 1, 2], [3, 4, 5, 6, 7])


def test_prompts_that_generate_are_padded_on_the_left() -> None:
    batch = collate([request(3, new=5), request(1, new=5)], [0, 1], 0, "right")
    assert batch.side == "left"
    assert batch.input_ids[1].tolist() == [0, 0, 10]
    assert batch.max_new_tokens == 5


def test_the_plan_is_the_same_each_time() -> None:
    requests = [request(n) for n in (3, 1, 3, 2, 3)]
    assert [b.numbers for b in Batches(requests, 0, 2)] == [(0, 2), (4, 3), (1,)]
    assert [b.numbers for b in Batches(requests, 0, 2)[1:]] == [(4, 3), (1,)]
    assert Batches(requests, 0, 2)[-1].numbers == (1,)


def test_a_process_may_have_nothing_to_do() -> None:
    assert len(Batches([request(1)], 0).shard(1, 2)) == 0


def test_bad_plans_are_refused() -> None:
    with pytest.raises(InputError, match="batch_size 0"):
        Batches([request(1)], 0, 0)
    with pytest.raises(InputError, match="max_tokens 0"):
        Batches([request(1)], 0, 1, 0)
    with pytest.raises(UnknownNameError, match="padding side 'lft'; nearest: left"):
        Batches([request(1)], 0, side="lft")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="rank 2 of 2"):
        Batches([request(1)], 0).shard(2, 2)
    with pytest.raises(InputError, match="generate equally many"):
        collate([request(1), request(1, new=2)], [0, 1], 0)


def test_the_padding_token(tokenizer: Any) -> None:
    class Bare:
        pad_token_id = None
        eos_token_id = 7

    assert pad_token(tokenizer) == 0
    assert pad_token(Bare()) == 7
    assert pad_token(object()) == 0
