"""Rank rules among the amounts of a search."""

import pytest
import torch
from families import FAMILIES

from laser_lit.errors import InputError
from laser_lit.linalg.rules import rule_named
from laser_lit.linalg.spectrum import singular_values
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.search.amounts import Amounts
from laser_lit.search.space import Space, describe


@pytest.fixture(scope="module")
def matrices() -> MatrixMap:
    return find_matrices(FAMILIES["gptj"]())


def ranks_of(matrices: MatrixMap, *rules: str) -> dict[tuple[int, str], list[int]]:
    found: dict[tuple[int, str], list[int]] = {}
    for edit in Space.of(matrices, rules=rules).edits:
        found.setdefault((int(str(edit.layer)), str(edit.matrix)), []).append(edit.rank or 0)
    return found


def test_each_matrix_has_the_ranks_of_the_rules_ascending_and_each_once(matrices: MatrixMap):
    rules = ("energy:0.9", "energy:0.5", "entropy", "energy:.5")
    found = ranks_of(matrices, *rules)
    assert len(found) == len(matrices)
    for id in matrices:
        S, shape = singular_values(matrices[id].read()), matrices[id].shape
        ranks = {rule_named(rule)(S, shape) for rule in rules}
        assert found[id.layer, id.matrix] == sorted(rank for rank in ranks if rank < len(S))


def test_a_rule_that_keeps_nothing_is_clamped_and_one_that_keeps_all_left_out():
    matrices = find_matrices(FAMILIES["gptj"]())
    first, second = matrices.select(0, ["q_proj", "k_proj"])
    matrices[first].write(torch.zeros(matrices[first].shape))
    matrices[second].write(torch.eye(16))
    space = Space.of(matrices, 0, ["q_proj", "k_proj"], rules=["energy:0.9", "laser_rmt"])
    assert [describe((edit,)) for edit in space.edits] == ["layer 0 q_proj rank 1", "layer 0 k_proj rank 15"]


def test_every_kind_takes_the_ranks(matrices: MatrixMap):
    kinds = ("low_rank", "high_order", "zero")
    space = Space.of(matrices, 0, "fc_in", kinds=kinds, rules=["energy:0.5"])
    assert [edit.kind for edit in space.edits] == [*kinds]
    assert space.edits[0].rank == space.edits[1].rank
    assert space.edits[2].rank is None


def test_rules_count_instead_of_shares(matrices: MatrixMap):
    assert Amounts.of("code", None, ["entropy"]) == Amounts("search.rule=entropy", rules=("entropy",))
    assert Amounts.of("code").rules == ()


@pytest.mark.parametrize(("rule", "words"), [("entropie", "nearest: entropy"), ("entropy:0.5", "only energy")])
def test_a_rule_that_there_is_not(matrices: MatrixMap, rule: str, words: str):
    with pytest.raises(InputError, match=words):
        Space.of(matrices, rules=[rule])


def test_rules_that_keep_everything_leave_no_candidates():
    matrices = find_matrices(FAMILIES["gptj"]())
    (id,) = matrices.select(0, "q_proj")
    matrices[id].write(torch.eye(16))
    with pytest.raises(InputError, match=r"search\.rule=energy:1 leaves no candidates"):
        Space.of(matrices, 0, "q_proj", rules=["energy:1"])
