"""Edits of other components than a plain SVD's: applied, taken back, saved, and done again bit for bit."""

from pathlib import Path

import pytest
import torch
import yaml
from families import FAMILIES
from torch import Tensor, nn
from weight_bits import bits, differing

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache
from laser_lit.linalg.whitened import whitened_factors
from laser_lit.models.matrices import MatrixHandle, MatrixId, find_matrices


class Moments:
    """Second moments that differ from matrix to matrix, and a count of how often they are asked for."""

    key = "moments"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.expected: list[str] = []

    def expect(self, handles: list[MatrixHandle]) -> None:
        self.expected += [handle.name for handle in handles]

    def covariance(self, handle: MatrixHandle) -> Tensor:
        self.asked.append(handle.name)
        generator = torch.Generator().manual_seed(len(handle.name) + handle.id.layer)
        X = torch.randn(handle.shape[1], 99, generator=generator, dtype=torch.float64)
        return X @ X.T


STACKS = {
    "whitened": [Edit(1, "fc_in", rank=3, decomposition="whitened")],
    "whitened, of several": [Edit("all", "attn", rho=0.25, decomposition="whitened"), Edit(0, "fc_in", kind="zero")],
    "whitened, high order": [Edit(0, "fc_out", rank=5, kind="high_order", decomposition="whitened")],
    "whitened, by a rule": [Edit(0, "mlp", rule="energy:0.8", decomposition="whitened")],
    "whitened, whole": [Edit(0, "q_proj", rank=16, decomposition="whitened")],
    "blocks": [Edit("all", "mlp", rank=2, decomposition="blocks", blocks=4)],
    "blocks, high order": [Edit(0, "v_proj", rho=0.5, kind="high_order", decomposition="blocks", blocks=2)],
    "blocks, by a rule": [Edit(0, "v_proj", rule="energy:0.5", decomposition="blocks", blocks=2)],
}


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("family", ["gptj", "gpt2", "falcon_40b"])
def test_a_saved_stack_does_the_very_same_without_the_text(tmp_path: Path, name: str, family: str) -> None:
    model, original = FAMILIES[family](), bits(FAMILIES[family]())
    stack = Stack(STACKS[name], cache=FactorCache(tmp_path / "a"), calibration=Moments())
    with stack.applied(model) as rows:
        inside = bits(model)
        assert name == "whitened, whole" or differing(original, model)
    assert differing(original, model) == set()
    stack.save(tmp_path / "stack.yaml", rows)
    again = Stack.load(tmp_path / "stack.yaml").provided(FactorCache(tmp_path / "b"))
    for other in (again, stack.settled(rows)):
        assert [edit.decomposition for edit in other.uncalibrated] == ["whitened"] * (name == "whitened, whole")
        with other.applied(model) as rows_again:
            assert differing(inside, model) == set()
        assert rows_again == rows
    again.save(tmp_path / "more.yaml", rows)
    assert (
        yaml.safe_load((tmp_path / "more.yaml").read_text())["edits"]
        == yaml.safe_load((tmp_path / "stack.yaml").read_text())["edits"]
    )


def test_rows_say_what_was_decomposed(gptj: nn.Module, cache: FactorCache) -> None:
    edits = [*STACKS["whitened"], Edit(0, "fc_in", rank=2, decomposition="blocks", blocks=4), Edit(0, "q_proj", rank=2)]
    whitened, blocks, plain = Stack(edits, cache=cache, calibration=Moments()).resolve(gptj)
    assert (whitened.decomposition, whitened.blocks, whitened.calibration, whitened.d) == (
        *("whitened", None, "moments"),
        16,
    )
    handle = find_matrices(gptj)[MatrixId(1, "fc_in")]
    factors = whitened_factors(handle.read(), Moments().covariance(handle))
    assert whitened.output_error == pytest.approx(factors.relative_output_error(3))
    assert whitened.basis is not None
    assert whitened.basis.U.shape == (64, 3)
    assert (blocks.decomposition, blocks.blocks, blocks.rho, blocks.d) == ("blocks", 4, 2 / 16, 16)
    assert (blocks.calibration, blocks.output_error, blocks.basis) == (None, None, None)
    assert (plain.decomposition, plain.blocks, plain.basis) == (None, None, None)


def test_thin_factors_are_there_for_whitened_and_not_for_blocks_or_high_order(
    gptj: nn.Module, cache: FactorCache
) -> None:
    blocks_of_rows = Edit(0, "fc_in", rank=2, decomposition="blocks", blocks=4)
    high_order = Edit(0, "q_proj", rank=2, kind="high_order")
    edits = [*STACKS["whitened"], *STACKS["whitened, high order"], blocks_of_rows, high_order]
    whitened, *others = Stack(edits, cache=cache, calibration=Moments()).writes(gptj)
    assert whitened.thin is not None
    A, B = whitened.thin
    assert (A.shape, B.shape) == ((64, 3), (3, 16))
    torch.testing.assert_close(A @ B, whitened.W)
    assert [write.thin for write in others] == [None] * 3


def test_no_thin_factors_are_left_of_an_edit_that_another_follows(gptj: nn.Module, cache: FactorCache) -> None:
    edits = [Edit(0, "fc_in", rank=2), Edit(0, "fc_in", rho=0.5, kind="prune")]
    (write,) = Stack(edits, combine="in_order", cache=cache).writes(gptj)
    assert write.thin is None


def test_a_block_of_one_is_the_plain_edit(gptj: nn.Module, cache: FactorCache) -> None:
    with Stack([Edit("all", "all", rank=3)], cache=cache).applied(gptj):
        plain = bits(gptj)
    with Stack([Edit("all", "all", rank=3, decomposition="blocks", blocks=1)], cache=cache).applied(gptj):
        assert differing(plain, gptj) == set()


def test_moments_are_asked_for_once_and_announced(gptj: nn.Module, tmp_path: Path) -> None:
    moments = Moments()
    stack = Stack([Edit("all", "fc_in", rank=3, decomposition="whitened")], calibration=moments)
    for cache in (FactorCache(tmp_path), FactorCache(tmp_path)):  # the second knows what is on disk alone
        stack.provided(cache).resolve(gptj)
    assert len(moments.asked) == 2
    assert moments.expected[:2] == moments.asked


def test_what_the_cache_keeps_of_whitened_edits_is_by_weights_and_by_place(gptj: nn.Module, tmp_path: Path) -> None:
    matrices = find_matrices(gptj)
    first, second = (matrices[MatrixId(layer, "fc_in")] for layer in (0, 1))
    second.write(first.read())  # the same weights with other inputs
    edits = [Edit("all", "fc_in", rank=3, decomposition="whitened")]

    def written(folder: str) -> list[Tensor]:
        stack = Stack(edits, cache=FactorCache(tmp_path / folder), calibration=Moments())
        return [write.W for write in stack.writes(gptj)]

    kept = written("kept")
    assert not torch.equal(*kept)
    second.write(-2 * second.read().flip(0))
    for again, fresh in zip(written("kept"), written("fresh"), strict=True):
        assert torch.equal(again, fresh)


def test_what_a_saved_stack_brings_is_not_announced(gptj: nn.Module, cache: FactorCache) -> None:
    stack = Stack(STACKS["whitened"], cache=cache, calibration=Moments())
    moments = Moments()
    again = stack.settled(stack.resolve(gptj)).provided(calibration=moments)
    assert again.cache is cache
    again.resolve(gptj)
    assert moments.expected == moments.asked == []


def test_without_a_calibration_whitened_edits_say_what_they_need(gptj: nn.Module) -> None:
    with pytest.raises(InputError, match=r"whitened of layer 1 fc_in: .*calibration=laser_lit.calibrate"):
        Stack(STACKS["whitened"]).resolve(gptj)


def test_other_weights_than_those_calibrated_on_are_refused(gptj: nn.Module, tmp_path: Path) -> None:
    stack = Stack(STACKS["whitened"], calibration=Moments())
    stack.save(tmp_path / "stack.yaml", stack.resolve(gptj))
    with torch.no_grad():
        find_matrices(gptj)[MatrixId(1, "fc_in")].parameter[0, 0] += 1
    with pytest.raises(InputError, match="layer 1 fc_in: its whitened edit was calibrated on other weights"):
        Stack.load(tmp_path / "stack.yaml").resolve(gptj)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "stack.bases").unlink(), "need stack.bases beside it"),
        (lambda folder: (folder / "stack.bases").write_bytes(b"none"), "is not the file that stack.yaml was written"),
        (lambda folder: edit_yaml(folder, "basis: '0'", "basis: '7'"), "the file of bases has no '7'; it has 0"),
        (lambda folder: edit_yaml(folder, "  file: stack.bases", "  nothing: 1"), "`bases` must be a mapping"),
    ],
)
def test_a_manifest_without_its_bases_is_told(gptj: nn.Module, tmp_path: Path, spoil: object, words: str) -> None:
    stack = Stack(STACKS["whitened"], calibration=Moments())
    stack.save(tmp_path / "stack.yaml", stack.resolve(gptj))
    spoil(tmp_path)  # type: ignore[operator]
    with pytest.raises(InputError, match=words):
        Stack.load(tmp_path / "stack.yaml")


def edit_yaml(folder: Path, old: str, new: str) -> None:
    text = (folder / "stack.yaml").read_text()
    assert old in text
    (folder / "stack.yaml").write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"decomposition": "whitend", "rank": 1}, "nearest: whitened"),
        ({"decomposition": "blocks", "rank": 1}, "blocks with no blocks for layer 0 fc_in: say decomposition=blocks"),
        ({"blocks": 4, "rank": 1}, "decomposition svd with blocks 4"),
        ({"decomposition": "whitened", "blocks": 4, "rank": 1}, "whitened with blocks 4"),
        ({"decomposition": "blocks", "blocks": 0, "rank": 1}, "must be at least 1"),
        ({"decomposition": "blocks", "blocks": 2.5, "rank": 1}, "blocks 2.5 for layer 0 fc_in: must be a whole number"),
        ({"decomposition": "whitened", "kind": "zero"}, "only low_rank and high_order decompose"),
        ({"decomposition": "whitened", "rule": "mp_median"}, "take energy or entropy, or a rank"),
        ({"decomposition": "blocks", "blocks": 2, "rule": "detx"}, "detx for layer 0 fc_in, in 2 blocks"),
    ],
)
def test_decompositions_that_cannot_be_meant(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Edit(0, "fc_in", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit(0, "fc_in", rank=1, decomposition="blocks", blocks=5), "5 blocks for layer 0 fc_in: its 64 rows"),
        (Edit(0, "q_proj", rank=5, decomposition="blocks", blocks=4), "must lie in 1 … 4, the full rank in 4 blocks"),
        (Edit(0, "q_proj", rho=0.2, decomposition="blocks", blocks=4), "smallest valid rho is 0.25"),
    ],
)
def test_amounts_that_blocks_cannot_have(gptj: nn.Module, edit: Edit, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Stack([edit]).resolve(gptj)


def test_a_randomized_method_makes_no_whitened_edit(gptj: nn.Module) -> None:
    with pytest.raises(InputError, match="whitened takes auto, exact or gram"):
        Stack(STACKS["whitened"], svd="randomized", calibration=Moments()).resolve(gptj)
