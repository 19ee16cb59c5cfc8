"""A matrix beside one of the same entries in random places: what of its spectrum is in the places alone."""

from math import sqrt

import numpy as np
import torch
from torch import Tensor

from laser_lit.linalg.bulk_fit import fit_bulk
from laser_lit.linalg.spectrum import singular_values

REPLICAS = 5
"""Shuffles of a matrix with fewer than FEW singular values, whose largest one would otherwise be left to chance."""
FEW = 100

_WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def compare_with_shuffled(
    W: Tensor, S: Tensor, seed: int = 0, device: torch.device | str | None = None
) -> dict[str, float | int | None]:
    """Returns WeightWatcher's comparison of a spectrum with that of the shuffled entries, by column.

    Args:
        W: (out, in), any floating dtype; it is not changed.
        S: (d,) its singular values, descending.
        seed: of the shuffles.
        device: where singular values are computed; None is where the matrix is.

    Source: `randomize` of weightwatcher 0.7.7: one shuffle, or where there are fewer than 100 singular values five, of
        which the first is compared and all give the edge and the fit.
    """
    S = S.detach().to("cpu", torch.float64)
    rng = np.random.default_rng(seed)
    count = REPLICAS if len(S) < FEW else 1
    spectra = [singular_values(_shuffled(W, rng), device=device or W.device) for _ in range(count)]
    pooled = torch.cat(spectra).sort(descending=True).values  # (count·d,)
    if not float(S[0]) > 0:
        return {}
    fit = fit_bulk(pooled, (W.shape[0], W.shape[1]), as_coded=True)
    top, first, edge = float(S[0]), float(spectra[0][0]), float(pooled[0])
    return {
        "max_rand_eval": edge**2,
        "num_spikes_above_rand": int(S.gt(edge).sum()),
        "rand_distance": _jensen_shannon(S.square(), spectra[0].square()),
        "rand_num_spikes": fit.spikes if fit else None,
        "rand_sigma_mp": fit.sigma if fit else None,
        "rand_bulk_max": fit.high if fit else None,
        "ww_softrank": (first / top) ** 2,
        "ww_maxdist": top**2 - first**2,
    }


def _shuffled(W: Tensor, rng: np.random.Generator) -> Tensor:
    """Returns the same entries in other places, on the CPU: numpy moves them as words, since it has no bfloat16."""
    entries = W.detach().to("cpu", copy=True).contiguous().view(_WORDS[W.element_size()])  # (out, in)
    rng.shuffle(entries.view(-1).numpy())
    return entries.view(W.dtype)


def _jensen_shannon(p: Tensor, q: Tensor) -> float:
    """Returns the distance of two spectra, each divided by its sum, in nats^½."""
    p, q = p / p.sum(), q / q.sum()
    middle = torch.special.entr((p + q) / 2).sum()
    return sqrt(max(0.0, float(middle - (torch.special.entr(p).sum() + torch.special.entr(q).sum()) / 2)))
