"""Passes that begin at the first edited block give what whole passes give, in every family."""

import warnings
from collections.abc import Iterator

import pytest
import torch
from families import FAMILIES, output_of
from torch import Tensor

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
            norm = next(module for module in block.modules() if not list(module.children()))
            norm.register_forward_hook(lambda *_, stage=stage: self.ran.append(stage))

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
        for _ in range(3):
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
