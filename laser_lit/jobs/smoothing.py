"""`laser=svd_smoothing`: WeightWatcher's SVDSmoothing as edits."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError, unknown_name
from laser_lit.models.matrices import MatrixMap
from laser_lit.search.amounts import rank_by_rule, spectra

METHODS = {"detX": "detx", "alpha_min": "xmin", "rmt": "ww_rmt", "auto": "ww_auto", "svd": None}
"""WeightWatcher's name of a method -> the rank rule; svd takes a share instead."""
DEFAULT, PERCENT = "detX", "0.8"


def smoothing(laser: Mapping[str, Any]) -> Edit:
    """Returns the edit that smooths, of all matrices where none are named.

    Args:
        laser: the fields of `laser=`: layer, matrix, part, expert, method and percent.

    Raises:
        InputError: an unknown method, a percent out of range or of a method that takes none.

    Source: `WeightWatcher.SVDSmoothing` of weightwatcher 0.7.7, with its defaults; unknown methods it only logs.
    """
    method, percent = laser["method"] or DEFAULT, laser["percent"]
    if method not in METHODS:
        raise unknown_name("laser.method", method, METHODS)
    layer, matrix = ("all" if laser[name] is None else laser[name] for name in ("layer", "matrix"))
    place = {"layer": layer, "matrix": matrix, "part": laser["part"], "expert": laser["expert"]}
    if METHODS[method] is not None:
        if percent is not None:
            raise InputError(
                f"laser.percent={percent} counts for laser.method=svd alone: "
                f"method {method} finds the rank; type laser.method=svd too"
            )
        return Edit(**place, rule=METHODS[method])
    share = _share(percent)
    return Edit(**place, rho=abs(share), kind="high_order" if share < 0 else "low_rank")


def smoothed(stack: Stack, matrices: MatrixMap) -> tuple[Stack, tuple[str, ...]]:
    """Returns the stack with the ranks that its rule finds, and a note of the matrices that it leaves alone.

    As in WeightWatcher a matrix stays as it is where the method finds nothing to keep (no spikes, no fit).

    Args:
        stack: of one edit, from `smoothing`.
        matrices: the model's.

    Raises:
        InputError: the method finds nothing to keep in any matrix.
    """
    (edit,) = stack.edits
    if edit.rule is None:
        return stack, ()
    edits, left = [], []
    for id in stack.by_matrix(matrices):
        rank = rank_by_rule(edit.rule, spectra(matrices, [id]))
        if rank:
            edits.append(Edit(id.layer, id.matrix, rank=rank, part=id.part, expert=id.expert))
        else:
            left.append(str(id))
    if not edits:
        raise InputError(f"rule {edit.rule} keeps nothing of any matrix named, as of {left[0]}: take another method")
    note = f"left as they are, since rule {edit.rule} finds nothing to keep in them: {', '.join(left)}"
    return Stack(edits, stack.combine, stack.svd, stack.cache), (note,) if left else ()


def _share(percent: Any) -> Decimal:
    """Returns the share that method svd keeps, or with a minus sign the one that it takes from the top."""
    given = PERCENT if percent is None else percent
    try:
        share = None if isinstance(given, bool) else Decimal(str(given))
    except InvalidOperation:
        share = None
    if share is None or not share.is_finite() or share == 0 or not -1 < share <= 1:
        raise InputError(
            f"laser.percent={given}: must be a share in (-1, 1] that is not 0, as 0.8; -0.2 takes the top fifth away"
        )
    return share
