"""In the first edited block, only the attention or the MLP that the edit reaches is run again."""

from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from families import FAMILIES, output_of
from torch import Tensor, nn

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import MatrixId, find_matrices
from laser_lit.scoring.resume import Resume
from laser_lit.scoring.sections import Section, Watch, outermost
from laser_lit.scoring.states import States

BESIDE = ["gptj", "phi", "cohere", "falcon_7b"]  # the MLP is given what the attention is given
AFTER = ["llama", "mixtral", "gpt2", "gpt_neox", "bloom", "t5"]


@pytest.fixture
def states() -> Iterator[States]:
    with States(10**7) as made:
        yield made


class Passes:
    """A model whose resumed passes are counted by what they multiply by."""

    def __init__(self, family: str, states: States) -> None:
        self.model = FAMILIES[family]()
        self.matrices = find_matrices(self.model)
        self.resume = Resume(self.model, self.matrices, states)
        self.ran: Counter[str] = Counter()
        for id in self.matrices:
            name = self.matrices[id].name.rpartition(".")[0]
            module = self.model.get_submodule(name)
            module.register_forward_hook(lambda *_, name=name: self.ran.update([name]))

    def resumed(self, *edits: Edit) -> Tensor:
        stack = Stack(edits)
        edited = self.resume.edited({id: tuple(found) for id, found in stack.by_matrix(self.matrices).items()})
        with stack.applied(self.matrices):
            whole = output_of(self.model)
            self.ran.clear()
            output = self.resume.run(lambda: output_of(self.model), "batch", edited)
        assert torch.equal(output, whole)
        return output

    def again(self, edit: Edit) -> set[str]:
        """Returns which matrices of its block a pass multiplies by once it has been compared with whole ones."""
        for _ in range(4):
            self.resumed(edit)
        own = [id for id in self.matrices if (id.layer, id.part) == (edit.layer, edit.part)]
        return {id.matrix for id in own if self.ran[self.matrices[id].name.rpartition(".")[0]]}


@pytest.mark.parametrize("family", BESIDE + AFTER)
def test_only_what_an_edit_reaches_runs_again(family: str, states: States) -> None:
    passes = Passes(family, states)
    part = "encoder" if family == "t5" else None
    passes.resumed()
    for layer in (0, 1):
        mlp, attention = (Edit(layer, matrix, rank=2, part=part) for matrix in ("fc_out", "v_proj"))
        assert passes.again(mlp) <= {"fc_in", "fc_up", "fc_out"}
        assert bool(passes.again(attention) & {"fc_in", "fc_up", "fc_out"}) == (family in AFTER)
        assert "v_proj" in passes.again(attention)
    assert passes.resume._sections is not None


def test_what_is_held_decides_what_is_known(states: States) -> None:
    passes = Passes("gptj", states)
    held, mlp = Edit(0, "q_proj", rank=1), Edit(0, "fc_in", rank=2)
    for stack in ((), (mlp,), (held,), (held, mlp), ()):
        passes.resumed(*stack)
    passes.resume.hold(passes.resume.edited({MatrixId(0, "q_proj"): (held,)}))
    for stack in ((held, mlp), (held,), (held, mlp), (mlp,), (), (held, Edit(1, "out_proj", rank=1)), (held, mlp)):
        passes.resumed(*stack)
    assert not passes.ran["transformer.h.0.attn.out_proj"]  # the held one's attention is known


class Direct(nn.Module):
    """A block that multiplies by its weights without calling the modules that have them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc_in = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.nn.functional.linear(x, self.fc_in.weight)


def test_weights_that_no_call_uses_switch_it_off(tmp_path, states: States) -> None:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.layers = nn.ModuleList(Direct(6) for _ in range(3))
    model.forward = lambda x: model.layers[2](model.layers[1](model.layers[0](x)))
    file = tmp_path / "direct.yaml"
    file.write_text("model_types: [x]\nlayers: layers.{layer}\ntensors: [{name: fc_in.weight, holds: fc_in}]\n")
    matrices = find_matrices(model, file)
    resume = Resume(model, matrices, states)
    x = torch.randn(4, 6)
    for rank in (None, 1, 2, 3):
        stack = Stack([] if rank is None else [Edit(1, "fc_in", rank=rank)])
        with stack.applied(matrices), torch.no_grad():
            edited = resume.edited(dict.fromkeys(stack.by_matrix(matrices), rank))
            assert torch.equal(resume.run(lambda: model.forward(x), "batch", edited), model.forward(x))
    assert resume.works
    assert resume._sections is None


def test_a_tensor_that_was_changed_since_is_another() -> None:
    ids = frozenset({MatrixId(0, "q_proj")})
    saved: list[Tensor] = []
    x = torch.ones(2)
    for change in (False, True):
        watch = Watch([], [nn.Identity()], ids, lambda place: None, lambda place, output: saved.append(output))
        watch.wrap(0, lambda x: x)(x)
        assert watch._known(x)
        assert not watch._known(x.clone())
        assert not watch._known(object())
        assert watch._known(None)
        if change:
            x.add_(1)
            assert not watch._known(x)
    assert saved == []


def test_a_section_that_runs_several_times_is_known_by_which_time_it_is() -> None:
    """Else its second output would be taken for the first where an edit reaches the first only."""
    x, y = torch.ones(2), torch.zeros(2)
    own, other = (frozenset({MatrixId(0, matrix)}) for matrix in ("fc_in", "q_proj"))
    kept: dict[tuple[int, int], Tensor] = {}
    runs: list[Tensor] = []

    def run(given: Tensor) -> Tensor:
        runs.append(given)
        return given + 1

    for _ in range(2):
        runs.clear()
        watch = Watch([Section(nn.Identity(), own)], [nn.Identity()], other, kept.get, kept.__setitem__)
        section, consumer = watch.wrap(0, run), watch.wrap(1, lambda x: x)
        consumer(x)
        assert torch.equal(section(y), y + 1)  # what the edit has reached
        assert torch.equal(section(x), x + 1)  # what it was given before
        assert list(kept) == [(0, 1)]
    assert runs == [y]


def test_what_an_edit_has_reached_is_not_known_when_it_is_given_again() -> None:
    x, ran = torch.ones(2), []
    ids = [frozenset({MatrixId(0, matrix)}) for matrix in ("fc_in", "v_proj", "q_proj")]
    sections = [Section(nn.Identity(), own) for own in ids[:2]]
    watch = Watch(sections, [nn.Identity()], ids[2], lambda place: pytest.fail("known"), lambda *_: pytest.fail("kept"))
    wrapped = [watch.wrap(place, lambda given, place=place: ran.append(place) or given + 1) for place in range(3)]
    y = wrapped[2](x)
    for place in (0, 1):
        wrapped[place](y)
    assert ran == [2, 0, 1]


def test_the_outermost_module_has_all_and_no_other() -> None:
    block = "h.1"
    assert outermost(["h.1.mlp.a", "h.1.mlp.b"], block, ["h.1.attn.q"]) == "h.1.mlp"
    assert outermost(["h.1.layer.1.ff.a"], block, ["h.1.layer.0.q"]) == "h.1.layer.1"
    assert outermost(["h.1.a", "h.1.b.c"], block, []) is None
    assert outermost(["h.1.mlp.a"], block, ["h.1.mlp.q"]) == "h.1.mlp.a"
    assert outermost(["h.1.attn.q", "h.1.attn.o"], block, ["h.1.attn2.q"]) == "h.1.attn"
