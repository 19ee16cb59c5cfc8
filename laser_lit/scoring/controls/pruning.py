"""Pruning by magnitude with the storage of a low-rank stack."""

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import MatrixId, MatrixMap


def pruned_twin(stack: Stack, matrices: MatrixMap) -> Stack | None:
    """Returns the stack that prunes each truncated matrix to as many entries as its factors have, rank·(out + in).

    Edits of other kinds, and ranks whose factors have more entries than the matrix itself, have no twin and are left
    out; None when nothing remains.

    Args:
        stack: the edits.
        matrices: what they apply to.
    """
    twins = []
    for row in stack.resolve(matrices):
        out, in_ = matrices[MatrixId(row.layer, row.matrix, row.part, row.expert)].shape
        if row.kind == "low_rank" and row.rank is not None and row.rank * (out + in_) <= out * in_:
            twins.append(Edit(row.layer, row.matrix, rank=row.rank, kind="prune", part=row.part, expert=row.expert))
    return Stack(twins, combine=stack.combine, svd=stack.svd, cache=stack.cache) if twins else None
