"""The figure of every training: its losses by step."""

from collections.abc import Mapping, Sequence
from typing import Any

from laser_lit.lit.learning_curve import TRAIN, VALIDATION
from laser_lit.report.figure import Figure, layout

_LINES = {
    TRAIN: ("training, a step's", "--quiet", "lines"),
    VALIDATION: ("held out", "--accent", "lines+markers"),
}
"""Of each loss: its name, its colour, how it is drawn."""


def curve_figure(curve: Sequence[Mapping[str, float]]) -> Figure | None:
    """Returns the training loss and the loss on what is held out by step; None for a curve without losses.

    Args:
        curve: a row a step, as `LearningCurve` keeps it.
    """
    found = [_trace(name, rows) for name in _LINES if (rows := [row for row in curve if name in row])]
    if not found:
        return None
    return Figure(
        "curve",
        "Loss by step",
        "The training loss is of each step's own batches; what is held out is looked at now and then.",
        found,
        layout("step", "loss, nats", showlegend=True),
    )


def _trace(name: str, rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    label, colour, mode = _LINES[name]
    return {
        "type": "scatter",
        "mode": mode,
        "name": label,
        "x": [int(row["step"]) for row in rows],
        "y": [round(row[name], 6) for row in rows],
        "hovertemplate": f"{label}, step %{{x:,}}: %{{y:.4f}}<extra></extra>",
        "line": {"color": colour, "width": 2},
    }
