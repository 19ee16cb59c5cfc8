"""Applied and taken back: bit for bit, in any type, whatever happens meanwhile."""

from collections.abc import Callable

import pytest
import torch
from families import FAMILIES, inputs_of, output_of
from torch import Tensor, nn
from weight_bits import bits, differing

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixHandle, MatrixId, find_matrices

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
EVERY_KIND = Stack(
    [
        Edit(0, "fc_in", rho=0.25),
        Edit(0, "fc_out", rank=3, kind="high_order"),
        Edit(1, "mlp", rho=0.5, kind="prune"),
        Edit(0, "k_proj", kind="zero"),
        Edit(1, "v_proj", rule="energy:0.5"),
    ]
)


def with_odd_bits(model: nn.Module) -> nn.Module:
    """Puts NaN payloads, infinities, negative zeros and subnormals where no edit of EVERY_KIND is."""
    odd = [0x7FC1, 0xFFC3, 0x7F81, 0x7F80, 0x8000, 0x0001] if model.dtype == torch.bfloat16 else []
    odd = [0x7E01, 0xFE03, 0x7C01, 0x7C00, 0x8000, 0x0001] if model.dtype == torch.float16 else odd
    with torch.no_grad():
        for layer in find_matrices(model).select(0, ["out_proj"]) + find_matrices(model).select(1, ["q_proj"]):
            handle = find_matrices(model)[layer]
            W = handle.read()
            if odd:
                W.view(-1)[: len(odd)] = torch.tensor(odd, dtype=torch.int32).to(torch.int16).view(model.dtype)
            else:
                words = torch.tensor([0x7FC00001, -0x3FFFFF, 0x7F800001, 0x7F800000, -(2**31), 1], dtype=torch.int32)
                W.view(-1)[:6] = words.view(torch.float32)
            handle.write(W)
    return model


@pytest.fixture(params=["gptj", "gpt2", "mixtral", "bloom", "llama"])
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_come_back_bit_for_bit(family: str, dtype: torch.dtype) -> None:
    model = with_odd_bits(FAMILIES[family]().to(dtype))
    before = bits(model)
    with EVERY_KIND.applied(model) as rows:
        assert differing(before, model) == {row.name for row in rows}
    assert differing(before, model) == set()


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("exception", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_weights_come_back_after_exceptions(gptj: nn.Module, exception: type[BaseException], offload: bool) -> None:
    before = bits(gptj)
    inside = []
    with pytest.raises(exception), EVERY_KIND.applied(gptj, offload=offload):  # noqa: PT012
        inside.append(differing(before, gptj))
        raise exception
    assert inside != [set()]
    assert differing(before, gptj) == set()


def test_other_parts_of_a_fused_tensor_stay_as_they_are() -> None:
    model = FAMILIES["gpt2"]()
    matrices = find_matrices(model)
    others = {id: handle.read() for id, handle in matrices.items() if id != MatrixId(0, "k_proj")}
    with Stack([Edit(0, "k_proj", rank=1)]).applied(model):
        assert all(torch.equal(matrices[id].read(), W) for id, W in others.items())
        assert torch.linalg.matrix_rank(matrices[MatrixId(0, "k_proj")].read(), rtol=1e-4) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kind", "amount"), [("low_rank", {"rho": 1}), ("low_rank", {"rank": 16}), ("prune", {"rho": 1})]
)
def test_keeping_everything_changes_no_bit(
    gptj: nn.Module, dtype: torch.dtype, kind: str, amount: dict[str, int]
) -> None:
    before = bits(gptj.to(dtype))
    rows = Stack([Edit("all", "all", kind=kind, **amount)]).apply(gptj)
    assert differing(before, gptj) == set()
    assert {row.relative_error for row in rows} == {0.0}


def test_tied_matrices_change_together_and_come_back_once(gptj: nn.Module) -> None:
    gptj.transformer.h[1].mlp.fc_in.weight = gptj.transformer.h[0].mlp.fc_in.weight
    before = bits(gptj)
    tied = {f"transformer.h.{layer}.mlp.fc_in.weight" for layer in (0, 1)}
    with Stack([Edit("all", "fc_in", rank=2)]).applied(gptj) as rows:
        assert len(rows) == 1
        assert differing(before, gptj) == tied
        assert gptj.transformer.h[1].mlp.fc_in.weight is gptj.transformer.h[0].mlp.fc_in.weight
    assert differing(before, gptj) == set()
    with pytest.raises(InputError, match="listed 2 times"):
        Stack([Edit(0, "fc_in", rank=2), Edit(1, "fc_in", rank=2)]).resolve(gptj)


def test_contexts_nest(gptj: nn.Module) -> None:
    before = bits(gptj)
    with Stack([Edit(0, "fc_in", rank=4)]).applied(gptj):
        between = bits(gptj)
        with Stack([Edit(0, "mlp", kind="zero")]).applied(gptj) as rows:
            assert rows[0].relative_error == 1.0
        assert differing(between, gptj) == set()
    assert differing(before, gptj) == set()


def test_applied_again_is_the_same(gptj: nn.Module) -> None:
    matrices = find_matrices(gptj)
    seen = []
    for _ in range(2):
        with EVERY_KIND.applied(matrices) as rows:
            seen.append((rows, bits(gptj), output_of(gptj)))
    assert seen[0][0] == seen[1][0]
    assert differing(seen[0][1], gptj) == differing(seen[1][1], gptj) != set()
    assert torch.equal(seen[0][2], seen[1][2])


def test_apply_is_for_keeps_and_equals_applied(gptj: nn.Module) -> None:
    before = bits(gptj)
    with EVERY_KIND.applied(gptj) as rows:
        inside = bits(gptj)
    assert EVERY_KIND.apply(gptj) == rows
    assert differing(inside, gptj) == set()
    assert differing(before, gptj) == {row.name for row in rows}


def test_no_edits_change_nothing(gptj: nn.Module) -> None:
    before = bits(gptj)
    with Stack([]).applied(gptj) as rows:
        assert rows == []
        assert differing(before, gptj) == set()


@pytest.fixture
def failing_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third write is interrupted half way."""
    write, calls = MatrixHandle.write, []

    def interrupted(handle: MatrixHandle, W: Tensor) -> None:
        calls.append(handle)
        if len(calls) == 3:
            write(handle, torch.full_like(W, 7))
            raise KeyboardInterrupt
        write(handle, W)

    monkeypatch.setattr(MatrixHandle, "write", interrupted)


@pytest.mark.usefixtures("failing_write")
@pytest.mark.parametrize("act", [EVERY_KIND.apply, lambda model: EVERY_KIND.applied(model).__enter__()])
def test_an_interrupt_between_writes_leaves_the_model_as_it_was(
    gptj: nn.Module, act: Callable[[nn.Module], object]
) -> None:
    before = bits(gptj)
    with pytest.raises(KeyboardInterrupt):
        act(gptj)
    assert differing(before, gptj) == set()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_whatever_interrupts_the_way_back_the_others_come_back(
    gptj: nn.Module, monkeypatch: pytest.MonkeyPatch, exception: type[BaseException]
) -> None:
    before = bits(gptj)
    restore, failed = MatrixHandle.restore, []

    def interrupted(handle: MatrixHandle, snapshot: Tensor) -> None:
        if not failed:
            failed.append(handle.name)
            raise exception
        restore(handle, snapshot)

    monkeypatch.setattr(MatrixHandle, "restore", interrupted)
    with pytest.raises(exception), EVERY_KIND.applied(gptj):
        pass
    assert differing(before, gptj) == (set(failed) if exception is RuntimeError else set())


def test_only_the_edited_matrices_are_put_aside(gptj: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[MatrixHandle] = []
    save = MatrixHandle.save
    monkeypatch.setattr(MatrixHandle, "save", lambda handle, device=None: saved.append(handle) or save(handle, device))
    with Stack([Edit(0, "fc_in", rank=2), Edit(1, "attn", rank=2)]).applied(gptj) as rows:
        assert len(saved) == len(rows) == 5


def test_inference_mode_does_not_matter(gptj: nn.Module) -> None:
    before = bits(gptj)
    stack = Stack([Edit(0, "fc_in", rank=2)])
    with torch.inference_mode(), stack.applied(gptj):
        inside = bits(gptj)
    with stack.applied(gptj):
        assert differing(inside, gptj) == set()
        gptj(**inputs_of(gptj)).logits.sum().backward()
    assert differing(before, gptj) == set()


def test_a_model_cast_meanwhile_is_told() -> None:
    model = FAMILIES["gptj"]()
    with pytest.raises(InputError, match="bits would be lost"), Stack([Edit(0, "fc_in", rank=2)]).applied(model):
        model.half()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_on_cuda(dtype: torch.dtype, offload: bool) -> None:
    model = with_odd_bits(FAMILIES["gpt2"]().to(dtype)).to("cuda")
    before = bits(model)
    with EVERY_KIND.applied(model, offload=offload) as rows:
        assert differing(before, model) == {row.name for row in rows}
        assert bool(torch.isfinite(find_matrices(model)[MatrixId(0, "fc_in")].read()).all())
    assert differing(before, model) == set()
