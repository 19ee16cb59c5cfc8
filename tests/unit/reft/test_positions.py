"""Where the slots of a prompt are: counted one by one, without padding, none twice."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.reft.positions import SHARES, Positions
from laser_lit.reft.prompt import given_prompts, prompts

masks = st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=1, max_size=4).map(torch.tensor)
ends = st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(any).map(lambda pair: Positions(*pair))


def expected(prompt: Tensor, positions: Positions) -> Tensor:
    """Counts off the first and the last tokens of each prompt."""
    found = torch.zeros_like(prompt)
    for row, tokens in enumerate(prompt):
        places = tokens.nonzero().flatten().tolist()
        most = len(places) // 2
        first, last = min(positions.first, most), min(positions.last, most)
        for place in places[:first] + places[len(places) - last :]:
            found[row, place] = True
    return found


@given(prompt=masks, positions=ends)
def test_the_first_and_the_last_tokens(prompt: Tensor, positions: Positions) -> None:
    [slot] = positions.slots("all")
    assert torch.equal(slot.mask(prompt), expected(prompt, positions))
    assert not (slot.mask(prompt) & ~prompt).any()


@given(prompt=masks, positions=ends)
def test_slots_share_out_the_same_tokens(prompt: Tensor, positions: Positions) -> None:
    for share in SHARES:
        slots = positions.slots(share)
        found = torch.stack([slot.mask(prompt).int() for slot in slots]).sum(0)
        assert torch.equal(found, expected(prompt, positions).int())  # none twice, none left out
        assert len(set(slots)) == len(slots)
    assert len(positions.slots("none")) == positions.first + positions.last
    assert all(slot.mask(prompt).sum(1).max() <= 1 for slot in positions.slots("none"))


@given(prompt=masks, positions=ends, left=st.integers(0, 4), right=st.integers(0, 4))
def test_padding_moves_them(prompt: Tensor, positions: Positions, left: int, right: int) -> None:
    [slot] = positions.slots("all")
    padded = torch.nn.functional.pad(prompt, (left, right))
    assert torch.equal(slot.mask(padded), torch.nn.functional.pad(slot.mask(prompt), (left, right)))


def test_order_of_slots() -> None:
    whole = torch.ones(1, 10, dtype=torch.bool)

    def places(share: str) -> list[list[int]]:
        return [slot.mask(whole)[0].nonzero().flatten().tolist() for slot in Positions(2, 3).slots(share)]

    assert places("all") == [[0, 1, 7, 8, 9]]
    assert places("ends") == [[0, 1], [7, 8, 9]]
    assert places("none") == [[0], [1], [7], [8], [9]]


@given(positions=ends)
def test_positions_are_written_as_they_are_read(positions: Positions) -> None:
    assert Positions.parse(str(positions)) == positions


def test_reading_positions() -> None:
    assert Positions.parse("f7+l7") == Positions(7, 7)
    assert Positions.parse("f1") == Positions(1, 0)
    assert Positions.parse("l12") == Positions(0, 12)


@pytest.mark.parametrize(
    "text", ["", "f0", "l0+f1", "f1l1", "f1+", "+l1", "7", "f-1", "f01", "l1+l2", "last", "f1 + l1"]
)
def test_positions_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(InputError, match=r"must be like f7\+l7"):
        Positions.parse(text)


def test_an_unknown_share() -> None:
    with pytest.raises(InputError, match=r"unknown share 'al'; nearest: all; allowed: all, ends, none"):
        Positions(1, 1).slots("al")


def test_prompts_hold_inside_their_context_alone() -> None:
    mask = torch.tensor([[0, 2, 1]])
    assert given_prompts() is None
    with prompts(mask):
        assert torch.equal(given_prompts(), torch.tensor([[False, True, True]]))
        with prompts(mask[:, :1]):
            assert given_prompts().shape == (1, 1)
        assert given_prompts().shape == (1, 3)
    with pytest.raises(RuntimeError, match="broke"), prompts(mask):
        raise RuntimeError("broke")
    assert given_prompts() is None


@pytest.mark.parametrize("shape", [(3,), (0, 3), (1, 1, 3, 3)])
def test_prompts_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"must be \(batch, length\)"), prompts(torch.ones(shape)):
        pass
