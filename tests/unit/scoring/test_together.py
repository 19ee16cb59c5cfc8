"""Several values of one matrix in one pass: which matrix it is, the batch several times over, and the products."""

from dataclasses import fields

import pytest
import torch
from families import FAMILIES
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.linalg.svd import Svd
from laser_lit.models.matrices import MatrixId, find_matrices
from laser_lit.scoring.batches import collate
from laser_lit.scoring.request import Request
from laser_lit.scoring.together import copied, module_of, multiplied, only_difference

HELD = Edit(0, "fc_out", rank=2)


def difference(*stacks: Stack) -> MatrixId | None:
    found = only_difference(stacks, find_matrices(FAMILIES["gptj"]()))
    return None if found is None else found.id


def test_one_matrix_that_differs_is_found_beside_others_that_do_not() -> None:
    ranks = [Stack([HELD, Edit(1, "fc_in", rank=rank)]) for rank in (1, 1, 3)]
    assert difference(*ranks) == MatrixId(1, "fc_in")
    kinds = [Stack([Edit(1, "fc_in", rank=2, kind=kind)]) for kind in ("low_rank", "high_order")]
    assert difference(*kinds) == MatrixId(1, "fc_in")
    assert difference(Stack([Edit(0, "q_proj", rank=1)]), Stack([Edit(0, "q_proj", rho=0.5)])) == MatrixId(0, "q_proj")


@pytest.mark.parametrize(
    "stacks",
    [
        [Stack([HELD]), Stack([HELD])],
        [Stack([HELD]), Stack([HELD, Edit(1, "fc_in", rank=1)])],
        [Stack([Edit(1, "fc_in", rank=1)]), Stack([Edit(1, "fc_out", rank=1)])],
        [Stack([Edit(layer, "fc_in", rank=rank) for layer in (0, 1)]) for rank in (1, 2)],
        [Stack([Edit(1, "fc_in", rank=rank)], None, Svd(seed=rank)) for rank in (1, 2)],
    ],
    ids=["none", "one more", "another", "two", "computed otherwise"],
)
def test_what_differs_in_no_matrix_or_in_more_is_not_one(stacks: list[Stack]) -> None:
    assert difference(*stacks) is None


@pytest.mark.parametrize(
    ("family", "matrix", "kind"),
    [
        ("gptj", "fc_in", nn.Linear),
        ("gpt2", "fc_in", Conv1D),
        *(
            ("gpt2", "q_proj", None),
            ("phi3", "fc_in", None),
            ("mixtral", "fc_in", None),
        ),
    ],
)
def test_a_module_multiplies_alone_unless_its_weight_is_fused_or_stacked(family, matrix, kind) -> None:
    model = FAMILIES[family]()
    matrices = find_matrices(model)
    handle = matrices[matrices.select(1, matrix)[0]]
    module = module_of(model, matrices, handle)
    assert type(module) is (kind or type(None))
    if module is not None:
        assert module.weight is handle.parameter


def test_a_module_whose_weight_another_has_too_does_not_multiply_alone() -> None:
    model = FAMILIES["gptj"]()
    model.transformer.h[1].mlp.fc_in.weight = model.transformer.h[0].mlp.fc_in.weight
    matrices = find_matrices(model)
    assert module_of(model, matrices, matrices[MatrixId(0, "fc_in")]) is None
    assert module_of(model, matrices, matrices[MatrixId(0, "fc_out")]) is not None


requests = st.lists(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(1, 9), min_size=n, max_size=n), st.lists(st.integers(0, n - 1), min_size=1, max_size=3)
        )
    ),
    min_size=1,
    max_size=4,
)


@given(requests, st.integers(1, 3), st.sampled_from(["left", "right"]))
def test_a_copied_batch_is_that_of_the_requests_as_often(made, copies, side) -> None:
    listed = [
        Request(index=row, role="window", group="g", tokens=tuple(tokens), reads=tuple(reads), targets=tuple(reads))
        for row, (tokens, reads) in enumerate(made)
    ]
    batch = copied(collate(listed, range(len(listed)), 0, side), copies)
    expected = collate(listed * copies, [*range(len(listed))] * copies, 0, side)
    for entry in fields(batch):
        found, wanted = getattr(batch, entry.name), getattr(expected, entry.name)
        assert torch.equal(found, wanted) if isinstance(found, Tensor) else found == wanted, entry.name


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(6, 4, 5), (24, 5)])
def test_each_share_is_multiplied_by_its_own_matrix(bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    module = nn.Linear(5, 7, bias=bias)
    weights, x = torch.randn(3, 7, 5), torch.randn(shape)
    with torch.no_grad(), multiplied(module, weights):
        found = module(x)
    expected = [nn.functional.linear(part, W, module.bias) for part, W in zip(x.chunk(3), weights, strict=True)]
    torch.testing.assert_close(found, torch.cat(expected))
    torch.testing.assert_close(module(x), nn.functional.linear(x, module.weight, module.bias))


def test_a_forward_that_was_there_comes_back_also_after_an_exception() -> None:
    def fail(module: nn.Module) -> None:
        with multiplied(module, torch.zeros(1, 2, 2)):
            raise ZeroDivisionError

    plain, replaced = nn.Linear(2, 2), nn.Linear(2, 2)
    own = replaced.forward = lambda x: x  # type: ignore[method-assign,assignment]
    for module in (plain, replaced):
        with pytest.raises(ZeroDivisionError):
            fail(module)
    assert "forward" not in plain.__dict__
    assert replaced.forward is own
