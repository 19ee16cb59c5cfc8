"""Gains with their intervals, drawn on one axis."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Strip:
    """A gain with its interval on an axis that several share; positions in percent of the axis.

    Attributes:
        name: whose gain it is.
        text: the gain in words.
        zero: where no gain is.
        point: where the gain is.
        low: lower end of the interval; None without one.
        high: upper end.
    """

    name: str
    text: str
    zero: float
    point: float
    low: float | None
    high: float | None


def strips(gains: Sequence[tuple[str, str, float, tuple[float, float] | None]]) -> list[Strip]:
    """Returns the gains on an axis that all of them and zero fit on.

    Args:
        gains: name, text, gain and interval (or None) of each, in one unit.
    """
    ends = [0.0] + [end for _, _, point, ci95 in gains for end in (point, *(ci95 or ()))]
    low, width = min(ends), (max(ends) - min(ends)) or 1.0

    def place(number: float) -> float:
        return round(4 + 92 * (number - low) / width, 2)

    return [
        Strip(
            name,
            text,
            place(0.0),
            place(point),
            place(ci95[0]) if ci95 else None,
            place(ci95[1]) if ci95 else None,
        )
        for name, text, point, ci95 in gains
    ]
