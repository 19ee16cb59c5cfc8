import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.errors import InputError
from laser_lit.models.layout import Layout

AXES = st.sampled_from([("out", "in"), ("in", "out"), ("expert", "out", "in"), ("expert", "in", "out")])


@st.composite
def fused(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[int, ...], int, torch.Tensor]:
    """Axes, shares, groups and a stored tensor of distinct numbers that divides into them."""
    axes, groups = draw(AXES), draw(st.integers(1, 4))
    shares = tuple(groups * share for share in draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    sizes = {
        "out": sum(shares) * draw(st.integers(1, 3)),
        "in": draw(st.integers(1, 5)),
        "expert": draw(st.integers(1, 3)),
    }
    shape = [sizes[axis] for axis in axes]
    return axes, shares, groups, torch.arange(torch.Size(shape).numel(), dtype=torch.float32).view(shape)


@given(fused())
def test_the_fused_matrices_cover_the_tensor_once(
    case: tuple[tuple[str, ...], tuple[int, ...], int, torch.Tensor],
) -> None:
    axes, shares, groups, stored = case
    layouts = [Layout(axes, shares, position, groups) for position in range(len(shares))]
    experts = range(layouts[0].experts(stored)) if layouts[0].stacked else [None]
    found = torch.cat([layout.matrix(stored, expert).flatten() for layout in layouts for expert in experts])
    assert torch.equal(found.sort().values, stored.flatten().sort().values)


@given(fused())
def test_writing_a_region_is_read_back_and_leaves_the_rest(
    case: tuple[tuple[str, ...], tuple[int, ...], int, torch.Tensor],
) -> None:
    axes, shares, groups, stored = case
    layout = Layout(axes, shares, len(shares) - 1, groups)
    expert = 0 if layout.stacked else None
    before = layout.matrix(stored, expert).clone()
    region = layout.region(stored, expert)
    region.copy_(-1 - before.reshape(region.shape))
    assert torch.equal(layout.matrix(stored, expert), -1 - before)
    assert (stored < 0).sum() == before.numel()


def test_interleaved_heads_by_hand() -> None:
    stored = torch.arange(12.0).view(12, 1)  # two heads of q q, k k, v v
    q, k, v = (Layout(shares=(2, 2, 2), position=position, groups=2).matrix(stored).flatten() for position in range(3))
    assert q.tolist() == [0, 1, 6, 7]
    assert k.tolist() == [2, 3, 8, 9]
    assert v.tolist() == [4, 5, 10, 11]


@pytest.mark.parametrize(
    ("layout", "shape", "message"),
    [
        (Layout(shares=(1, 1, 1)), (10, 2), r"10 fused rows do not divide into shares \[1, 1, 1\]"),
        (Layout(shares=(2, 1, 1), groups=2), (4, 2), "do not divide"),
        (Layout(), (3, 2, 2), r"shape \(3, 2, 2\) was described as \(out, in\)"),
        (Layout(("expert", "out", "in")), (3, 2), r"described as \(expert, out, in\)"),
        (Layout(("expert", "out", "in")), (3, 2, 2), "name the expert"),
    ],
)
def test_a_layout_that_does_not_fit_is_an_error(layout: Layout, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        layout.region(torch.zeros(shape), None)
