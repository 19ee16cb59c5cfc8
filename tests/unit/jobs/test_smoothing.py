"""WeightWatcher's SVDSmoothing as edits."""

import pytest
import torch
from families import FAMILIES

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.laser import configured_stack
from laser_lit.jobs.smoothing import smoothed
from laser_lit.linalg.rules import detx
from laser_lit.linalg.spectrum import singular_values
from laser_lit.models.matrices import find_matrices


@pytest.fixture
def configured(composed):
    return lambda *typed: configured_stack(composed("model=gptj", "laser=svd_smoothing", *typed))


@pytest.mark.parametrize(
    ("typed", "edit"),
    [
        ([], Edit("all", "all", rule="detx")),
        (["laser.method=alpha_min", "laser.layer=-2"], Edit(-2, "all", rule="xmin")),
        (["laser.method=rmt", "laser.matrix=[fc_in,fc_out]"], Edit("all", ("fc_in", "fc_out"), rule="ww_rmt")),
        (["laser.method=auto"], Edit("all", "all", rule="ww_auto")),
        (["laser.method=svd"], Edit("all", "all", rho="0.8")),
        (["laser.method=svd", "laser.percent=0.29", "laser.layer=[0,1]"], Edit((0, 1), "all", rho="0.29")),
        (["laser.method=svd", "laser.percent=-0.2"], Edit("all", "all", rho="0.2", kind="high_order")),
    ],
)
def test_a_method_is_one_edit(configured, typed, edit):
    found = configured(*typed)
    (made,) = found.stack.edits
    assert (made.rho if made.rho is None else float(made.rho)) == (None if edit.rho is None else float(edit.rho))
    assert (made.layer, made.matrix, made.rule, made.kind) == (edit.layer, edit.matrix, edit.rule, edit.kind)
    assert "SVDSmoothing" in found.provenance
    assert found.smooths == (edit.rule is not None)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["laser.method=detx"], "unknown laser.method 'detx'; nearest: detX"),
        (["laser.method=pca"], "allowed: detX, alpha_min, rmt, auto, svd"),
        (["laser.percent=0.5"], r"laser.percent=0.5 counts for laser.method=svd alone"),
        (["laser.method=svd", "laser.percent=80"], r"laser.percent=80: must be a share in \(-1, 1\] that is not 0"),
        (["laser.method=svd", "laser.percent=1.01"], "must be a share"),
        (["laser.method=svd", "laser.percent=0"], "laser.percent=0: must be a share"),
        (["laser.method=svd", "laser.percent=-1"], "laser.percent=-1: must be a share"),
        (["laser.method=svd", "laser.percent=nan"], "must be a share"),
        (["laser.method=svd", "laser.percent=half"], "must be a share"),
        (["laser.rho=0.5"], "laser.rho=0.5 would count for nothing"),
    ],
)
def test_what_cannot_be_meant(configured, typed, words):
    with pytest.raises(InputError, match=words):
        configured(*typed)


def test_the_fields_of_smoothing_count_nowhere_else(composed):
    with pytest.raises(InputError, match=r"laser.method=svd would count for nothing.* laser=svd_smoothing"):
        configured_stack(composed("model=gptj", "laser=single", "laser.method=svd"))


def test_the_rule_becomes_ranks_and_a_matrix_without_any_stays_and_is_named(configured):
    matrices = find_matrices(FAMILIES["gptj"]())
    (zero,) = matrices.select(1, "k_proj")
    matrices[zero].write(torch.zeros(matrices[zero].shape))
    found = configured().on(matrices)
    ranks = {(edit.layer, edit.matrix): edit.rank for edit in found.stack.edits}
    assert ranks == {
        (id.layer, id.matrix): detx(singular_values(handle.read()), handle.shape)
        for id, handle in matrices.items()
        if id != zero
    }
    assert found.notes == ("left as they are, since rule detx finds nothing to keep in them: layer 1 k_proj",)
    assert found.on(matrices) is found
    with pytest.raises(InputError, match=r"keeps nothing of any matrix named, as of layer 1 k_proj"):
        configured("laser.layer=1", "laser.matrix=k_proj").on(matrices)


def test_each_expert_has_its_own_rank():
    matrices = find_matrices(FAMILIES["mixtral"]())
    stack, notes = smoothed(Stack([Edit(0, "fc_in", rule="detx")]), matrices)
    assert [edit.expert for edit in stack.edits] == [0, 1, 2]
    assert notes == ()
    assert [row.rank for row in stack.resolve(matrices)] == [edit.rank for edit in stack.edits]


def test_the_share_from_the_top_is_what_weightwatcher_takes(configured):
    matrices = find_matrices(FAMILIES["gptj"]())
    found = configured("laser.method=svd", "laser.percent=-0.2", "laser.layer=0", "laser.matrix=fc_in").on(matrices)
    (row,) = found.stack.resolve(matrices)
    assert (row.kind, row.rank) == ("high_order", 3)  # of 16
