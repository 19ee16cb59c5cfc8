"""A model in memory with thin factors in place of the matrices that a stack cuts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from laser_lit.edits.stack import Stack
from laser_lit.export.plan import SUFFIX, Plan, thin_of
from laser_lit.linalg.lowrank import LowRankLinear
from laser_lit.models.matrices import MatrixMap


@dataclass(frozen=True, eq=False)
class Thin:
    """Factors that can take the place of a model's matrices.

    Attributes:
        modules: the layers of two factors, by name of the module.
        saved: how many entries fewer they have.
        whole: why an edited matrix stays whole, by the matrix in words.
    """

    modules: dict[str, LowRankLinear]
    saved: int
    whole: dict[str, str]

    @classmethod
    def of(cls, model: nn.Module, matrices: MatrixMap, stack: Stack) -> "Thin":
        """Returns the factors of the matrices that a stack cuts, where they are smaller; the model is left alone.

        Args:
            model: dense.
            matrices: its map.
            stack: the edits.

        Raises:
            InputError: an edit that the model cannot have.
        """
        plan, modules, whole, saved = Plan(model), dict[str, LowRankLinear](), dict[str, str](), 0
        for write in stack.writes(matrices):
            reason = plan.why_dense(write)
            if reason is not None:
                whole[str(write.handle.id)] = reason
                continue
            name = write.handle.name.removesuffix(SUFFIX)
            old = model.get_submodule(name)
            US, Vh = (factor.to(write.W.device) for factor in thin_of(write))  # (out, k), (k, in)
            modules[name] = LowRankLinear.of(US, Vh, old.bias).train(old.training)  # type: ignore[arg-type]
            saved += write.W.numel() - US.numel() - Vh.numel()
        return cls(modules, saved, whole)

    @contextmanager
    def within(self, model: nn.Module) -> Iterator[None]:
        """Puts the factors into the model, and its own modules back on exit.

        Args:
            model: the one that they were made for.
        """
        dense = {name: model.get_submodule(name) for name in self.modules}
        try:
            for name, module in self.modules.items():
                model.set_submodule(name, module)
            yield
        finally:
            for name, own in dense.items():
                model.set_submodule(name, own)
