"""Training text: every token's loss once, nothing in two parts, one order for one seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.data.example import TextSet
from laser_lit.errors import InputError
from laser_lit.lit.training_batches import TrainingBatches
from laser_lit.lit.windows import WindowRows, cut_windows
from laser_lit.scoring.perplexity import encode_windows

EOS, BOS = 2, 1


def words(n, first=0):
    return " ".join(f"w{(first + i) % 91}" for i in range(n))


def ids(text, tokenizer):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("kind", ["plain", "llama_like"])
def test_windows_of_a_running_text_are_those_that_are_scored(request, kind):
    tokenizer = request.getfixturevalue(kind)
    text = TextSet("text", (words(203),), "r", window=10)
    cut = cut_windows(text, tokenizer, 10, seed=0, holdout=0.0).train
    scored = encode_windows(text, tokenizer, "strict", 64, None, None)
    expected = [[*request.tokens, request.targets[-1]] for request in scored if len(request.targets) == 10]
    assert cut.tolist() == expected
    assert len(cut) == 20
    assert cut.shape == (20, 11)


@pytest.mark.parametrize("kind", ["plain", "llama_like"])
def test_every_tokens_loss_counts_once(request, kind):
    tokenizer = request.getfixturevalue(kind)
    text = TextSet("text", (words(400),), "r")
    windows = cut_windows(text, tokenizer, 7, seed=0, holdout=0.2)
    labels = np.concatenate([windows.train[:, 1:], windows.held_out[:, 1:]]).reshape(-1).tolist()
    stream = ids(words(400), tokenizer)[0 if kind == "llama_like" else 1 :]
    assert sorted(labels) == sorted(stream[: len(labels)])
    assert len(stream) - len(labels) < 7


def test_documents_are_joined_with_end_tokens_and_held_out_whole(plain):
    documents = tuple(words(5 + i, first=7 * i) for i in range(40))
    text = TextSet("c4", documents, "r", tuple(f"d{i}" for i in range(40)))
    windows = cut_windows(text, plain, 4, seed=0, holdout=0.3)
    for part in (windows.train, windows.held_out):
        stream = [part[0, 0], *part[:, 1:].reshape(-1)]
        pieces = " ".join(map(str, stream)).split(f" {EOS} ")
        whole = [" ".join(map(str, ids(document, plain))) for document in documents]
        assert all(piece in whole for piece in pieces[:-1])
        assert BOS not in part


def test_documents_of_a_group_stay_together(plain):
    documents = tuple(f"w{i} " * 9 for i in range(30))
    text = TextSet("c4", documents, "r", tuple(f"g{i // 3}" for i in range(30)))
    windows = cut_windows(text, plain, 3, seed=1, holdout=0.3)
    train, held = ({(token - 5) // 3 for token in np.unique(part) if token >= 5} for part in windows.__dict__.values())
    assert train
    assert held
    assert not train & held


def test_the_seed_decides_what_is_held_out(plain):
    text = TextSet("text", (words(2000),), "r")
    one, again, other = (cut_windows(text, plain, 8, seed=seed, holdout=0.1) for seed in (0, 0, 1))
    assert one.held_out.tolist() == again.held_out.tolist() != other.held_out.tolist()
    assert 0 < len(one.held_out) < len(one.train) / 3


def test_the_limit_counts_groups(plain):
    text = TextSet("c4", tuple(words(20) for _ in range(30)), "r", tuple(f"d{i}" for i in range(30)))
    some = cut_windows(text, plain, 4, seed=0, holdout=0.0, limit=10)
    assert len(some.train) == (20 * 10 + 9 - 1) // 4
    assert len(some.held_out) == 0


@pytest.mark.parametrize(
    ("n", "length", "holdout", "message"),
    [
        (9, 10, 0.0, "text has not one window of 10 tokens to train on"),
        (12, 10, 0.1, "text has not one window of 10 tokens to hold out"),
        (0, 4, 0.1, "to train on"),
    ],
)
def test_too_little_text(plain, n, length, holdout, message):
    with pytest.raises(InputError, match=message):
        cut_windows(TextSet("text", (words(n),), "r"), plain, length, seed=0, holdout=holdout)


def test_one_window_trains_when_nothing_is_held_out(plain):
    windows = cut_windows(TextSet("text", (words(12),), "r"), plain, 10, seed=0, holdout=0.0)
    assert windows.train.shape == (1, 11)
    batch = WindowRows(windows.train).batch(range(len(windows.train)))
    assert batch["labels"].tolist() == batch["input_ids"].tolist() == windows.train.tolist()


@given(
    n=st.integers(1, 9),
    size=st.integers(1, 5),
    count=st.integers(1, 12),
    seed=st.integers(0, 3),
    first=st.integers(0, 12),
    world=st.integers(1, 3),
)
def test_batches_are_a_function_of_their_number(n, size, count, seed, first, world):
    windows = np.arange(n * 3, dtype=np.int32).reshape(n, 3)

    def served(first, rank):
        batches = TrainingBatches(
            WindowRows(windows), size=size, count=count, seed=seed, first=first, rank=rank, world=world
        )
        assert len(batches) == count
        return [batch["input_ids"][:, 0].tolist() for batch in batches]

    whole = [served(0, rank) for rank in range(world)]
    assert [served(first, rank) for rank in range(world)] == [batches[first:] for batches in whole]
    seen = [row for batch in range(count) for rank in range(world) for row in whole[rank][batch]]
    for epoch in range(len(seen) // n):
        assert sorted(seen[epoch * n : (epoch + 1) * n]) == list(range(0, 3 * n, 3))


def test_epochs_have_orders_of_their_own():
    windows = np.arange(40, dtype=np.int32).reshape(20, 2)
    batches = TrainingBatches(WindowRows(windows), size=20, count=3, seed=0)
    orders = [batches.rows(number) for number in range(3)]
    assert orders[0] != orders[1] != orders[2]
    assert orders[0] != TrainingBatches(WindowRows(windows), size=20, count=3, seed=1).rows(0)
