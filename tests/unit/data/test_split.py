"""Splits by group: whole, stable, seeded; and the published one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.split import split
from laser_lit.errors import InputError

names = st.lists(st.text(alphabet="abcdef", min_size=1, max_size=3), min_size=2, max_size=60).filter(
    lambda groups: len(set(groups)) > 1
)


@given(names, st.integers(0, 99))
def test_parts_are_whole_groups_disjoint_complete_and_not_empty(groups: list[str], seed: int) -> None:
    parts = split(groups, seed=seed)
    assert sorted(parts.validation + parts.test) == list(range(len(groups)))
    assert parts.validation
    assert parts.test
    assert not {groups[i] for i in parts.validation} & {groups[i] for i in parts.test}


@given(names, st.randoms(use_true_random=False))
def test_order_does_not_matter(groups: list[str], random: object) -> None:
    shuffled = list(groups)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before, after = split(groups), split(shuffled)
    assert {groups[i] for i in before.validation} == {shuffled[i] for i in after.validation}


def test_a_group_keeps_its_part_when_rows_are_added() -> None:
    few = [f"fact {i}" for i in range(200)]
    many = [f"fact {i}" for i in range(1000)]
    kept = {few[i] for i in split(few).validation}
    assert kept == {many[i] for i in split(many).validation} & set(few)


def test_validation_is_a_fifth_and_depends_on_the_seed() -> None:
    groups = [str(i) for i in range(5000)]
    parts = split(groups, seed=0)
    assert 0.18 < len(parts.validation) / 5000 < 0.22
    assert parts == split(groups, seed=0)
    assert parts != split(groups, seed=1)
    assert 0.48 < len(split(groups, fraction=0.5).validation) / 5000 < 0.52


def test_paraphrases_of_an_example_set_stay_together() -> None:
    examples = tuple(Example(id=f"{i}/{k}", group=str(i), prompt="p", answer="a") for i in range(20) for k in range(3))
    data = ExampleSet("set", "token", examples, "r")
    parts = split(data)
    assert len(parts.validation) % 3 == 0
    assert parts == split([e.group for e in examples])


@given(st.integers(2, 30), st.integers(2, 30))
def test_limits_count_groups_and_nest(small: int, large: int) -> None:
    small, large = sorted((small, large))
    groups = [str(i // 2) for i in range(100)]
    inner, outer = split(groups, limit=small), split(groups, limit=large)
    kept = {groups[i] for i in inner.validation + inner.test}
    assert len(kept) == small
    assert kept <= {groups[i] for i in outer.validation + outer.test}


def test_a_limit_does_not_pick_the_groups_that_validation_would_get() -> None:
    groups = [str(i) for i in range(5000)]
    parts = split(groups, limit=1000)
    assert 0.16 < len(parts.validation) / 1000 < 0.24


def test_the_published_split_takes_the_first_rows_in_file_order() -> None:
    groups = [str(i // 3) for i in range(11)]
    assert split(groups, mode="paper") == split(groups, mode="paper", seed=5)
    assert split(groups, mode="paper").validation == (0, 1)
    assert split(groups, mode="paper", limit=2).test == (1, 2, 3, 4, 5)


def test_what_cannot_be_split_is_said() -> None:
    with pytest.raises(InputError, match=r"1 group\(s\): .* need at least 2"):
        split(["a", "a"])
    with pytest.raises(InputError, match="need at least 2"):
        split(["a", "b"], limit=1)
    with pytest.raises(InputError, match=r"data\.limit 0: must be at least 1"):
        split(["a", "b"], limit=0)
    with pytest.raises(InputError, match="the first 20% are 0"):
        split(["a", "b"], mode="paper")
    with pytest.raises(InputError, match="unknown split 'papr'; nearest: paper"):
        split(["a", "b"], mode="papr")
    with pytest.raises(InputError, match=r"must lie in \(0, 1\)"):
        split(["a", "b"], fraction=1.0)
