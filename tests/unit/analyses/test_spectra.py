"""The singular values of the edited matrices: those of the matrices, and nothing is factorized for them."""

import json
from dataclasses import asdict

import pytest
import torch
from families import FAMILIES

from laser_lit.analyses import spectra as module
from laser_lit.analyses.spectra import spectra
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.linalg import cache as caches
from laser_lit.linalg.cache import FactorCache
from laser_lit.linalg.noise import mp_median
from laser_lit.linalg.rules import effective_rank
from laser_lit.models.matrices import MatrixId, find_matrices
from laser_lit.results.record import jsonable
from laser_lit.results.spectra import Spectra


@pytest.fixture(scope="module")
def matrices():
    return find_matrices(FAMILIES["gptj"]())


def found(stack, matrices, monkeypatch):
    """Returns the spectra of a stack that has been resolved; whatever would factorize a matrix then fails."""
    rows = stack.resolve(matrices)
    monkeypatch.setattr(caches, "factorize", None)
    return spectra(stack, rows, matrices)


def test_it_is_the_spectrum_of_the_matrix(matrices, monkeypatch):
    (spectrum,) = found(Stack([Edit(1, "fc_in", rank=3)]), matrices, monkeypatch).shown
    W = matrices[MatrixId(1, "fc_in")].read()
    S = torch.linalg.svdvals(W.double())
    torch.testing.assert_close(torch.tensor(spectrum.values).double(), S, rtol=1e-5, atol=1e-6)
    assert spectrum.components == tuple(range(1, len(S) + 1))
    assert spectrum.energy == pytest.approx(float(S[:3].square().sum() / S.square().sum()))
    assert spectrum.effective_rank == pytest.approx(effective_rank(S), rel=1e-5)
    cut = mp_median(S, tuple(W.shape))
    assert (spectrum.edge, spectrum.above) == (pytest.approx(cut.threshold, rel=1e-5), cut.rank)


def test_what_an_edit_keeps_is_what_its_error_leaves(matrices, monkeypatch):
    blocks = Edit(1, "fc_out", rank=2, decomposition="blocks", blocks=2)
    stack = Stack([Edit(0, "fc_in", rank=3), Edit(1, "fc_in", rank=3, kind="high_order"), blocks])
    rows = stack.resolve(matrices)
    shown = found(stack, matrices, monkeypatch).shown
    assert [spectrum.edit for spectrum in shown] == [0, 1, 2]
    for spectrum in shown:
        assert spectrum.energy == pytest.approx(1 - rows[spectrum.edit].relative_error ** 2, abs=1e-5)
    assert (shown[2].edge, shown[2].above) == (None, None)  # of blocks, not of the matrix


def test_what_has_no_factors_at_hand_is_left_out(matrices, monkeypatch, tmp_path):
    twice = [Edit(0, "fc_out", rank=3), Edit(0, "fc_out", rank=2)]
    others = [Edit(0, "fc_in", rank=16), Edit(1, "q_proj", kind="zero")]
    stack = Stack([*others, *twice, Edit(1, "fc_in", rank=2)], "in_order")
    result = found(stack, matrices, monkeypatch)
    assert [spectrum.edit for spectrum in result.shown] == [4]
    assert result.left_out == 3  # at full rank, and edited twice; what is zeroed keeps no rank
    kept_nowhere = Stack([Edit(1, "fc_in", rank=2)], cache=FactorCache(tmp_path, max_bytes=0, max_memory_bytes=0))
    monkeypatch.undo()
    assert found(kept_nowhere, matrices, monkeypatch) is None
    monkeypatch.undo()
    assert found(Stack([Edit(1, "fc_in", kind="zero")]), matrices, monkeypatch) is None


def test_few_matrices_and_few_points(matrices, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    monkeypatch.setattr(module, "POINTS", 8)
    result = found(Stack([Edit("all", "mlp", rank=11)]), matrices, monkeypatch)
    assert (len(result.shown), result.left_out) == (2, 2)
    components = result.shown[0].components
    assert components[:2] == (1, 2)
    assert {11, 12, 16} <= set(components)
    assert len(components) < 16


def test_it_comes_back_from_json(matrices, monkeypatch):
    result = found(Stack([Edit("all", "fc_in", rank=3)]), matrices, monkeypatch)
    content = json.loads(json.dumps(jsonable(asdict(result))))
    assert Spectra.of(content) == result
