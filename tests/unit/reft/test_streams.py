"""Hidden states among what modules are given and give, in every form in which models pass them."""

from collections import namedtuple

import pytest
import torch
from torch import Tensor

from laser_lit.reft.streams import gave, given, with_gave, with_given

H, NEW, MASK = torch.ones(1, 2, 3), torch.zeros(1, 2, 3), torch.full((1, 1, 2, 2), 5.0)
IDS = torch.ones(1, 2, dtype=torch.long)


@pytest.mark.parametrize(
    ("args", "kwargs", "key"),
    [
        ((H, MASK), {}, 0),
        ((H,), {"attention_mask": MASK}, 0),
        ((), {"attention_mask": MASK, "hidden_states": H}, "hidden_states"),
        ((), {"position_ids": IDS, "x": H, "attention_mask": MASK}, "x"),
        ((None,), {"hidden_states": H}, "hidden_states"),
    ],
)
def test_what_a_module_is_given(args: tuple[object, ...], kwargs: dict[str, object], key: object) -> None:
    assert given(args, kwargs) == (key, H)
    new_args, new_kwargs = with_given(args, kwargs, key, NEW)
    assert given(new_args, new_kwargs)[1] is NEW
    assert len(new_args) == len(args)
    assert list(new_kwargs) == list(kwargs)
    assert all(new_kwargs[name] is kwargs[name] for name in kwargs if name != key)
    assert all(new is old for new, old in zip(new_args[1:], args[1:], strict=True))


def test_nothing_is_given() -> None:
    assert given((), {"position_ids": IDS}) == (None, None)


@pytest.mark.parametrize("output", [H, (H,), (H, MASK), [H, None]])
def test_what_a_module_gives(output: object) -> None:
    assert gave(output) is H
    new = with_gave(output, NEW)
    assert type(new) is type(output)
    assert gave(new) is NEW
    if not isinstance(output, Tensor):
        assert list(new[1:]) == list(output[1:])


@pytest.mark.parametrize("output", [None, (), "text", ("text", H)])
def test_a_module_gives_no_states(output: object) -> None:
    assert gave(output) is None


def test_a_named_tuple_stays_one() -> None:
    made = namedtuple("made", ["states", "weights"])(H, MASK)
    new = with_gave(made, NEW)
    assert new.states is NEW
    assert new.weights is MASK
