"""Rank rules: how many components to keep, found from all singular values of a matrix."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg import noise
from laser_lit.linalg.bulk_fit import fit_bulk
from laser_lit.linalg.power_law import fit_power_law

Shape = tuple[int, int]
Rule = Callable[..., int]


def energy(S: Tensor, shape: Shape, share: float = 0.95) -> int:
    """Returns the fewest components whose squares add up to a share of all squares."""
    squares = S.double().square()
    total = squares.cumsum(0)
    if not 0 < share <= 1:
        raise InputError(f"energy:{share}: the share must lie in (0, 1]")
    return 0 if float(total[-1]) == 0 else int((total < share * total[-1]).sum()) + 1


def effective_rank(S: Tensor) -> float:
    """Returns exp(H) of p = S/ΣS; 0 where all singular values vanish.

    Args:
        S: (d,) all singular values.

    Source: Roy and Vetterli 2007, definition 1.
    """
    total = S.double().sum()
    return 0.0 if float(total) == 0 else float(torch.special.entr(S.double() / total).sum().exp())


def entropy(S: Tensor, shape: Shape) -> int:
    """Returns the effective rank, rounded to the nearest whole number.

    Source: Roy and Vetterli 2007, definition 1.
    """
    return round(effective_rank(S))


def laser_rmt(S: Tensor, shape: Shape) -> int:
    """Returns the rank of `noise.laser_rmt`: laserRMT's rule as it is coded, not the noise edge."""
    return noise.laser_rmt(S, shape).rank


def mp_median(S: Tensor, shape: Shape) -> int:
    """Returns the rank of `noise.mp_median`: what rises above the Marchenko–Pastur edge."""
    return noise.mp_median(S, shape).rank


def mp_iqr(S: Tensor, shape: Shape) -> int:
    """Returns the rank of `noise.mp_iqr`: the edge from the interquartile range, iterated on the bulk."""
    return noise.mp_iqr(S, shape).rank


def gavish_donoho(S: Tensor, shape: Shape) -> int:
    """Returns the rank of `noise.gavish_donoho`: what rises above the optimal hard threshold."""
    return noise.gavish_donoho(S, shape).rank


def detx(S: Tensor, shape: Shape) -> int:
    """Returns the fewest components whose eigenvalues S², scaled to mean 1, have a product below 1; all if none have.

    Source: `detX_constraint` of weightwatcher 0.7.7; in logarithms, which do not underflow.
    """
    eigenvalues = S.double().square()
    if float(S[0]) == 0:
        return 0
    logs = (eigenvalues / eigenvalues.mean()).log().cumsum(0)  # (d,)
    below = (logs < -1e-12 * len(S)).nonzero()  # rounding makes no constant spectrum fall below 1
    return int(below[0]) + 1 if len(below) else len(S)


def xmin(S: Tensor, shape: Shape) -> int:
    """Returns the number of eigenvalues S² in the tail that a power law fits best; 0 where there is no fit.

    Source: `alpha_min` of weightwatcher 0.7.7; see `fit_power_law`.
    """
    fit = fit_power_law(S.double().square())
    return fit.n if fit else 0


def mp_fit(S: Tensor, shape: Shape) -> int:
    """Returns the number of eigenvalues S² above the Marchenko–Pastur law that fits their density.

    Source: as `ww_rmt`, with the right law for square matrices; see `fit_bulk`.
    """
    fit = fit_bulk(S, shape)
    return fit.spikes if fit else 0


def ww_rmt(S: Tensor, shape: Shape) -> int:
    """Returns the number of spikes as WeightWatcher counts them; of a square matrix too few, see `fit_bulk`.

    Source: `rmt` of weightwatcher 0.7.7.
    """
    fit = fit_bulk(S, shape, as_coded=True)
    return fit.spikes if fit else 0


def ww_auto(S: Tensor, shape: Shape) -> int:
    """Returns the rank of `ww_rmt` where the power law is steeper than 6, and of `detx` elsewhere.

    Source: `auto` of weightwatcher 0.7.7.
    """
    fit = fit_power_law(S.double().square())
    return ww_rmt(S, shape) if fit and fit.alpha > 6 else detx(S, shape)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "energy": energy,
        "entropy": entropy,
        "laser_rmt": laser_rmt,
        "mp_median": mp_median,
        "mp_iqr": mp_iqr,
        "gavish_donoho": gavish_donoho,
        "detx": detx,
        "xmin": xmin,
        "mp_fit": mp_fit,
        "ww_rmt": ww_rmt,
        "ww_auto": ww_auto,
    }
)
"""Rank rules by name: all singular values (d,), descending, and the shape of the matrix -> how many to keep, or 0."""


def rule_named(text: str) -> Callable[[Tensor, Shape], int]:
    """Returns the rule that a name means; "energy:0.9" sets the share that energy keeps.

    Args:
        text: a key of RULES.

    Raises:
        InputError: for a name that no rule has, or a share that is none.
    """
    name, colon, share = str(text).partition(":")
    if name not in RULES:
        raise unknown_name("rule", text, RULES, "energy:0.9 keeps another share than .95")
    if not colon:
        return RULES[name]
    if name != "energy" or not re.fullmatch(r"0?\.\d+|1(\.0*)?", share) or float(share) == 0:
        raise InputError(f"rule {text}: only energy takes a share, as in energy:0.9, in (0, 1]")
    return lambda S, shape: energy(S, shape, float(share))


def rank_from_rule(rule: str, S: Tensor, shape: Shape, name: str = "the matrix") -> int:
    """Returns the rank that a rule finds.

    Args:
        rule: see `rule_named`.
        S: (d,) all singular values.
        shape: of the matrix.
        name: what errors call the matrix.

    Raises:
        InputError: for an unknown rule, and where the rule keeps nothing: removing a matrix is asked for by kind=zero.
    """
    rank = rule_named(rule)(S, shape)
    if rank == 0:
        raise InputError(
            f"rule {rule} for {name}: keeps 0 of {len(S)} components; name a rank, or remove it: kind=zero"
        )
    return rank
