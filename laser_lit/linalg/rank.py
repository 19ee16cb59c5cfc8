"""How many components to keep: from a share, from the LASER code's rate, or from the spectrum by a rule."""

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from types import MappingProxyType

import torch
from torch import Tensor

from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.marchenko_pastur import edge, noise_level, optimal_threshold

Number = float | int | str | Decimal
Shape = tuple[int, int]
Rule = Callable[..., int]

_EXACT = Context(prec=60)


def rank_from_rho(rho: Number, d: int, name: str = "the matrix") -> int:
    """Returns floor(rho·d), computed in decimal from the number as it is typed: .29·100 is 29.

    Args:
        rho: kept share, in [0, 1].
        d: what a share of 1 keeps: min(out, in) components, or out·in entries.
        name: what errors call the matrix.

    Raises:
        InputError: for a rho outside [0, 1], and for one that keeps nothing.

    Source: Sharma, Ash and Misra 2023, section 3.
    """
    share = check_rho(rho, name)
    kept = int(_EXACT.multiply(share, Decimal(d)).to_integral_value(ROUND_FLOOR))
    if kept == 0:
        raise InputError(
            f"rho {rho} for {name}: keeps 0 of {d}; the smallest valid rho is {_plain(smallest_rho(d))} "
            "(kind=zero removes the matrix)"
        )
    return kept


def check_rho(rho: Number, name: str = "the matrix") -> Decimal:
    """Returns rho exactly as typed.

    Args:
        rho: kept share.
        name: what errors call the matrix.

    Raises:
        InputError: unless it is a number in [0, 1].
    """
    share = _decimal(rho, "rho", name)
    if not 0 <= share <= 1:
        raise InputError(f"rho {rho} for {name}: must lie in [0, 1]")
    return share


def rank_from_rate(rate: Number, d: int, name: str = "the matrix") -> int:
    """Returns the rank that the LASER code's rate keeps (see `rho_from_rate`).

    Args:
        rate: in [0, 10).
        d: what a rate of 0 keeps.
        name: what errors call the matrix.

    Raises:
        InputError: for a rate outside [0, 10), and for one that keeps nothing.
    """
    return rank_from_rho(rho_from_rate(rate, name), d, name)


def rho_from_rate(rate: Number, name: str = "the matrix") -> Decimal:
    """Returns rho = 1 - rate/10, exactly.

    Args:
        rate: the LASER code's rate of reduction, in [0, 10).
        name: what errors call the matrix.

    Raises:
        InputError: for a rate out of range.

    Source: the `rate` option of the LASER code, 10·(1 - rho).
    """
    number = _decimal(rate, "rate", name)
    if not 0 <= number < 10:
        raise InputError(f"rate {rate} for {name}: must lie in [0, 10); it is 10·(1 - rho), and kind=zero removes all")
    return _EXACT.subtract(Decimal(1), _EXACT.divide(number, Decimal(10)))


def smallest_rho(d: int) -> Decimal:
    """Returns the smallest rho of at most six digits that keeps one of d."""
    return rho_of(1, d)


def rho_of(kept: int, d: int) -> Decimal:
    """Returns the smallest rho of six digits (more only where these do not tell it apart) with floor(rho·d) = kept.

    Args:
        kept: 0 … d.
        d: what a share of 1 keeps.
    """
    for digits in range(6, 60):
        rho = Context(prec=digits, rounding=ROUND_CEILING).divide(Decimal(kept), Decimal(d))
        if int(_EXACT.multiply(rho, Decimal(d)).to_integral_value(ROUND_FLOOR)) == kept:
            return rho
    raise InputError(f"no decimal of 60 digits gives {kept} of {d}")


def energy(S: Tensor, shape: Shape, share: float = 0.95) -> int:
    """Returns the fewest components whose squares add up to a share of all squares."""
    squares = S.double().square()
    total = squares.cumsum(0)
    if not 0 < share <= 1:
        raise InputError(f"energy:{share}: the share must lie in (0, 1]")
    return 0 if float(total[-1]) == 0 else int((total < share * total[-1]).sum()) + 1


def entropy(S: Tensor, shape: Shape) -> int:
    """Returns the effective rank exp(H) of p = S/ΣS, rounded to the nearest whole number.

    Source: Roy and Vetterli 2007, definition 1.
    """
    total = S.double().sum()
    if float(total) == 0:
        return 0
    return round(float(torch.special.entr(S.double() / total).sum().exp()))


def laser_rmt(S: Tensor, shape: Shape) -> int:
    """Returns the number of S above IQR(S)/1.349·(1 + √beta): laserRMT's rule as it is coded, not the noise edge.

    Source: cognitivecomputations/laserRMT at 6410e2b.
    """
    low, high = torch.quantile(S.double(), torch.tensor([0.25, 0.75], dtype=torch.float64, device=S.device)).tolist()
    return _above(S, (high - low) / 1.349 * edge(_beta(shape)))


def mp_median(S: Tensor, shape: Shape) -> int:
    """Returns the number of S above the Marchenko–Pastur edge, the noise level taken from the median.

    Source: Marchenko and Pastur 1967; the noise level as in Gavish and Donoho 2014.
    """
    return _above_noise(S, shape, edge(_beta(shape)))


def gavish_donoho(S: Tensor, shape: Shape) -> int:
    """Returns the number of S above the optimal hard threshold for unknown noise.

    Source: Gavish and Donoho 2014, equation 11 and section III.D.
    """
    return _above_noise(S, shape, optimal_threshold(_beta(shape)))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "energy": energy,
        "entropy": entropy,
        "laser_rmt": laser_rmt,
        "mp_median": mp_median,
        "gavish_donoho": gavish_donoho,
    }
)
"""Rank rules by name: all singular values (d,) and the shape of the matrix -> how many to keep, possibly 0."""


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
    if name != "energy" or not re.fullmatch(r"0?\.\d+|1(\.0*)?", share):
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
    return min(rank, len(S))


def _beta(shape: Shape) -> float:
    return min(shape) / max(shape)


def _above_noise(S: Tensor, shape: Shape, times: float) -> int:
    """Returns the number of S above some multiple of sigma·√N, and above what float32 rounding makes of zeros.

    Source: the tolerance of numpy.linalg.matrix_rank, for the rounding.
    """
    rounding = float(S[0]) * max(shape) * torch.finfo(torch.float32).eps
    return _above(S, max(rounding, noise_level(S, shape) * max(shape) ** 0.5 * times))


def _above(S: Tensor, threshold: float) -> int:
    return int((S.double() > threshold).sum())


def _decimal(value: Number, what: str, name: str) -> Decimal:
    """Returns the number as it was typed: a float counts as its shortest decimal form."""
    try:
        number = None if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise InputError(f"{what} {value!r} for {name}: must be a number")
    return number


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
