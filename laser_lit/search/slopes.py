"""What one backward pass says about every cut of every matrix: gradients reduced to singular values, one at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

import torch
from torch import Tensor, nn

from laser_lit.edits.change import Changer
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache, shared_cache
from laser_lit.linalg.svd import Factors, Svd
from laser_lit.models.matrices import MatrixHandle, MatrixId, MatrixMap

HALF_SCALES = (2.0**16, 2.0**8, 1.0)
"""What the loss of a float16 model is multiplied by, so that small gradients are not rounded to 0; each is tried."""


def predicted_changes(
    losses: Callable[[], Iterable[Tensor]],
    matrices: MatrixMap,
    edits: Sequence[Edit],
    svd: Svd | None = None,
    cache: FactorCache | None = None,
) -> dict[Edit, float]:
    """Returns the change of the loss (nats, negative is better) that the gradient predicts for each edit.

    An edit that makes W' of W is predicted to change the loss by <dL/dW, W' - W>; with W = U diag(S) Vh, cutting to
    rank k by minus the sum over i > k of S_i dL/dS_i, where dL/dS_i = u_i^T (dL/dW) v_i. Each matrix's gradient is
    reduced to these numbers as soon as the backward pass has it, and freed: beside the model and the activations,
    one stored tensor's gradient and one matrix's factors are held. The parameters' `grad` and `requires_grad` come
    back as they were, also after an exception.

    Args:
        losses: called for scalars, a micro-batch each, whose sum is the loss; each is made when it is asked for.
        matrices: the model's.
        edits: of any kind, on any matrices; an edit of several counts the sum.
        svd: how matrices are factorized.
        cache: where factors are kept; None is the cache folder's own.

    Raises:
        InputError: gradients that are not finite, or an edit that the model cannot have.

    Source: Sreeram, Maalouf, Sharma and Rus 2025 (arXiv 2510.20800), who rank matrices by dL/dS.
    """
    targets = {edit: matrices.select(edit.layer, edit.matrix, edit.part, edit.expert) for edit in edits}
    by_matrix: dict[MatrixId, list[Edit]] = {}
    for edit, ids in targets.items():
        for id in ids:
            by_matrix.setdefault(id, []).append(edit)
    half = any(matrices[id].dtype == torch.float16 for id in by_matrix)
    for scale in HALF_SCALES if half else (1.0,):
        reducer = _Reducer(matrices, by_matrix, Changer(cache or shared_cache(), svd or Svd()))
        reducer.backward(losses(), scale)
        sums = {edit: sum(reducer.changes.get((id, edit), 0.0) for id in ids) for edit, ids in targets.items()}
        if all(abs(change) < float("inf") for change in sums.values()):
            return {edit: change / scale for edit, change in sums.items()}
    raise InputError("the gradients of the loss are not finite numbers; load the model in float32 or bfloat16")


class _Reducer:
    """Sums up what the gradients of several micro-batches say about edits."""

    def __init__(self, matrices: MatrixMap, by_matrix: dict[MatrixId, list[Edit]], changer: Changer) -> None:
        self.changes: dict[tuple[MatrixId, Edit], float] = {}
        self._edits = by_matrix
        self._changer = changer
        self._lock = Lock()  # a model on several devices has a backward thread for each
        self._handles: dict[nn.Parameter, list[MatrixHandle]] = {}
        for id in by_matrix:
            self._handles.setdefault(matrices[id].parameter, []).append(matrices[id])

    @torch.inference_mode(False)
    def backward(self, losses: Iterable[Tensor], scale: float) -> None:
        parameters = list(self._handles)
        with _hooked(parameters, self._reduce):
            for loss in losses:
                (loss * scale).backward(inputs=parameters)

    @torch.no_grad()
    def _reduce(self, parameter: Tensor) -> None:
        gradient, parameter.grad = parameter.grad, None
        if gradient is None:
            return
        with self._lock:
            for handle in self._handles[parameter]:  # type: ignore[index]
                self._add(handle, handle.layout.matrix(gradient, handle.id.expert))

    def _add(self, handle: MatrixHandle, G: Tensor) -> None:
        """Adds what a gradient (out, in) of one matrix says."""
        W = handle.read()
        G = G.to(torch.promote_types(G.dtype, torch.float32))
        edits = self._edits[handle.id]
        pruned = [edit for edit in edits if edit.kind == "prune"]
        changes = {edit: self._of_any(handle, W, G, edit) for edit in pruned}
        if len(pruned) < len(edits):
            factors = self._changer.cache.get(W, options=self._changer.svd, name=str(handle.id))
            tails = tail_sums(factors, G)
            changes |= {edit: _change(tails, edit) for edit in edits if edit.kind != "prune"}
        for edit, change in changes.items():
            self.changes[handle.id, edit] = self.changes.get((handle.id, edit), 0.0) + change

    def _of_any(self, handle: MatrixHandle, W: Tensor, G: Tensor, edit: Edit) -> float:
        """Returns <G, W' - W> of an edit of any kind."""
        new = self._changer.change(W, edit, str(handle.id)).W
        return float(((new - W).to(G.dtype) * G).sum(dtype=torch.float64))


def tail_sums(factors: Factors, G: Tensor) -> Tensor:
    """Returns (r + 1,) in float64 on the CPU: at k the sum over i > k of S_i u_i^T G v_i, so the last is 0.

    Args:
        factors: of the matrix.
        G: (out, in) gradient.
    """
    if G.shape[0] <= G.shape[1]:
        diagonal = ((G @ factors.Vh.mT) * factors.U).sum(0)  # (r,)
    else:
        diagonal = ((factors.U.mT @ G) * factors.Vh).sum(1)  # (r,)
    terms = (factors.S * diagonal).cpu().double()  # (r,)
    return torch.cat([terms.flip(0).cumsum(0).flip(0), terms.new_zeros(1)])


def _change(tails: Tensor, edit: Edit) -> float:
    if edit.kind == "zero":
        return -float(tails[0])
    if edit.rank is None:
        raise InputError(f"{edit.target}: a prediction needs an edit with an explicit rank, this one has {edit.amount}")
    kept = -float(tails[edit.rank])
    return kept if edit.kind == "low_rank" else -float(tails[0]) - kept


@contextmanager
def _hooked(parameters: Sequence[nn.Parameter], reduce: Callable[[Tensor], None]) -> Iterator[None]:
    """Hands each gradient of the parameters to `reduce` as soon as it is whole, while the context is open."""
    before = [(parameter, parameter.requires_grad, parameter.grad) for parameter in parameters]
    hooks = []
    try:
        for parameter in parameters:
            parameter.requires_grad_(True)
            parameter.grad = None
            hooks.append(parameter.register_post_accumulate_grad_hook(reduce))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for parameter, flag, gradient in before:
            parameter.requires_grad_(flag)
            parameter.grad = gradient
