"""What the map calls q, k, v, gate and up is what each family's own forward pass uses as such."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from families import inputs_of
from torch import Tensor, nn

from laser_lit.models.matrices import MatrixHandle, MatrixId, MatrixMap, find_matrices

TOKEN = 2
HEADS = 4
MASKS = {
    None: "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}


def rows_of(handle: MatrixHandle) -> Tensor:
    """Returns for each row of the matrix the output of its module that it makes."""
    axis = handle.layout.axes.index("out")
    index = (
        torch.arange(handle.parameter.shape[axis]).view(-1, 1)
        if axis == 0
        else torch.arange(handle.parameter.shape[axis])
    )
    return handle.layout.matrix(index.expand(handle.parameter.shape))[:, 0]


def module_of(model: nn.Module, handle: MatrixHandle) -> nn.Module:
    return model.get_submodule(handle.name.removesuffix(".weight"))


@contextmanager
def changed(model: nn.Module, handle: MatrixHandle, rows: Tensor, length: int, token: int | None) -> Iterator[None]:
    """Adds to the given outputs of the matrix's module, at one token or (None) all."""

    def change(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        if output.shape[1] != length:  # DeBERTa sends relative positions through the same module
            return output
        output = output.clone()
        at = slice(None) if token is None else slice(token, token + 1)
        output[:, at, rows] += torch.linspace(1, 2, len(rows))
        return output

    hook = module_of(model, handle).register_forward_hook(change)
    try:
        yield
    finally:
        hook.remove()


@torch.no_grad()
def attention_and_context(model: nn.Module, matrices: MatrixMap, part: str | None) -> tuple[Tensor, Tensor]:
    """Returns the first layer's attention (batch, head, query, key) and the input of its out_proj."""
    seen: list[Tensor] = []
    out = module_of(model, matrices[MatrixId(0, "out_proj", part)])
    hook = out.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        attention = model(**inputs_of(model), output_attentions=True)[MASKS[part]][0]
    finally:
        hook.remove()
    return attention, seen[0]


def differs(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs() > 1e-6


def test_every_matrix_takes_in_to_out(model: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for id, handle in find_matrices(model).items():
        if id.expert is not None:
            continue  # no modules of their own; the battery compares them with the single matrices on disk
        module, rows = module_of(model, handle), rows_of(handle)
        x = torch.randn(3, handle.shape[1], generator=generator)
        bias = getattr(module, "bias", None)
        with torch.no_grad():
            expected = module(x)[:, rows] - (0 if bias is None else bias[rows])
        torch.testing.assert_close(
            x @ handle.read().T, expected, atol=1e-5, rtol=0, msg=lambda text, id=id: f"{id} {text}"
        )


def test_q_k_and_v_act_as_query_key_and_value(model: nn.Module) -> None:
    matrices = find_matrices(model)
    for part in matrices.layers:
        attention, context = attention_and_context(model, matrices, part)
        queries, keys = attention.shape[2:]
        for matrix, length in (("q_proj", queries), ("k_proj", keys), ("v_proj", keys)):
            handle = matrices[MatrixId(0, matrix, part)]
            with changed(model, handle, rows_of(handle), length, TOKEN):
                other_attention, other_context = attention_and_context(model, matrices, part)
            moved = differs(attention, other_attention).any(dim=3).any(dim=1).any(dim=0)  # (query)
            if matrix == "q_proj":
                assert moved.nonzero().flatten().tolist() == [TOKEN]
            elif matrix == "k_proj":
                assert moved[TOKEN + 1 :].all()
            else:
                assert not moved.any()
                assert differs(context, other_context).any()


def test_rows_follow_the_heads(model: nn.Module, family: str) -> None:
    if family == "olmo2":
        pytest.skip("OLMo 2 normalizes q and k over all heads at once")
    matrices = find_matrices(model)
    for part in matrices.layers:
        attention, context = attention_and_context(model, matrices, part)
        head_width = context.shape[-1] // HEADS
        queries, keys = attention.shape[2:]
        for matrix, length in (("q_proj", queries), ("k_proj", keys)):
            handle = matrices[MatrixId(0, matrix, part)]
            per_group = HEADS // (handle.shape[0] // head_width)
            for head, rows in enumerate(rows_of(handle).split(head_width)):
                with changed(model, handle, rows, length, TOKEN):
                    other, _ = attention_and_context(model, matrices, part)
                moved = differs(attention, other).any(dim=3).any(dim=2).any(dim=0)  # (head)
                assert moved.nonzero().flatten().tolist() == list(range(head * per_group, (head + 1) * per_group))


def test_each_row_of_v_makes_its_own_features(model: nn.Module) -> None:
    matrices = find_matrices(model)
    for part in matrices.layers:
        attention, context = attention_and_context(model, matrices, part)
        head_width = context.shape[-1] // HEADS
        handle = matrices[MatrixId(0, "v_proj", part)]
        per_group = HEADS // (handle.shape[0] // head_width)
        for row, output in enumerate(rows_of(handle)):
            with changed(model, handle, output.view(1), attention.shape[3], None):
                _, other = attention_and_context(model, matrices, part)
            features = differs(context, other).flatten(0, -2).any(dim=0).nonzero().flatten().tolist()
            head, feature = divmod(row, head_width)
            assert features == [(head * per_group + i) * head_width + feature for i in range(per_group)]


def test_a_zero_v_leaves_no_context(model: nn.Module) -> None:
    matrices = find_matrices(model)
    for part in matrices.layers:
        handle = matrices[MatrixId(0, "v_proj", part)]
        bias = getattr(module_of(model, handle), "bias", None)
        handle.write(torch.zeros(handle.shape))
        if bias is not None:
            with torch.no_grad():
                bias[rows_of(handle)] = 0
        _, context = attention_and_context(model, matrices, part)
        assert context.abs().max() == 0


@pytest.mark.parametrize("family", ["llama", "phi3", "gemma2", "cohere", "t5_gated"])
def test_fc_up_is_linear_and_fc_in_is_the_gate(model: nn.Module) -> None:
    matrices = find_matrices(model)
    part = next(iter(matrices.layers))
    seen: list[Tensor] = []
    module_of(model, matrices[MatrixId(0, "fc_out", part)]).register_forward_pre_hook(
        lambda m, args: seen.append(args[0])
    )
    with torch.no_grad():
        model(**inputs_of(model))
        for matrix in ("fc_up", "fc_in"):
            handle = matrices[MatrixId(0, matrix, part)]
            snapshot = handle.save()
            handle.write(2 * handle.read())
            model(**inputs_of(model))
            handle.restore(snapshot)
    base, up, gate = seen
    torch.testing.assert_close(up, 2 * base)
    assert differs(gate, 2 * base).any()


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
def test_fc_up_of_all_experts_is_linear_and_fc_in_is_the_gate(model: nn.Module) -> None:
    matrices = find_matrices(model)
    block = model.get_submodule("model.layers.1.mlp")
    hidden = torch.randn(1, 6, 16, generator=torch.Generator().manual_seed(1))
    outputs = {}
    with torch.no_grad():
        base = block(hidden)
        for matrix in ("fc_up", "fc_in"):
            snapshots = {id: matrices[id].save() for id in matrices.select(1, matrix)}
            for id in snapshots:
                matrices[id].write(2 * matrices[id].read())
            outputs[matrix] = block(hidden)
            for id, snapshot in snapshots.items():
                matrices[id].restore(snapshot)
    torch.testing.assert_close(outputs["fc_up"], 2 * base)
    assert differs(outputs["fc_in"], 2 * base).any()
