"""Several values of one matrix in one pass: the batch once for each, and each copy multiplied by its own matrix."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import MatrixHandle, MatrixId, MatrixMap
from laser_lit.scoring.batches import Batch


def only_difference(stacks: Sequence[Stack], matrices: MatrixMap) -> MatrixHandle | None:
    """Returns the one matrix that the stacks treat differently; None where there is none, or more than one.

    Args:
        stacks: at least two.
        matrices: the model's.
    """
    listed = [stack.by_matrix(matrices) for stack in stacks]
    if len({stack.svd for stack in stacks}) > 1 or any(edits.keys() != listed[0].keys() for edits in listed):
        return None
    differing = [id for id in listed[0] if any(_amounts(edits, id) != _amounts(listed[0], id) for edits in listed)]
    return matrices[differing[0]] if len(differing) == 1 else None


def module_of(model: nn.Module, matrices: MatrixMap, handle: MatrixHandle) -> nn.Module | None:
    """Returns the module that alone multiplies by a matrix; None for fused, stacked or tied weights.

    Args:
        model: the model.
        matrices: its map.
        handle: one of the map's.
    """
    path, _, name = handle.name.rpartition(".")
    several = len(handle.layout.shares) > 1 or handle.layout.stacked or matrices.aliases_of(handle.id)
    if name != "weight" or several:
        return None
    module = model.get_submodule(path)
    return module if isinstance(module, nn.Linear | Conv1D) and module.weight is handle.parameter else None


def copied(batch: Batch, copies: int) -> Batch:
    """Returns the batch several times over, as one.

    Args:
        batch: whose logits are read.
        copies: at least 1.
    """
    numbers = torch.arange(copies, device=batch.rows.device)[:, None]  # (copies, 1)
    n, reads = len(batch.numbers), len(batch.rows)
    return replace(
        batch,
        numbers=batch.numbers * copies,
        requests=batch.requests * copies,
        input_ids=batch.input_ids.repeat(copies, 1),
        attention_mask=batch.attention_mask.repeat(copies, 1),
        position_ids=batch.position_ids.repeat(copies, 1),
        rows=(numbers * n + batch.rows).flatten(),
        columns=batch.columns.repeat(copies),
        slots=(numbers * reads + batch.slots).flatten(),
        targets=batch.targets.repeat(copies),
        firsts=(numbers * reads + batch.firsts).flatten(),
    )


@contextmanager
def multiplied(module: nn.Module, weights: Tensor) -> Iterator[None]:
    """Lets a module multiply each of several equal shares of its input by a matrix of its own.

    Args:
        module: from `module_of`.
        weights: (copies, out, in); the first share is that of the first copy of the batch, and so on.
    """
    own, bias = module.__dict__.get("forward"), module.get_parameter("bias") if module.bias is not None else None

    def forward(x: Tensor) -> Tensor:
        shares = x.reshape(len(weights), -1, x.shape[-1])  # (copies, positions, in)
        product = shares @ weights.mT  # (copies, positions, out)
        product = product if bias is None else product + bias
        return product.reshape(*x.shape[:-1], -1)

    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.__dict__["forward"]
        else:
            module.forward = own


def _amounts(edits: Mapping[MatrixId, Sequence[Edit]], id: MatrixId) -> list[Any]:
    return [edit.action for edit in edits[id]]
