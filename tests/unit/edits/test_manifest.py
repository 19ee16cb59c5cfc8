"""stack.yaml: what was done comes out of it again, and wrong ones are told apart."""

from pathlib import Path

import pytest
import yaml
from families import FAMILIES
from torch import nn
from weight_bits import bits, differing

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError

STACKS = {
    "none": Stack([]),
    "every kind": Stack(
        [
            Edit(-1, "fc_in", rho=0.25),
            Edit(0, "mlp", rank=3, kind="high_order"),
            Edit(1, ["fc_out"], rate=9.5, kind="prune"),
            Edit(0, "k_proj", kind="zero"),
            Edit("all", "v_proj", rule="entropy"),
            Edit(1, "q_proj", rank=2, kind="prune"),
            Edit(1, "out_proj", rho="0.3333", kind="prune"),
        ]
    ),
    "in order": Stack([Edit("all", "mlp", rho=0.5), Edit(0, "fc_in", rank=2, kind="high_order")], combine="in_order"),
    "last": Stack([Edit("all", "mlp", rho=0.5), Edit(0, "fc_in", kind="zero")], combine="last"),
    "randomized": Stack([Edit(0, "fc_in", rank=2)], svd={"method": "randomized", "seed": 3, "n_iter": 1}),
}


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("family", ["gptj", "mixtral", "t5"])
def test_a_saved_stack_does_the_very_same(tmp_path: Path, name: str, family: str) -> None:
    model, stack = FAMILIES[family](), STACKS[name]
    with stack.applied(model) as rows:
        inside = bits(model)
    stack.save(tmp_path / "stack.yaml", rows, {"id": "tiny", "architecture": family})
    again = Stack.load(tmp_path / "stack.yaml")
    assert (again.combine, again.svd) == (stack.combine, stack.svd)
    with again.applied(model) as rows_again:
        assert differing(inside, model) == set()
    assert [(row.name, row.rank, row.kind, row.content) for row in rows_again] == [
        (row.name, row.rank, row.kind, row.content) for row in rows
    ]
    again.save(tmp_path / "again.yaml", rows_again)
    assert Stack.load(tmp_path / "again.yaml").edits == again.edits


def test_a_manifest_reads_well(tmp_path: Path, gptj: nn.Module) -> None:
    stack = Stack([Edit(-1, "fc_in", rho=0.26)])
    stack.save(tmp_path / "stack.yaml", stack.resolve(gptj), {"id": "gptj", "revision": None})
    text = (tmp_path / "stack.yaml").read_text(encoding="utf-8")
    assert text.startswith("# What was applied.")
    content = yaml.safe_load(text)
    assert list(content) == ["schema", "laser_lit", "model", "combine", "svd", "edits"]
    assert content["model"] == {"id": "gptj", "revision": None}
    assert content["svd"] == {"method": "auto", "seed": 0, "oversampling": 10, "n_iter": 4}
    (entry,) = content["edits"]
    done = entry.pop("done")
    assert entry == {"layer": 1, "matrix": "fc_in", "kind": "low_rank", "rank": 4}
    assert done["name"] == "transformer.h.1.mlp.fc_in.weight"
    assert done["shape"] == [64, 16]
    assert done["rho"] == 0.26
    assert 0 < done["relative_error"] < 1
    assert len(done["content"]) == 32


def test_people_may_write_one_too(tmp_path: Path, gptj: nn.Module) -> None:
    (tmp_path / "mine.yaml").write_text(
        "edits:\n- {layer: all, matrix: mlp, rho: 0.5}\n- {layer: -1, matrix: W_q, kind: zero}\n"
    )
    stack = Stack.load(str(tmp_path / "mine.yaml"))
    assert stack.edits == (Edit("all", "mlp", rho=0.5), Edit(-1, "W_q", kind="zero"))
    assert len(stack.resolve(gptj)) == 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "",
            "with the keys schema, laser_lit, model, combine, svd, bases, edits is wanted, this is empty",
        ),
        ("- layer: 0", "is wanted, this is a list"),
        ("edits: [", "stack.yaml is not YAML: "),
        ("edit: []", "unknown key in"),
        ("combine: last", "needs a list of edits"),
        ("edits: {layer: 0}", "needs a list of edits"),
        ("edits: [3]", "edit 0 of"),
        ("edits: [3]", "must be a mapping such as {layer: 0, matrix: fc_in, rho: 0.1}, not a int"),
        ("edits: [{layer: 0, matrix: fc_in, rho: 0.1}, {layer: 1, rho: 0.1}]", "edit 1 of"),
        ("edits: [{layer: 1, rho: 0.1}]", "counted from 0: matrix missing"),
        ("edits: [{layer: 1, matrix: fc_in, rhoo: 0.1}]", "nearest: rho"),
        ("edits: [{layer: 1, matrix: fc_in, rho: 1.7}]", "rho 1.7 for layer 1 fc_in: must lie in [0, 1]"),
        ("edits: [{layer: 1, matrix: fc_in}]", "nothing says how much to keep for layer 1 fc_in"),
        ("edits: [{layer: {}, matrix: fc_in, rho: 1}]", "layer {} of an edit: must be a whole number"),
        ("schema: 2\nedits: []", "schema 2, and this laser_lit reads 1"),
        ("combine: lst\nedits: []", "nearest: last"),
        ("svd: {method: exat}\nedits: []", "nearest: exact"),
    ],
)
def test_malformed_manifests(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "stack.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        Stack.load(tmp_path / "stack.yaml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*none.yaml: a stack.yaml is wanted"):
        Stack.load(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        Stack.load(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        Stack.load(tmp_path / "bytes.yaml")
