import numpy as np
import pytest
import torch
from families import FAMILIES
from torch import nn

from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixId, MatrixMap, find_matrices


@pytest.fixture(scope="module")
def maps() -> dict[str, MatrixMap]:
    names = ("gptj", "gpt2", "llama", "bert", "mixtral", "qwen3_moe", "t5", "t5_gated")
    return {name: find_matrices(FAMILIES[name]()) for name in names}


def test_a_map_is_a_mapping(maps: dict[str, MatrixMap]) -> None:
    matrices, absent = maps["gptj"], MatrixId(9, "fc_in")
    assert absent not in matrices
    assert matrices.get(absent) is None
    with pytest.raises(KeyError) as caught:
        matrices[absent]
    assert str(caught.value) == "gptj has no layer 9 fc_in"
    assert isinstance(caught.value, InputError)


def chosen(matrices: MatrixMap, *words: object, **more: object) -> list[str]:
    return [str(id) for id in matrices.select(*words, **more)]


@pytest.mark.parametrize(
    ("layer", "layers"),
    [
        (0, [0]),
        (-1, [1]),
        (-2, [0]),
        ("-1", [1]),
        ("all", [0, 1]),
        ([1, 0], [1, 0]),
        ([-1, 1], [1]),
        (["0", -1], [0, 1]),
        (np.int64(-1), [1]),
    ],
)
def test_layers_are_resolved(maps: dict[str, MatrixMap], layer: object, layers: list[int]) -> None:
    assert chosen(maps["gptj"], layer, "fc_in") == [f"layer {index} fc_in" for index in layers]


@pytest.mark.parametrize(
    ("name", "matrices"),
    [
        ("attn", ["q_proj", "k_proj", "v_proj", "out_proj"]),
        ("mlp", ["fc_in", "fc_out"]),
        ("all", ["q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"]),
        (["fc_out", "mlp"], ["fc_out", "fc_in"]),
        ("W_q", ["q_proj"]),
        ("W_o", ["out_proj"]),
        ("U_in", ["fc_in"]),
        (["U_out", "W_v", "W_k"], ["fc_out", "v_proj", "k_proj"]),
        ("mlp.fc_in.weight", ["fc_in"]),
        ("mlp.fc_in", ["fc_in"]),
    ],
)
def test_matrix_names_groups_and_the_papers_names(
    maps: dict[str, MatrixMap], name: object, matrices: list[str]
) -> None:
    assert chosen(maps["gptj"], 1, name) == [f"layer 1 {matrix}" for matrix in matrices]


@pytest.mark.parametrize(
    ("family", "layer", "name", "expected"),
    [
        ("llama", 0, "gate_proj", ["layer 0 fc_in"]),
        ("llama", "all", "model.layers.1.mlp.down_proj.weight", ["layer 1 fc_out"]),
        ("gpt2", 0, "c_attn", ["layer 0 q_proj", "layer 0 k_proj", "layer 0 v_proj"]),
        ("gpt2", 0, "mlp.c_proj", ["layer 0 fc_out"]),
        ("bert", 1, "query", ["layer 1 q_proj"]),
        ("mixtral", 1, "model.layers.1.block_sparse_moe.experts.2.w3.weight", ["layer 1 fc_up expert 2"]),
        ("qwen3_moe", "all", "gate_proj", ["layer 0 fc_in", *(f"layer 1 fc_in expert {e}" for e in range(3))]),
        ("t5", 2, "EncDecAttention.q", None),
        ("t5", 2, "layer.1.EncDecAttention.q", ["cross layer 2 q_proj"]),
    ],
)
def test_parameter_names(
    maps: dict[str, MatrixMap], family: str, layer: object, name: str, expected: list[str] | None
) -> None:
    if expected is None:
        with pytest.raises(InputError, match="unknown matrix"):
            maps[family].select(layer, name)
    else:
        assert chosen(maps[family], layer, name) == expected


def test_experts_are_all_or_one(maps: dict[str, MatrixMap]) -> None:
    assert chosen(maps["mixtral"], 0, "fc_out") == [f"layer 0 fc_out expert {expert}" for expert in range(3)]
    assert chosen(maps["mixtral"], 0, "mlp", expert=1) == [
        f"layer 0 {m} expert 1" for m in ("fc_in", "fc_up", "fc_out")
    ]
    assert chosen(maps["qwen3_moe"], "all", "fc_in", expert=2) == ["layer 1 fc_in expert 2"]
    assert chosen(maps["mixtral"], 0, "all", expert=0)[0] == "layer 0 fc_in expert 0"


def test_parts_are_all_or_one(maps: dict[str, MatrixMap]) -> None:
    t5 = maps["t5"]
    everywhere = ["encoder layer 1 q_proj", "decoder layer 1 q_proj", "cross layer 1 q_proj"]
    assert chosen(t5, 1, "q_proj") == everywhere
    assert chosen(t5, 1, "q_proj", part="all") == everywhere
    assert chosen(t5, -1, "q_proj", part="decoder") == ["decoder layer 2 q_proj"]
    assert chosen(t5, -1, "fc_in") == ["encoder layer 1 fc_in", "decoder layer 2 fc_in"]
    assert len(t5.select("all", "all", part="cross")) == 12
    assert chosen(t5, 2, "q_proj") == ["decoder layer 2 q_proj", "cross layer 2 q_proj"]


@pytest.mark.parametrize(
    ("family", "words", "more", "message"),
    [
        ("gptj", (99, "fc_in"), {}, r"layer 99: gptj has layers 0 to 1"),
        ("gptj", (-3, "fc_in"), {}, r"layer -3: gptj has layers 0 to 1"),
        ("gptj", ("last", "fc_in"), {}, r"layer 'last': must be a whole number or all"),
        ("gptj", (True, "fc_in"), {}, r"must be a whole number"),
        ("gptj", (1.5, "fc_in"), {}, r"must be a whole number"),
        ("gptj", ([], "fc_in"), {}, r"no layer named"),
        ("gptj", (0, []), {}, r"no matrix named"),
        (
            "gptj",
            (0, "fc_up"),
            {},
            r"gptj has no fc_up \(its feed-forward block has no gate\); it has q_proj, .*fc_out",
        ),
        ("gptj", (0, "fc_inn"), {}, r"unknown matrix 'fc_inn'; nearest: fc_in"),
        ("gpt2", (0, "c_proj"), {}, r"'c_proj' may mean attn.c_proj.weight \(out_proj\), mlp.c_proj.weight \(fc_out\)"),
        ("llama", (0, "model.layers.1.mlp.down_proj.weight"), {}, r"no model\.layers.* in layer 0: it lies in layer 1"),
        ("llama", (0, "embed_tokens"), {}, r"unknown matrix 'embed_tokens'"),
        ("llama", (0, "fc_in"), {"part": "encoder"}, r"unknown part 'encoder'.*llama has no parts"),
        ("llama", (0, "fc_in"), {"expert": 0}, r"expert 0: llama has no experts in fc_in"),
        ("mixtral", (0, "fc_in"), {"expert": 3}, r"expert 3: must be a whole number in 0 to 2"),
        ("mixtral", (0, "fc_in"), {"expert": "1"}, r"expert '1': must be a whole number in 0 to 2"),
        ("mixtral", (0, "fc_in"), {"expert": -1}, r"expert -1: must be a whole number in 0 to 2"),
        ("mixtral", (0, "attn"), {"expert": 1}, r"expert 1: mixtral has no experts in k_proj, out_proj"),
        ("t5", (0, "q_proj"), {"part": "encodr"}, r"unknown part 'encodr'; nearest: encoder"),
        ("t5", (0, "mlp"), {"part": "cross"}, r"t5 cross has no fc_in, fc_up, fc_out; it has q_proj, k_proj"),
        ("t5", (3, "q_proj"), {}, r"encoder has layers 0 to 1, decoder has layers 0 to 2, cross has"),
        ("t5", (2, "q_proj"), {"part": "encoder"}, r"layer 2: encoder has layers 0 to 1;"),
    ],
)
def test_wrong_words_say_what_is_allowed(
    maps: dict[str, MatrixMap], family: str, words: tuple[object, object], more: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        maps[family].select(*words, **more)


def test_tied_weights_are_named_once() -> None:
    model: nn.Module = FAMILIES["llama"]()
    first, second = (model.get_submodule(f"model.layers.{layer}.mlp") for layer in (0, 1))
    second.up_proj.weight = first.up_proj.weight
    second.down_proj.weight = nn.Parameter(first.down_proj.weight.data)  # another parameter on the same storage
    matrices = find_matrices(model)
    up, alias = MatrixId(0, "fc_up"), MatrixId(1, "fc_up")
    assert len(matrices) == len(list(matrices)) == 12
    assert up in list(matrices)
    assert alias not in list(matrices)
    assert alias in matrices
    assert matrices[alias] is matrices[up]
    assert matrices.canonical(alias) == up
    assert matrices.aliases_of(up) == matrices.aliases_of(alias) == (alias,)
    assert matrices.aliases_of(MatrixId(0, "fc_in")) == ()
    assert matrices.select(1, "mlp") == [MatrixId(1, "fc_in"), up, MatrixId(0, "fc_out")]
    assert matrices.select("all", "fc_up") == [up]
    matrices[up].write(torch.ones(24, 16))
    assert second.up_proj.weight.eq(1).all()


def test_handles_say_what_they_are(maps: dict[str, MatrixMap]) -> None:
    handle = maps["gpt2"][MatrixId(1, "k_proj")]
    assert repr(handle) == "MatrixHandle(layer 1 k_proj: transformer.h.1.attn.c_attn.weight (16, 16) torch.float32)"
    assert str(MatrixId(27, "fc_in")) == "layer 27 fc_in"
    assert str(MatrixId(2, "q_proj", "cross")) == "cross layer 2 q_proj"
    assert sorted([MatrixId(10, "fc_in"), MatrixId(2, "q_proj")])[0].layer == 2
    with pytest.raises(InputError, match=r"\(16, 16\) as \(out, in\); got \(16, 8\)"):
        handle.write(torch.zeros(16, 8))
    with pytest.raises(InputError, match="bits would be lost"):
        handle.restore(torch.zeros(16, 16, dtype=torch.float16))
    with pytest.raises(InputError, match="gpt2 has no layer 7 fc_in"):
        maps["gpt2"][MatrixId(7, "fc_in")]
