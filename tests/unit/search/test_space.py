from decimal import Decimal

import pytest
from families import FAMILIES
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.search.amounts import PRESETS
from laser_lit.search.space import Space, describe, place_of


def test_the_presets_are_the_published_grids():
    assert sorted(map(float, PRESETS["code"])) == [0.005, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9]
    assert sorted(map(float, PRESETS["table5"])) == [0.01, 0.05, 0.1, 0.2, 0.6, 0.8, 0.9]
    reductions = [10, 25, 40, 50, 60, 75, 90, 92.5, 95, 97.5, 98, 98.5, 99, 99.5, 99.75]
    assert [float((1 - rho) * 100) for rho in PRESETS["figure2"]] == reductions


def test_every_matrix_has_every_rank_once_ascending_and_none_below_one(matrices: MatrixMap):
    space = Space.of(matrices, rhos="code")  # d is 16: .005, .01 and .05 give no whole component
    assert set(map(place_of, space.edits)) == {(None, layer, name) for layer in (0, 1) for name in NAMES}
    for edits in space.by_matrix().values():
        assert [edit.rank for edit in edits] == [1, 3, 6, 9, 12, 14]
    assert len(space) == 2 * 6 * 6


NAMES = ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out")


def test_layers_matrices_ranks_and_kinds_can_be_named(matrices: MatrixMap):
    space = Space.of(
        matrices, layers=-1, matrix=["fc_in", "U_out"], ranks=[4, 1, 4, 16, 99], kinds=("low_rank", "zero")
    )
    assert [describe((edit,)) for edit in space.edits] == [
        "layer 1 fc_in rank 1",
        "layer 1 fc_in rank 4",
        "layer 1 fc_in zero",
        "layer 1 fc_out rank 1",
        "layer 1 fc_out rank 4",
        "layer 1 fc_out zero",
    ]
    assert describe(space.edits[:1] + space.edits[2:3]) == "layer 1 fc_in rank 1 + layer 1 fc_in zero"


def test_late_is_counted_in_each_part_of_a_model():
    matrices = find_matrices(FAMILIES["t5"](num_decoder_layers=5))
    late = Space.of(matrices, layers="late").edits
    assert {(edit.part, edit.layer) for edit in late if edit.matrix == "fc_in"} == {
        ("encoder", 1),
        ("decoder", 3),
        ("decoder", 4),
    }
    assert {edit.layer for edit in late if edit.part != "encoder"} == {3, 4}


def test_late_is_the_last_forty_per_cent():
    matrices = find_matrices(FAMILIES["gptj"]())
    assert {edit.layer for edit in Space.of(matrices, layers="late").edits} == {1}


def test_the_experts_of_a_matrix_are_one_candidate():
    space = Space.of(find_matrices(FAMILIES["mixtral"]()), layers=0, matrix="fc_in", ranks=[2])
    assert space.edits == (Edit(0, "fc_in", rank=2),)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rhos": "figure"}, "nearest: figure2"),
        ({"rhos": [1.5]}, "must lie in"),
        ({"ranks": [0]}, "at least 1"),
        ({"ranks": [16, 17]}, "no candidates"),
        ({"kinds": ("lowrank",)}, "low_rank"),
        ({"matrix": "fc_inn"}, "fc_in"),
        ({"layers": 2}, "layers 0 to 1"),
    ],
)
def test_bad_spaces_say_what_is_wrong(matrices: MatrixMap, options: dict[str, object], words: str):
    with pytest.raises((InputError, KeyError), match=words):
        Space.of(matrices, **options)


def test_taken_matrices_are_left_out(matrices: MatrixMap):
    space = Space.of(matrices, ranks=[1, 2])
    left = space.without([Edit(0, "fc_in", rank=1)])
    assert len(left) == len(space) - 2
    assert (None, 0, "fc_in") not in left.by_matrix()


@given(shards=st.integers(1, 15))
def test_shards_are_the_space_and_share_no_matrix(shards: int):
    space = Space(tuple(Edit(layer, name, rank=rank) for layer in (0, 1) for name in NAMES for rank in (1, 2, 3)))
    parts = [space.shard(number, shards) for number in range(shards)]
    assert sorted(map(str, (edit for part in parts for edit in part.edits))) == sorted(map(str, space.edits))
    assert sum(len(part.by_matrix()) for part in parts) == 12
    assert max(map(len, parts)) - min(map(len, parts)) <= 3


@pytest.mark.parametrize(("number", "shards"), [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_does_not_exist_is_refused(matrices: MatrixMap, number: int, shards: int):
    with pytest.raises(InputError, match="shard"):
        Space.of(matrices).shard(number, shards)


def test_shares_are_exact_decimals():
    assert all(isinstance(rho, Decimal) for rhos in PRESETS.values() for rho in rhos)
