"""What one backward pass says about every cut of every matrix: gradients reduced to singular values, one at a time."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor, nn

from laser_lit.edits.change import Changer
from laser_lit.edits.decompose import Calibration, Decomposition
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache, shared_cache
from laser_lit.linalg.svd import Factors, Svd
from laser_lit.models.matrices import MatrixHandle, MatrixId, MatrixMap

HALF_SCALES = (2.0**16, 2.0**8, 1.0)
"""What the loss of a float16 model is multiplied by, so that small gradients are not rounded to 0; each is tried."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known of an edit before it is scored.

    Attributes:
        change: of the loss, as the gradient predicts it (nats, negative is better).
        size: ||W' - W|| / ||W|| in the Frobenius norm, over all matrices of the edit; the first-order prediction
            becomes the poorer the larger it is.
    """

    change: float
    size: float


def forecasts(
    losses: Callable[[], Iterable[Tensor]],
    matrices: MatrixMap,
    edits: Sequence[Edit],
    svd: Svd | None = None,
    cache: FactorCache | None = None,
    calibration: Calibration | None = None,
) -> dict[Edit, Forecast]:
    """Returns how much the gradient of the loss predicts each edit to change it, and how large the edit is.

    An edit that makes W' of W is predicted to change the loss by <dL/dW, W' - W>; with W = U diag(S) Vh, cutting to
    rank k by minus the sum over i > k of S_i dL/dS_i, where dL/dS_i = u_i^T (dL/dW) v_i. Each matrix's gradient is
    reduced to these numbers as soon as the backward pass has it, and freed: beside the model and the activations,
    one stored tensor's gradient and one matrix's factors are held. The parameters' `grad` and `requires_grad` come
    back as they were.

    Args:
        losses: called for scalars, a micro-batch each, whose sum is the loss; each is made when it is asked for.
        matrices: the model's.
        edits: of any kind, on any matrices, with explicit ranks; an edit of several matrices counts their sum.
        svd: how matrices are factorized.
        cache: where factors are kept; None is the cache folder's own.
        calibration: what whitened edits are calibrated on.

    Raises:
        InputError: gradients that are not finite, or an edit that the model cannot have.

    Source: Sreeram, Maalouf, Sharma and Rus 2025 (arXiv 2510.20800), who rank matrices by dL/dS.
    """
    targets = {edit: matrices.select(edit.layer, edit.matrix, edit.part, edit.expert) for edit in edits}
    by_matrix = _by_matrix(targets)
    half = any(matrices[id].dtype == torch.float16 for id in by_matrix)
    for scale in HALF_SCALES if half else (1.0,):
        reducer = _Reducer(matrices, by_matrix, Changer(cache or shared_cache(), svd or Svd(), calibration))
        reducer.backward(losses(), scale)
        found = {edit: reducer.forecast(edit, ids, scale) for edit, ids in targets.items()}
        if all(abs(forecast.change) < float("inf") for forecast in found.values()):
            return found
    raise InputError("the gradients of the loss are not finite numbers; load the model in float32 or bfloat16")


def _by_matrix(targets: Mapping[Edit, Sequence[MatrixId]]) -> dict[MatrixId, list[Edit]]:
    found: dict[MatrixId, list[Edit]] = {}
    for edit, ids in targets.items():
        for id in ids:
            found.setdefault(id, []).append(edit)
    return found


class _Reducer:
    """Sums up what the gradients of several micro-batches say about edits."""

    def __init__(self, matrices: MatrixMap, by_matrix: dict[MatrixId, list[Edit]], changer: Changer) -> None:
        self._changes: dict[tuple[MatrixId, Edit], float] = {}
        self._squares: dict[tuple[MatrixId, Edit], tuple[float, float]] = {}  # of W' - W, and of W
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

    def forecast(self, edit: Edit, ids: Sequence[MatrixId], scale: float) -> Forecast:
        """Returns the sums over an edit's matrices; one that no example reached (an idle expert) adds nothing."""
        change = sum(self._changes.get((id, edit), 0.0) for id in ids)
        squares = [self._squares[id, edit] for id in ids if (id, edit) in self._squares]
        moved, whole = (sum(parts) for parts in zip(*squares, strict=True)) if squares else (0.0, 0.0)
        return Forecast(change / scale, (moved / whole) ** 0.5 if whole else 0.0)

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
        found = {edit: self._pruned(handle, W, G, edit) for edit in edits if edit.kind == "prune"}
        if len(found) < len(edits):
            found |= self._cut(handle, W, G, [edit for edit in edits if edit.kind != "prune"])
        for edit, (change, moved, whole) in found.items():
            self._changes[handle.id, edit] = self._changes.get((handle.id, edit), 0.0) + change
            self._squares[handle.id, edit] = moved, whole

    def _cut(
        self, handle: MatrixHandle, W: Tensor, G: Tensor, edits: Sequence[Edit]
    ) -> dict[Edit, tuple[float, float, float]]:
        """Returns <G, W' - W>, ||W' - W||^2 and ||W||^2 of edits that take components away.

        Whatever the components are, they add up to W and are at right angles to each other, so that what a cut takes
        away is a sum over them.
        """
        cuts = [
            edit for edit in edits if edit.kind != "zero"
        ] or edits  # zero takes everything, whatever the components
        found = {}
        for how in {(edit.decomposition, edit.blocks): edit for edit in cuts}.values():
            factors = self._changer.decomposer.components(W, how, str(handle.id), handle)
            slopes, squares = _tails_of(factors, G)
            for edit in edits:
                if edit.kind == "zero" or (edit.decomposition, edit.blocks) == (how.decomposition, how.blocks):
                    found[edit] = -_dropped(slopes, edit), _dropped(squares, edit), float(squares[0])
        return found

    def _pruned(self, handle: MatrixHandle, W: Tensor, G: Tensor, edit: Edit) -> tuple[float, float, float]:
        """Returns <G, W' - W>, ||W' - W||^2 and ||W||^2."""
        difference = (self._changer.change(W, edit, str(handle.id)).W - W).to(G.dtype)
        products = (difference * G, difference.square(), W.to(G.dtype).square())
        change, moved, whole = (float(product.sum(dtype=torch.float64)) for product in products)
        return change, moved, whole


def _tails_of(factors: Decomposition, G: Tensor) -> tuple[Tensor, Tensor]:
    """Returns (r + 1,) twice, float64 on the CPU: at k the sums over components i > k of <G, T_i> and of ||T_i||^2."""
    pieces = (factors,) if isinstance(factors, Factors) else factors.pieces()
    rows = G.split([piece.shape[0] for piece in pieces])
    slopes = sum(tail_sums(piece, part) for piece, part in zip(pieces, rows, strict=True))
    squares = sum(piece.S.cpu().double().square() for piece in pieces)
    return torch.as_tensor(slopes), _tails(torch.as_tensor(squares))


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
    return _tails((factors.S * diagonal).cpu().double())


def _tails(terms: Tensor) -> Tensor:
    """Returns (r + 1,): at k the sum of the terms after the first k."""
    return torch.cat([terms.flip(0).cumsum(0).flip(0), terms.new_zeros(1)])


def _dropped(tails: Tensor, edit: Edit) -> float:
    """Returns the sum over the components that an edit takes away."""
    if edit.kind == "zero":
        return float(tails[0])
    if edit.rank is None:
        raise InputError(f"{edit.target}: a prediction needs an edit with an explicit rank, this one has {edit.amount}")
    return float(tails[edit.rank] if edit.kind == "low_rank" else tails[0] - tails[edit.rank])


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
