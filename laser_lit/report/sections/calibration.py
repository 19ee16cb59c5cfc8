"""Does the model know when it is right? Accuracy against confidence, of base and edit."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from laser_lit.report.figure import Figure, layout, line
from laser_lit.report.sections.section import Section, Table
from laser_lit.report.wording import value
from laser_lit.results.record import Record
from laser_lit.results.stats import bootstrap_ci

BINS = 10
LEAST = 100
"""Examples below which a curve says nothing."""
_LOOKS = {"base": ("--quiet", "circle"), "laser": ("--accent", "square"), "reft": ("--good", "diamond")}
_NAMES = {"base": "base", "laser": "LASER", "reft": "adapter"}


@dataclass(frozen=True)
class Reliability:
    """Accuracy by confidence, in bins of as many examples each.

    Attributes:
        confidence: (bins,) mean confidence.
        accuracy: (bins,) share that is right.
        ci95: interval of each accuracy, bootstrap over groups; None for a bin of a single group.
        counts: (bins,) examples.
        error: expected calibration error: mean over examples of |accuracy − confidence| of their bin.
        mean: mean confidence over all.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    ci95: tuple[tuple[float, float] | None, ...]
    counts: tuple[int, ...]
    error: float
    mean: float


def reliability(confidence: np.ndarray, correct: np.ndarray, groups: np.ndarray, bins: int = BINS) -> Reliability:
    """Returns how far confidence can be taken for accuracy.

    Args:
        confidence: (n,) probability of each prediction.
        correct: (n,) whether it is right.
        groups: (n,) the group of each example.
        bins: of equal size, in the order of confidence.

    Source: Nguyen and O'Connor 2015, "Posterior calibration and exploratory analysis for natural language processing
    models": adaptive binning; Guo et al. 2017, arXiv 1706.04599, equation 3, for the error.
    """
    parts = [part for part in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(part)]
    means = tuple(float(confidence[part].mean()) for part in parts)
    right = tuple(float(correct[part].mean()) for part in parts)
    counts = tuple(len(part) for part in parts)
    gaps = [count * abs(mean - share) for count, mean, share in zip(counts, means, right, strict=True)]
    ci95 = tuple(bootstrap_ci(correct[part].astype(float), groups[part], resamples=2_000) for part in parts)
    return Reliability(means, right, ci95, counts, sum(gaps) / len(confidence), float(confidence.mean()))


def calibration_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None where predictions have no confidence (text, generated answers), or are few.

    Args:
        record: of the run.
        predictions: as from `predictions_table`.
    """
    test = predictions[predictions["split"] == "test"]
    curves = {who: curve for who in _NAMES if (curve := _curve(test, who)) is not None}
    if "base" not in curves:
        return None
    words = [f"{_NAMES[who]} {value(curve.error, True)}" for who, curve in curves.items()]
    sentence = f"Mean distance of confidence from accuracy (expected calibration error) on test: {', '.join(words)}."
    columns = ("", "accuracy", "mean confidence", "calibration error")
    rows = tuple((_NAMES[who], *_numbers(curve)) for who, curve in curves.items())
    table = Table("calibration", "Confidence and accuracy", columns, rows, columns[1:])
    note = "The error is biased upwards in small samples; it compares base and edit on the same examples."
    return Section("calibration", "Calibration", (sentence,), (_figure(curves),), (table,), note)


def _numbers(curve: Reliability) -> tuple[str, str, str]:
    accuracy = float(np.average(curve.accuracy, weights=curve.counts))
    return value(accuracy, True), value(curve.mean, True), value(curve.error, True)


def _curve(test: pd.DataFrame, who: str) -> Reliability | None:
    names = (f"{who}_confidence", f"{who}_correct")
    if len(test) < LEAST or not set(names) <= set(test.columns) or test[list(names)].isna().any(axis=None):
        return None
    confidence, correct = (test[name].to_numpy(float) for name in names)
    return reliability(confidence, correct, test["group"].astype(str).to_numpy())


def _figure(curves: dict[str, Reliability]) -> Figure:
    axis = {"range": [0, 100], "dtick": 20}
    return Figure(
        "calibration",
        "Accuracy against confidence",
        f"{BINS} bins of as many test examples each, with 95 % intervals over groups; on the dotted line confidence "
        "can be taken for accuracy, below it the model is too sure.",
        [_trace(who, curve) for who, curve in curves.items()],
        layout(
            *("confidence, %", "right, %"),
            xaxis=axis,
            yaxis=axis,
            shapes=[line(x0=0, y0=0, x1=100, y1=100)],
            showlegend=True,
        ),
    )


def _trace(who: str, curve: Reliability) -> dict[str, Any]:
    colour, symbol = _LOOKS[who]
    percent = [round(100 * share, 2) for share in curve.accuracy]
    ends = [(share, share) if ci95 is None else ci95 for share, ci95 in zip(curve.accuracy, curve.ci95, strict=True)]
    above = [round(100 * (high - share), 2) for (_, high), share in zip(ends, curve.accuracy, strict=True)]
    below = [round(100 * (share - low), 2) for (low, _), share in zip(ends, curve.accuracy, strict=True)]
    return {
        **{"type": "scatter", "mode": "lines+markers", "name": _NAMES[who]},
        "x": [round(100 * mean, 2) for mean in curve.confidence],
        "y": percent,
        "text": [f"{count:,} examples" for count in curve.counts],
        "hovertemplate": f"{_NAMES[who]}: confidence %{{x:.1f}} %, right %{{y:.1f}} %<br>%{{text}}<extra></extra>",
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "thickness": 1,
            "width": 0,
        },
        "line": {"color": colour, "width": 2},
        "marker": {"size": 7, "symbol": symbol, "color": colour},
    }
