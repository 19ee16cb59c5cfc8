"""Which candidate to score next: predictions of a gradient, corrected by what was measured so far."""

from collections.abc import Mapping

import numpy as np

from laser_lit.edits.edit import Edit
from laser_lit.search.slopes import Forecast
from laser_lit.search.space import place_of

ALL, NAME, PLACE = 0.5, 1.0, 1.0
"""Prior deviations of the curvature: what all matrices share, those of one name, and one matrix's own."""
REACH = 0.5
"""Difference of size over which a curvature changes: the first component that is cut off costs less than the last."""
NOISE = 0.2
"""Deviation of what a curvature does not explain, for an edit of size 1."""
MOST = 2.0
"""Largest excess that is learned from, in units: how bad a ruined model is says nothing of other matrices."""
OPTIMISM = 0.5
"""Deviations below its mean at which a candidate is judged, so that what is not known yet is tried."""

_Features = tuple[np.ndarray, np.ndarray, np.ndarray]


class Surrogate:
    """Knows what edits do to the loss: what the gradient predicts, plus a curvature times the edit's size squared.

    A gradient sees no curvature: it takes edits for better than they are, those of some matrices far more than those of
    others. So measured = predicted + c · size², where c is normal, shared in part by all matrices, by those of one
    name, by the ranks of one matrix, and the less, the more two sizes differ. Every scored candidate tells something of
    c, and the next is the one of the lowest mean minus half a deviation: a few cells tell which predictions to believe.
    The constants were set on the built-in facts models and on four texts under tinystories-260k; on eight other texts
    20 of 385 cells reached the grid's best seven times, and the first 20 in the gradient's own order once.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), section 2.2 (regression);
        Srinivas et al. 2010, "Gaussian Process Optimization in the Bandit Setting" (the lower bound).
    """

    def __init__(self, forecasts: Mapping[Edit, Forecast]) -> None:
        """Takes the largest predicted change for the unit of all changes.

        Args:
            forecasts: of all candidates.
        """
        self._unit = max((abs(forecast.change) for forecast in forecasts.values()), default=0.0) or 1.0
        self._edits: list[Edit] = []
        self._sizes: list[float] = []
        self._excess: list[float] = []

    def observe(self, edit: Edit, forecast: Forecast, change: float) -> None:
        """Learns from a candidate that was scored; changes that are no numbers are passed over.

        Args:
            edit: the candidate.
            forecast: of it.
            change: of the mean log loss, measured (nats).
        """
        if np.isfinite(change):
            self._edits.append(edit)
            self._sizes.append(forecast.size)
            self._excess.append(min((change - forecast.change) / self._unit, MOST))

    def most_promising(self, forecasts: Mapping[Edit, Forecast]) -> Edit:
        """Returns the candidate whose loss may well be the lowest; of equals the first.

        Args:
            forecasts: of the candidates that are left, at least one.
        """
        edits = list(forecasts)
        predicted = np.array([forecasts[edit].change for edit in edits]) / self._unit
        mean, deviation = self._excesses(_features(edits, [forecasts[edit].size for edit in edits]))
        return edits[int(np.argmin(predicted + mean - OPTIMISM * deviation))]

    def _excesses(self, new: _Features) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and deviation (candidates,) of measured minus predicted change, in units."""
        variance = (ALL**2 + NAME**2 + PLACE**2) * new[0] ** 4
        if not self._edits:
            return np.zeros_like(variance), np.sqrt(variance)
        seen = _features(self._edits, self._sizes)
        noise = NOISE * np.maximum(seen[0] ** 2, 0.05)  # an edit of no size is measured no better than a small one
        across = _covariance(new, seen)  # (candidates, seen)
        solved = np.linalg.solve(_covariance(seen, seen) + np.diag(noise**2), across.T)  # (seen, candidates)
        left = variance - (across * solved.T).sum(axis=1)
        return solved.T @ np.array(self._excess), np.sqrt(np.maximum(left, 0.0))


def _features(edits: list[Edit], sizes: list[float]) -> _Features:
    """Returns sizes, names and places; edits of unlike kinds share neither name nor place."""
    names = np.array([f"{edit.matrix} {edit.kind}" for edit in edits])
    places = np.array([f"{place_of(edit)} {edit.kind}" for edit in edits])
    return np.array(sizes), names, places


def _covariance(a: _Features, b: _Features) -> np.ndarray:
    shared = ALL**2 + NAME**2 * (a[1][:, None] == b[1]) + PLACE**2 * (a[2][:, None] == b[2])
    near = np.exp(-0.5 * ((a[0][:, None] - b[0]) / REACH) ** 2)
    return np.outer(a[0] ** 2, b[0] ** 2) * shared * near
