"""How many components to keep, from a share or from the LASER code's rate; rules.py finds it from the spectrum."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation

from laser_lit.errors import InputError

Number = float | int | str | Decimal

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
