"""The tail of the last block on the positions that are read, and on no others."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from transformers.pytorch_utils import Conv1D

from laser_lit.models.matrices import GROUPS, MatrixMap
from laser_lit.models.stages import Stages
from laser_lit.scoring.alike import alike, telling
from laser_lit.scoring.batches import Batch
from laser_lit.scoring.sections import module_name, outermost

MOST = 0.5
"""Largest share of a batch's positions that are read for which picking them out is worth it."""


class LastLayer:
    """Hands the last block's output projection and MLP the read positions alone; what is not read comes out as 0.

    Nothing after the last attention mixes positions, so the read positions stay what they are. The first batch is run
    both ways; a model in which that changes the result, and any model while it has hooks of others from the last
    block on, is left as it is.
    """

    def __init__(self, model: nn.Module, matrices: MatrixMap, stages: Stages) -> None:
        """Finds the modules between which the positions are picked out.

        Args:
            model: in eval mode.
            matrices: its map.
            stages: its blocks.
        """
        self._spans = _spans(model, matrices, stages)
        earlier = {id(module) for block in stages.modules[:-1] for module in block.modules()}
        self._watched = [module for module in model.modules() if id(module) not in earlier]
        self._checked = False

    def check(self, batch: Batch, forward: Callable[[], object]) -> None:
        """Compares, the first time, a pass that picks positions out with one that does not.

        Args:
            batch: on the model's device.
            forward: a forward pass of it.
        """
        if self._checked or not self.picks(batch):
            return
        plain = forward()
        try:
            with self.picked(batch):
                same = alike(plain, forward())
        except torch.OutOfMemoryError:
            raise
        except Exception:  # whatever a block does that cannot be done to some of its positions
            same = False
        self._checked = telling(plain)
        if not same:
            self._spans = []

    @contextmanager
    def picked(self, batch: Batch) -> Iterator[None]:
        """Picks the positions out while the context is open, where that is worth it and safe.

        Args:
            batch: on the model's device.
        """
        with ExitStack() as hooks:
            if self.picks(batch):
                for entries, exit in self._spans:
                    places = _Places(batch)
                    for entry in entries:
                        handle = entry.register_forward_pre_hook(places.pick, with_kwargs=True)
                        hooks.callback(handle.remove)
                    hooks.callback(exit.register_forward_hook(places.put).remove)
            yield

    def picks(self, batch: Batch) -> bool:
        """Returns whether positions of a batch are picked out.

        Args:
            batch: on any device.
        """
        read, all = batch.rows.numel(), batch.input_ids.numel()
        return bool(self._spans) and read <= MOST * all and not any(map(_hooked, self._watched))


class _Places:
    """Where the read positions of a batch are, in tensors of shape (B, L, …) and (B·L, …)."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.shape = batch.input_ids.shape
        self.picked = False

    def pick(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        found: tuple[Any, Any] = pytree.tree_map(self._pick, (args, kwargs))
        return found

    def put(self, module: nn.Module, args: Any, output: Any) -> Any:
        found, self.picked = pytree.tree_map(self._put, output) if self.picked else output, False
        return found

    def _pick(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or leaf.ndim < 2:
            return leaf
        rows, columns = self.batch.rows.to(leaf.device), self.batch.columns.to(leaf.device)
        if leaf.ndim > 2 and leaf.shape[:2] == self.shape:
            self.picked = True
            return leaf[rows, columns].unsqueeze(0)  # (1, R, …)
        if leaf.ndim == 2 and leaf.shape[0] == self.shape.numel():
            self.picked = True
            return leaf[rows * self.shape[1] + columns]  # (R, d)
        return leaf

    def _put(self, leaf: Any) -> Any:
        n = self.batch.rows.numel()
        if not isinstance(leaf, Tensor) or leaf.ndim < 2:
            return leaf
        rows, columns = self.batch.rows.to(leaf.device), self.batch.columns.to(leaf.device)
        if leaf.ndim > 2 and leaf.shape[:2] == (1, n):
            whole = leaf.new_zeros(*self.shape, *leaf.shape[2:])  # (B, L, …)
            whole[rows, columns] = leaf[0]
            return whole
        if leaf.ndim == 2 and leaf.shape[0] == n:
            whole = leaf.new_zeros(self.shape.numel(), leaf.shape[1])  # (B·L, d)
            whole[rows * self.shape[1] + columns] = leaf
            return whole
        return leaf


def _spans(model: nn.Module, matrices: MatrixMap, stages: Stages) -> list[tuple[list[nn.Module], nn.Module]]:
    """Returns pairs of the modules where positions are picked out and the module after which they are put back."""
    if not stages.modules:
        return []
    names = {id: matrices[id].name for id in matrices if stages.of[id] == len(stages.modules) - 1}
    block = next((name for name, module in model.named_modules() if module is stages.modules[-1]), None)
    mlp = {id.matrix: module_name(name) for id, name in names.items() if id.matrix in GROUPS["mlp"]}
    rest = [module_name(name) for id, name in names.items() if id.matrix not in GROUPS["mlp"]]
    if block is None or not mlp:
        return []
    modules = dict(model.named_modules())
    inside = outermost(list(mlp.values()), block, rest)
    if inside is not None:
        spans = [([modules[inside]], modules[inside])]
    else:
        entries = [modules[name] for matrix, name in mlp.items() if matrix != "fc_out"]
        spans = [(entries, modules[mlp["fc_out"]])] if entries and "fc_out" in mlp else []
        spans = [span for span in spans if all(_is_linear(module) for module in (*span[0], span[1]))]
    outs = [modules[module_name(name)] for id, name in names.items() if id.matrix == "out_proj"]
    return spans + [([out], out) for out in outs[-1:] if _is_linear(out)]


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Conv1D)


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
