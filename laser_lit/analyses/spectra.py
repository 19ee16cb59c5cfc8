"""The singular values of the edited matrices, as the edits found them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.linalg.blocks import BlockFactors
from laser_lit.linalg.cache import FactorCache, shared_cache
from laser_lit.linalg.noise import mp_median
from laser_lit.linalg.rules import effective_rank
from laser_lit.linalg.svd import Svd
from laser_lit.models.matrices import MatrixId, MatrixMap
from laser_lit.results.spectra import Spectra, Spectrum

MOST = 12
"""Most spectra in a record."""
POINTS = 200
"""Components of a matrix from which on they are thinned out; the first quarter of as many always stay."""
WITH_RANK = ("low_rank", "high_order")


def spectra(stack: Stack, rows: Sequence[AppliedEdit], matrices: MatrixMap) -> Spectra | None:
    """Returns the spectra of the matrices of which the stack keeps a rank; None where there are none to show.

    Nothing is factorized for it: what the edit did not need (at full rank, by a randomized method) or the cache did not
    keep is left out, and so are matrices that are edited twice.

    Args:
        stack: the edits, resolved before.
        rows: the stack as resolved.
        matrices: the model's, unedited.
    """
    cache = stack.cache or shared_cache()
    names = [row.name for row in rows]
    wanted = [number for number, row in enumerate(rows) if row.kind in WITH_RANK]
    shown: list[Spectrum] = []
    for number in wanted:
        row = rows[number]
        if len(shown) < MOST and names.count(row.name) == 1:
            S = _singular_values(row, matrices, cache, stack.svd)
            shown += [] if S is None else [_spectrum(number, row, S)]
    return Spectra(tuple(shown), len(wanted) - len(shown)) if shown else None


def _singular_values(row: AppliedEdit, matrices: MatrixMap, cache: FactorCache, svd: Svd) -> Tensor | None:
    """Returns all singular values (d,) that an edit chose among, descending; None where they are not at hand."""
    if row.basis is not None:
        return row.basis.S.double()
    W = matrices[MatrixId(row.layer, row.matrix, row.part, row.expert)].read()
    count = row.blocks or 1
    found = [cache.known(block, svd) for block in W.split(len(W) // count)]
    known = tuple(factors for factors in found if factors is not None)
    if len(known) < count:
        return None
    return (known[0] if count == 1 else BlockFactors(known)).S.double()


def _spectrum(number: int, row: AppliedEdit, S: Tensor) -> Spectrum:
    rank, squares = row.rank or 0, S.square()
    first = float(squares[:rank].sum() / squares.sum()) if float(squares.sum()) else 1.0
    places = _places(len(S), rank)
    cut = mp_median(S, row.shape) if row.decomposition is None and float(S[0]) else None
    return Spectrum(
        edit=number,
        components=tuple(int(place) + 1 for place in places),
        values=tuple(S[torch.as_tensor(places)].tolist()),
        energy=first if row.kind == "low_rank" else 1 - first,
        effective_rank=effective_rank(S),
        edge=None if cut is None else cut.threshold,
        above=None if cut is None else cut.rank,
        outputs=row.basis is not None,
    )


def _places(d: int, rank: int) -> np.ndarray:
    """Returns which components a figure shows, from 0: all of a few, else the first ones and then ever fewer."""
    if d <= POINTS:
        return np.arange(d)
    first = np.arange(POINTS // 4)
    rest = np.geomspace(len(first), d - 1, POINTS - len(first)).round().astype(int)
    return np.unique(np.concatenate([first, rest, [max(0, rank - 1), min(rank, d - 1)]]))
