"""What a stack resolves to, and what it makes of a matrix listed twice."""

from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES
from torch import nn
from weight_bits import bits, differing

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache, content_hash
from laser_lit.linalg.svd import Svd, factorize
from laser_lit.models.matrices import MatrixId, find_matrices


def test_rows_say_what_would_be_done_and_nothing_is(gptj: nn.Module) -> None:
    before = bits(gptj)
    matrices = find_matrices(gptj)
    rows = Stack([Edit(-1, "fc_in", rho=0.25), Edit(0, "fc_out", kind="zero")]).resolve(gptj)
    assert differing(before, gptj) == set()
    first, second = rows
    W = matrices[MatrixId(1, "fc_in")].read()
    assert (first.layer, first.matrix, first.part, first.expert) == (1, "fc_in", None, None)
    assert first.name == "transformer.h.1.mlp.fc_in.weight"
    assert (first.shape, first.d, first.kind, first.rank, first.rho) == ((64, 16), 16, "low_rank", 4, 0.25)
    assert first.relative_error == pytest.approx(factorize(W).relative_error(4), rel=1e-5)
    assert first.content == content_hash(W)
    assert (second.kind, second.rank, second.rho, second.relative_error) == ("zero", 0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("layer", "matrix", "count"),
    [
        ("all", "all", 12),
        ("all", "mlp", 4),
        (0, "attn", 4),
        ([0, -1], ["q_proj", "fc_in"], 4),
        ("1", "U_in", 1),
        (np.int64(1), "fc_in", 1),
    ],
)
def test_groups_and_lists_expand(gptj: nn.Module, layer: object, matrix: object, count: int) -> None:
    rows = Stack([Edit(layer, matrix, rho=0.5)]).resolve(gptj)
    assert len({row.name for row in rows}) == len(rows) == count
    assert {row.rank for row in rows} == {8}


def test_without_an_expert_every_expert_is_meant() -> None:
    model = FAMILIES["mixtral"]()
    every = Stack([Edit(0, "fc_in", rank=2)]).resolve(model)
    (one,) = Stack([Edit(0, "fc_in", rank=2, expert=1)]).resolve(model)
    assert [row.expert for row in every] == list(range(len(every)))
    assert len(every) > 1
    assert every[1] == one


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(0, "fc_in", rho=0.5), Edit(0, "mlp", rho=0.25)],
        [Edit("all", "all", rho=0.5), Edit(-2, "U_in", kind="zero")],
    ],
)
def test_a_matrix_listed_twice_is_an_error(gptj: nn.Module, edits: list[Edit]) -> None:
    before = bits(gptj)
    with pytest.raises(InputError) as caught, Stack(edits).applied(gptj):
        pass
    assert "layer 0 fc_in is listed 2 times, by the edits 0 (" in str(caught.value)
    assert "combine=in_order" in str(caught.value)
    assert differing(before, gptj) == set()


def test_in_order_each_edit_acts_on_the_one_before(gptj: nn.Module, cache: FactorCache) -> None:
    W = find_matrices(gptj)[MatrixId(0, "fc_in")].read()
    edits = [Edit(0, "fc_in", rank=8), Edit(0, "fc_in", rank=3, kind="high_order")]
    rows = Stack(edits, combine="in_order", cache=cache).apply(gptj)
    factors = factorize(W)
    band = (factors.U[:, 3:8] * factors.S[3:8]) @ factors.Vh[3:8]
    torch.testing.assert_close(find_matrices(gptj)[MatrixId(0, "fc_in")].read(), band, atol=1e-4, rtol=0)
    assert [row.kind for row in rows] == ["low_rank", "high_order"]
    assert rows[0].relative_error == pytest.approx(factors.relative_error(8), rel=1e-4)
    assert rows[1].relative_error == pytest.approx(float((W - band).norm() / W.norm()), rel=1e-4)
    assert rows[0].content == rows[1].content == content_hash(W)


def test_the_last_replaces_the_others(gptj: nn.Module) -> None:
    edits = [Edit("all", "mlp", rank=8), Edit(0, "attn", rank=2), Edit(1, "fc_in", kind="zero")]
    rows = Stack(edits, combine="last").resolve(gptj)
    assert len(rows) == 8
    assert {row.kind for row in rows if (row.layer, row.matrix) == (1, "fc_in")} == {"zero"}


def test_the_order_of_edits_of_different_matrices_does_not_matter(gptj: nn.Module) -> None:
    edits = [Edit(0, "fc_in", rank=2), Edit(1, "fc_out", rho=0.5, kind="prune"), Edit(1, "q_proj", kind="zero")]
    with Stack(edits).applied(gptj) as rows:
        there = bits(gptj)
    with Stack(edits[::-1]).applied(gptj) as reversed_rows:
        assert differing(there, gptj) == set()
    assert set(rows) == set(reversed_rows)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Edit(99, "fc_in", rho=0.5), "layer 99: gptj has layers 0 to 1"),
        (Edit(0, "fc_on", rho=0.5), "nearest: "),
        (Edit(0, "fc_in", rank=17), "rank 17 for layer 0 fc_in: must lie in 1 … 16"),
        (Edit(0, "fc_in", rho=0.01), "rho 0.01 for layer 0 fc_in: keeps 0 of 16; the smallest valid rho is 0.0625 "),
        (Edit(0, "fc_in", rho=0.5, expert=1), "expert 1"),
        (Edit(0, "fc_in", rho=0.5, part="decoder"), "decoder"),
    ],
)
def test_edits_that_the_model_cannot_have(gptj: nn.Module, edit: Edit, says: str) -> None:
    before = bits(gptj)
    good = Edit(1, "fc_out", rho=0.5)
    for act in (Stack([good, edit]).resolve, Stack([good, edit]).apply):
        with pytest.raises(InputError) as caught:
            act(gptj)
        assert says in str(caught.value)
        assert differing(before, gptj) == set()


@pytest.mark.parametrize("kind", ["low_rank", "high_order", "prune", "zero"])
def test_weights_that_are_no_numbers_are_refused_by_name(gptj: nn.Module, kind: str) -> None:
    with torch.no_grad():
        gptj.transformer.h[1].mlp.fc_in.weight[3, 4] = float("nan")
    amount = {} if kind == "zero" else {"rho": 0.5}
    with pytest.raises(InputError, match=r"^layer 1 fc_in \(transformer.h.1.mlp.fc_in.weight\) has 1 NaN or infinite"):
        Stack([Edit("all", "fc_in", kind=kind, **amount)]).resolve(gptj)


def test_a_result_that_the_type_cannot_hold_is_refused(gptj: nn.Module) -> None:
    weight = gptj.half().transformer.h[0].attn.q_proj.weight
    with torch.no_grad():  # its top component has 1.17 times the last entry
        weight.zero_()[:2, :2] = torch.tensor([[0.0, 60000.0], [60000.0, 60000.0]])
    before = bits(gptj)
    with pytest.raises(InputError, match=r"layer 0 q_proj: the edited matrix overflows torch.float16"):
        Stack([Edit(0, "q_proj", rank=1)]).apply(gptj)
    assert differing(before, gptj) == set()


def test_factors_are_kept_where_the_environment_says(
    gptj: nn.Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path))
    for rank in (1, 2, 3):
        Stack([Edit(0, "fc_in", rank=rank)]).resolve(gptj)
    assert len(list((tmp_path / "factors").iterdir())) == 1


@pytest.mark.parametrize("svd", ["exact", {"method": "exact"}, Svd("exact")])
def test_ways_to_say_how_to_factorize(svd: object) -> None:
    assert Stack([], svd=svd).svd == Svd("exact")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"combine": "inorder"}, "nearest: in_order"),
        ({"svd": "exakt"}, "nearest: exact"),
        ({"svd": {"methd": "exact"}}, "nearest: method"),
        ({"svd": {"seed": "a"}}, "svd seed 'a'"),
        ({"svd": 3}, "svd 3"),
    ],
)
def test_wrong_options(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Stack([], **arguments)
