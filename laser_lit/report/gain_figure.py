"""The figure of every evaluation: what LASER, an adapter and the controls gain over the base on test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from laser_lit.report.figure import Figure, layout, line
from laser_lit.report.search import in_points, of_gain
from laser_lit.report.variants import variants
from laser_lit.results.compare import Gain
from laser_lit.results.record import Record


@dataclass(frozen=True)
class _Bar:
    """One gain on test, in the unit of the figure, with its interval where there is one."""

    name: str
    gain: float
    ci95: tuple[float, float] | None = None


def gain_figure(record: Record) -> Figure | None:
    """Returns the gains over the base on test, a row each; None for a run of the base alone.

    Args:
        record: of the run; its gains are those of accuracy where that counts, and else of log loss.
    """
    found = [(variant.name, variant.gain) for variant in variants(record)[1:] if variant.gain is not None]
    if not found:
        return None
    share = in_points(record)
    measured = [bar for name, gain in found if (bar := _measured(name, gain, share)) is not None]
    controls = _controls(record) if share else []
    if not measured:
        return None
    unit, gain = "points" if share else "nats", found[0][1]
    traces = [_trace("edited", measured, unit, "--accent")]
    traces += [_trace("controls", controls, unit, "--quiet")] if controls else []
    return Figure(
        "gain",
        "Gain over the base on test",
        f"{gain.n:,} examples in {gain.n_groups:,} groups; bars are 95 % intervals, bootstrap over groups. "
        f"{'Controls have no interval here. ' if controls else ''}The dotted line is the base.",
        traces,
        layout(
            f"gain in {'accuracy' if share else 'log loss'}, {unit}",
            "",
            height=120 + 30 * len([*measured, *controls]),
            yaxis={"type": "category", "autorange": "reversed"},
            shapes=[line(x0=0, x1=0, yref="paper", y0=0, y1=1)],
            showlegend=bool(controls),
        ),
    )


def _measured(name: str, gain: Gain, share: bool) -> _Bar | None:
    """Returns a gain with its interval; None where nothing was measured in the unit."""
    point, ci95, _ = of_gain(gain, share)
    if point is None:
        return None
    scale = 100 if share else 1
    return _Bar(name, scale * point, None if ci95 is None else (scale * ci95[0], scale * ci95[1]))


def _controls(record: Record) -> list[_Bar]:
    """Returns the gains of the controls in points, the best first."""
    base = record.test.base.get("accuracy")
    known = [(control.name, control.accuracy) for control in record.controls if control.accuracy is not None]
    bars = [] if base is None else [_Bar(name, 100 * (accuracy - base)) for name, accuracy in known]
    return sorted(bars, key=lambda bar: -bar.gain)


def _trace(name: str, bars: Sequence[_Bar], unit: str, colour: str) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [round(bar.gain, 5) for bar in bars],
        "y": [bar.name for bar in bars],
        "hovertemplate": f"%{{y}}: %{{x:+.3f}} {unit}<extra></extra>",
        "marker": {"size": 10, "color": colour},
    }
    if any(bar.ci95 is not None for bar in bars):
        ends = [bar.ci95 or (bar.gain, bar.gain) for bar in bars]
        up = [round(high - bar.gain, 5) for bar, (_, high) in zip(bars, ends, strict=True)]
        down = [round(bar.gain - low, 5) for bar, (low, _) in zip(bars, ends, strict=True)]
        trace["error_x"] = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": colour}
    return trace
