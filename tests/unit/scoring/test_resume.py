"""Passes that begin at the first edited block give what whole passes give, in every family."""

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from families import FAMILIES, output_of
from torch import Tensor, nn

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.linalg.cache import FactorCache
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.scoring.resume import Edited, Resume
from laser_lit.scoring.states import States

MEMORY = 10**7


@pytest.fixture
def states() -> Iterator[States]:
    with States(MEMORY) as made:
        yield made


class Passes:
    """A model whose passes under stacks are resumed, and counted by block."""

    def __init__(self, family: str, states: States) -> None:
        self.model = FAMILIES[family]()
        self.matrices = find_matrices(self.model)
        self.resume = Resume(self.model, self.matrices, states)
        self.cache = FactorCache()
        self.ran: list[int] = []
        for stage, block in enumerate(self.resume.stages.modules):
            for module in block.modules():
                if not list(module.children()):
                    module.register_forward_hook(lambda *_, stage=stage: self.ran.append(stage))

    def edited(self, *edits: Edit) -> Edited:
        stack = Stack(edits)
        return self.resume.edited({id: tuple(found) for id, found in stack.by_matrix(self.matrices).items()})

    def whole(self, *edits: Edit) -> Tensor:
        with Stack(edits, cache=self.cache).applied(self.matrices):
            return output_of(self.model)

    def resumed(self, *edits: Edit, batch: str = "batch") -> Tensor:
        with Stack(edits, cache=self.cache).applied(self.matrices):
            return self.resume.run(lambda: output_of(self.model), batch, self.edited(*edits))

    def first(self, *edits: Edit) -> int:
        """Returns the first block that a pass runs once it has been compared with whole ones."""
        for _ in range(4):
            self.resumed(*edits)
        self.ran.clear()
        self.resumed(*edits)
        return min(self.ran, default=len(self.resume.stages.modules))


def edit_of(matrices: MatrixMap, id: object) -> Edit:
    return Edit(id.layer, id.matrix, rank=2, part=id.part, expert=id.expert)  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_matrix_of_every_family(family: str, states: States) -> None:
    passes = Passes(family, states)
    base = passes.resumed()
    assert torch.equal(base, passes.whole())
    assert len(passes.resume.stages.modules) == (5 if family.startswith("t5") else 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none of them is found to differ
        for id in passes.matrices:
            edit = edit_of(passes.matrices, id)
            whole, resumed = passes.whole(edit), passes.resumed(edit)
            assert torch.equal(whole, resumed), id
            assert not torch.equal(whole, base), id
            assert passes.first(edit) == passes.resume.stages.of[id]
    assert torch.equal(passes.resumed(), base)


def test_stacks_share_what_they_have_in_common(states: States) -> None:
    passes = Passes("t5", states)
    first, cross = Edit(0, "fc_in", rank=2, part="encoder"), Edit(1, "q_proj", rank=2, part="cross")
    late, later = Edit(1, "fc_out", rank=1, part="decoder"), Edit(2, "fc_in", rank=1, part="decoder")
    assert passes.first(later) == 4
    assert passes.first(cross, later) == 3
    assert passes.first(first, cross) == 0
    passes.resume.hold(passes.edited(first, cross))
    assert passes.first(first, cross, later) == 4
    assert passes.first(first, cross, late) == 3  # a cross matrix is in its decoder's block
    assert passes.first(first, late) == 3
    assert passes.first(late) == 0  # what only the base had in common is gone
    for stack in ((first, cross, later), (first, cross, late), (first,), (cross,), (later,), ()):
        assert torch.equal(passes.resumed(*stack), passes.whole(*stack))


def test_batches_are_told_apart(states: States) -> None:
    passes = Passes("llama", states)
    late = Edit(1, "fc_in", rank=2)
    assert passes.first(late) == 1
    passes.ran.clear()
    passes.resumed(late, batch="another")
    assert min(passes.ran) == 0
    passes.resume.forget(lambda batch: batch == "another")
    passes.ran.clear()
    passes.resumed(late)
    assert min(passes.ran) == 0


@pytest.mark.parametrize("family", ["t5", "gptj"])
@pytest.mark.parametrize(("memory", "files"), [(MEMORY, 0), (0, MEMORY), (2000, MEMORY), (2000, 0), (0, 0)])
def test_every_tier_gives_the_same(family: str, memory: int, files: int) -> None:
    with States(memory, files) as states:
        passes = Passes(family, states)
        edits = [Edit(0, "fc_in", rank=2), Edit(1, "fc_in", rank=2), Edit(1, "q_proj", rank=1)]
        for stack in (*((edit,) for edit in edits * 2), edits[:2], ()):
            for batch in ("one", "two"):
                assert torch.equal(passes.resumed(*stack, batch=batch), passes.whole(*stack))
                assert states.in_memory <= memory
                assert states.in_files <= files


def test_an_exception_inside_a_pass_leaves_the_modules_as_they_were(states: States) -> None:
    passes = Passes("llama", states)
    before = [dict(module.__dict__) for module in passes.model.modules()]
    passes.resumed()
    handle = passes.model.lm_head.register_forward_pre_hook(lambda *_: 1 / 0)
    for batch in ("batch", "another"):
        with pytest.raises(ZeroDivisionError):
            passes.resumed(Edit(1, "fc_in", rank=2), batch=batch)
    handle.remove()
    assert [dict(module.__dict__) for module in passes.model.modules()] == before
    assert torch.equal(passes.resumed(), passes.whole())


def test_hooks_of_others_stay_and_act_once(states: States) -> None:
    passes = Passes("gptj", states)
    plain = passes.whole()
    for block in passes.resume.stages.modules:
        block.register_forward_hook(lambda _module, _args, output: (output[0] * 1.5, *output[1:]))
    assert not torch.allclose(passes.whole(), plain)
    for edit in (Edit(1, "fc_in", rank=2), Edit(0, "fc_in", rank=2)) * 2:
        assert torch.equal(passes.resumed(edit), passes.whole(edit))
    assert passes.first(Edit(1, "fc_in", rank=2)) == 1
    assert all(len(block._forward_hooks) == 1 for block in passes.resume.stages.modules)


class Leaving(nn.Linear):
    """A block that keeps what it has put out last."""

    def forward(self, x: Tensor) -> Tensor:
        self.seen = super().forward(x)
        self.note()
        return self.seen

    def note(self) -> None:
        """Is told of every run."""


class Around(nn.Module):
    """Blocks, and a connection around all but the first, by what that one leaves in itself too, or its second run."""

    def __init__(self, kind: str, blocks: int) -> None:
        super().__init__()
        self.kind = kind
        self.layers = nn.ModuleList(Leaving(6, 6) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        first = last = self.layers[0](x)
        for layer in self.layers[1:]:
            last = layer(last)
        after = {"around": lambda: first, "left": lambda: self.layers[0].seen, "again": lambda: self.layers[0](last)}
        return last + after[self.kind]() if self.kind in after else last


def around(tmp_path: Path, kind: str, blocks: int = 2) -> tuple[Around, MatrixMap]:
    torch.manual_seed(0)
    model = Around(kind, blocks)
    file = tmp_path / "around.yaml"
    file.write_text("model_types: [around]\nlayers: layers.{layer}\ntensors: [{name: weight, holds: fc_in}]\n")
    return model, find_matrices(model, file)


@pytest.mark.parametrize("kind", ["around", "again", "left"])
def test_a_model_that_cannot_begin_in_the_middle_is_run_whole(tmp_path: Path, states: States, kind: str) -> None:
    model, matrices = around(tmp_path, kind, blocks=3)
    resume = Resume(model, matrices, states)
    x = torch.randn(3, 6)

    @torch.no_grad()
    def equal(stack: Stack) -> bool:
        with stack.applied(matrices):
            edited = resume.edited(dict.fromkeys(stack.by_matrix(matrices), str(stack)))
            return torch.equal(resume.run(lambda: model(x), 0, edited), model(x))

    edits = [Edit(layer, "fc_in", rank=rank) for rank in (1, 2, 3, 4) for layer in (0, 2)]
    stacks = [Stack([]), *[Stack([edit]) for edit in edits]]
    with pytest.warns(UserWarning, match="every pass runs through the whole model"):
        assert all(equal(stack) for stack in stacks)
    assert not resume.works
    assert not len(states)


def test_a_stack_that_ruins_the_model_shows_nothing_of_its_passes(tmp_path: Path, states: States) -> None:
    model, matrices = around(tmp_path, "around", blocks=3)
    resume = Resume(model, matrices, states)
    x = torch.randn(3, 6)

    @torch.no_grad()
    def run(factor: float) -> Tensor:
        return resume.run(lambda: model(x) * factor, 0, resume.edited({matrices.select(2, "fc_in")[0]: factor}))

    assert torch.equal(run(1.0), model(x))
    assert run(torch.nan).isnan().all()
    with pytest.warns(UserWarning, match="every pass runs through the whole model"):
        assert all(torch.equal(run(factor), model(x) * factor) for factor in (2.0, 3.0, 4.0, 5.0))


class Passed:
    """Plain blocks, of which those that run are noted, and how often the model does."""

    def __init__(self, tmp_path: Path, states: States, blocks: int) -> None:
        self.model, self.matrices = around(tmp_path, "plain", blocks)
        self.resume = Resume(self.model, self.matrices, states)
        self.ran: list[int] = []
        self.forwards = 0
        for number, block in enumerate(self.model.layers):
            block.note = partial(self.ran.append, number)
        self.x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def run(self, *layers: int) -> list[int]:
        """Returns which blocks ran on the way to what a whole pass gives."""
        self.resume.states.next_round()
        stack = Stack([Edit(layer, "fc_in", rank=2) for layer in layers])
        with stack.applied(self.matrices):
            whole = self.model(self.x)
            self.ran.clear()
            edited = self.resume.edited(dict.fromkeys(stack.by_matrix(self.matrices), 2))
            assert torch.equal(self.resume.run(self.forward, 0, edited), whole)
        return sorted(set(self.ran))

    def forward(self) -> Tensor:
        self.forwards += 1
        return self.model(self.x)


def test_the_deepest_state_that_a_stack_can_use_is_the_one_that_is_kept(tmp_path: Path) -> None:
    with States(3 * 6 * 4, 0) as states:  # a single one
        passed = Passed(tmp_path, states, 4)
        assert [passed.run(3) for _ in range(3)][-1] == [3]
        assert [passed.run(1) for _ in range(4)][-1] == [1, 2, 3]
        assert [passed.run(3) for _ in range(4)][-1] == [3]


def test_a_pass_through_all_blocks_is_not_compared_with_itself(tmp_path: Path, states: States) -> None:
    passed = Passed(tmp_path, states, 3)
    for _ in range(3):
        passed.run(0)
    assert passed.forwards == 3
    for forwards in (4, 6, 7):  # of which the second is compared with a whole one
        passed.run(2)
        assert passed.forwards == forwards


def test_blocks_that_run_in_another_order_are_run_whole(tmp_path: Path, states: States) -> None:
    passed = Passed(tmp_path, states, 3)
    layers = passed.model.layers
    passed.model.forward = lambda x: layers[0](layers[1](layers[2](x)))  # type: ignore[method-assign]
    with pytest.warns(UserWarning, match="do not run in the order of their numbers"):
        passed.run()
    for layer in range(3):
        assert passed.run(layer) == [0, 1, 2]


def test_one_block_at_several_places_counts_where_it_runs_first(tmp_path: Path, states: States) -> None:
    model, _ = around(tmp_path, "plain")
    model.layers[1] = model.layers[0]
    resume = Resume(model, find_matrices(model, tmp_path / "around.yaml"), states)
    assert len(resume.stages.modules) == 1
    assert not resume.works


def test_tied_matrices_count_as_the_earliest(tmp_path: Path, states: States) -> None:
    model, _ = around(tmp_path, "plain")
    model.layers[1].weight = model.layers[0].weight
    matrices = find_matrices(model, tmp_path / "around.yaml")
    resume = Resume(model, matrices, states)
    assert [resume.stages.of[id] for id in matrices] == [0]
    assert len(resume.stages.modules) == 2
