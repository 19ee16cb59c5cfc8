"""Which examples does the edit fix? Test accuracy, gain and the share of errors fixed by how often facts were told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from laser_lit.report.figure import Figure, layout, log_axis
from laser_lit.report.sections.section import Section, Table
from laser_lit.report.wording import interval, signed, value
from laser_lit.results.record import Record
from laser_lit.results.stats import bootstrap_ci

BINS = 5
_NAMES = {5: "fifth", 4: "quarter", 3: "third", 2: "half"}
_COLUMNS = (
    *("told", "examples", "base", "LASER", "gain, points", "95 % interval"),
    *("base errors", "of them fixed", "95 % interval ", "right answers broken"),
)


@dataclass(frozen=True)
class Bin:
    """The test examples of one range of frequencies.

    Attributes:
        low: least frequency.
        high: greatest.
        n: examples.
        base: accuracy.
        laser: accuracy.
        gain: the difference.
        ci95: its interval, bootstrap over groups.
        errors: examples that the base gets wrong.
        fixed: share of them that LASER gets right; None without errors.
        fixed_ci95: its interval.
        broken: examples that the base alone gets right.
    """

    low: int
    high: int
    n: int
    base: float
    laser: float
    gain: float
    ci95: tuple[float, float] | None
    errors: int
    fixed: float | None
    fixed_ci95: tuple[float, float] | None
    broken: int

    @classmethod
    def of(cls, rows: pd.DataFrame, seed: int = 0) -> "Bin":
        """Returns the numbers of some rows.

        Args:
            rows: of the predictions, at least one, with frequency, group, base_correct and laser_correct.
            seed: of the resampling.
        """
        base, laser = (rows[f"{who}_correct"].to_numpy(float) for who in ("base", "laser"))
        wrong, groups = base == 0, rows["group"].astype(str).to_numpy()
        return cls(
            *(int(rows["frequency"].min()), int(rows["frequency"].max()), len(rows)),
            *(float(base.mean()), float(laser.mean()), float((laser - base).mean())),
            ci95=bootstrap_ci(laser - base, groups, seed=seed),
            errors=int(wrong.sum()),
            fixed=float(laser[wrong].mean()) if wrong.any() else None,
            fixed_ci95=bootstrap_ci(laser[wrong], groups[wrong], seed=seed) if wrong.any() else None,
            broken=int((laser < base).sum()),
        )

    @property
    def told(self) -> str:
        """The range in words: "16 to 28"."""
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


def frequency_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None without frequencies, edits or right and wrong.

    Args:
        record: of the run; says where the frequencies were counted.
        predictions: as from `predictions_table`, with the column `frequency`.

    Source: Sharma, Ash and Misra 2023, Figure 3.
    """
    needed = {"frequency", "group", "base_correct", "laser_correct"}
    if not needed <= set(predictions.columns):
        return None
    test = predictions[predictions["split"] == "test"]
    rows = test[test["frequency"].notna()]
    if rows.empty or rows["base_correct"].isna().any() or rows["laser_correct"].isna().any():
        return None
    bins = [Bin.of(part, record.seed) for part in _parts(rows)]
    figures = (_cumulative(rows), _by_bin(bins)) if len(bins) > 1 else ()
    table = Table("frequency", "By how often the fact was told", _COLUMNS, tuple(map(_row, bins)), _COLUMNS[1:])
    return Section(
        "frequency",
        "Which examples",
        (_told(record, rows, len(test)), _sentence(bins)),
        figures,
        (table,),
        "Intervals are over groups. Facts that are answered well have little left to gain, so the gain in points and "
        "the share of the base's errors that is fixed need not point the same way.",
    )


def _parts(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Returns the rows in up to BINS parts of about equal size, rare ones first; equal frequencies stay together.

    Facts that are never told are a part of their own where they would fill one.
    """
    told = rows["frequency"].astype(float)
    never = told == 0
    if never.all() or told.nunique() == 1:
        return [rows]
    if never.mean() >= 1 / BINS:
        return [rows[never], *_parts_of(rows[~never], BINS - 1)]
    return _parts_of(rows, BINS)


def _parts_of(rows: pd.DataFrame, count: int) -> list[pd.DataFrame]:
    codes = pd.qcut(rows["frequency"].astype(float), count, labels=False, duplicates="drop")
    return [rows] if codes.isna().all() else [part for _, part in rows.groupby(codes)]


def _told(record: Record, rows: pd.DataFrame, n: int) -> str:
    source = record.analyses.frequency
    counted = "Frequencies are those of the predictions' column"
    if source is not None:
        counted = (
            f"A fact's frequency is the number of {source.unit}, of {source.read:,} in {source.corpus}, that mention"
        )
        counted += " subject and answer"
    never = int((rows["frequency"] == 0).sum())
    less = "" if len(rows) == n else f" {n - len(rows):,} of {n:,} test examples have no subject and are left out."
    none = f" {never:,} of {len(rows):,} test examples are about facts that none mentions." if never else ""
    return f"{counted}.{none}{less}"


def _sentence(bins: Sequence[Bin]) -> str:
    if len(bins) == 1:
        return f"All {bins[0].n:,} examples are one part, told {bins[0].told} times: {_gain(bins[0])}."
    sizes = [part.n for part in bins]
    part = _NAMES.get(len(bins), "part") if max(sizes) < 1.5 * min(sizes) else "part"
    order = sorted(range(len(bins)), key=lambda number: bins[number].gain)
    rare, frequent = bins[0], bins[-1]
    said = {"rarest": 0, "most frequent": len(bins) - 1}
    place = {name: _place(order.index(number), len(bins)) for name, number in said.items()}
    return (
        f"The rarest {part} gains {_gain(rare)}{place['rarest']}; {_fixed(rare)}. The most frequent {part} gains "
        f"{_gain(frequent)}{place['most frequent']}; {_fixed(frequent)}."
    )


def _place(rank: int, count: int) -> str:
    return ", least of all" if rank == 0 else ", most of all" if rank == count - 1 else ""


def _gain(part: Bin) -> str:
    return f"{signed(part.gain, True)} points (95 % interval {interval(part.ci95, True)})"


def _fixed(part: Bin) -> str:
    if part.fixed is None:
        return "the base makes no error there"
    return f"{100 * part.fixed:.0f} % of its {part.errors:,} base errors are fixed ({_shares(part.fixed_ci95)})"


def _shares(ci95: tuple[float, float] | None) -> str:
    return "one group" if ci95 is None else f"{100 * ci95[0]:.0f} to {100 * ci95[1]:.0f} %"


def _row(part: Bin) -> tuple[str, ...]:
    return (
        *(part.told, f"{part.n:,}", value(part.base, True), value(part.laser, True)),
        *(signed(part.gain, True), interval(part.ci95, True), f"{part.errors:,}"),
        *("" if part.fixed is None else value(part.fixed, True), _shares(part.fixed_ci95) if part.errors else ""),
        f"{part.broken:,}",
    )


def _cumulative(rows: pd.DataFrame) -> Figure:
    """Returns accuracy on all facts told at most so often."""
    ordered = rows.sort_values("frequency", kind="stable")
    counts = np.arange(1, len(ordered) + 1)
    told = ordered["frequency"].to_numpy(dtype=np.int64)
    last = np.flatnonzero(np.append(told[1:] != told[:-1], True))
    data = []
    for who, name, colour in (("base", "base", "--quiet"), ("laser", "LASER", "--accent")):
        shares = 100 * np.cumsum(ordered[f"{who}_correct"].to_numpy(float)) / counts
        hover = "facts told at most %{customdata[0]:,} times (%{customdata[1]:,} examples): %{y:.1f} %"
        data.append(
            {
                **{"type": "scatter", "mode": "lines", "name": name, "line": {"color": colour, "width": 2}},
                **{"x": (told[last] + 1).tolist(), "y": np.round(shares[last], 3).tolist()},
                "customdata": np.column_stack([told[last], counts[last]]).tolist(),
                "hovertemplate": f"{hover} ({name})<extra></extra>",
            }
        )
    return Figure(
        "frequency_cumulative",
        "Accuracy on facts told at most so often",
        "Each point is the accuracy on all test examples up to that frequency; the right end is the whole test split.",
        data,
        layout("frequency + 1, logarithmic", "accuracy, %", xaxis=log_axis((told + 1).tolist()), showlegend=True),
    )


def _by_bin(bins: Sequence[Bin]) -> Figure:
    gains = [(part.gain, part.ci95) for part in bins]
    fixed = [(part.fixed, part.fixed_ci95) for part in bins]
    names = [part.told for part in bins]
    data = [
        _points("gain, points", "--accent", "circle", names, gains),
        _points("share of the base's errors fixed, %", "--good", "diamond", names, fixed),
    ]
    return Figure(
        "frequency_bins",
        "Gain and share of errors fixed by frequency",
        "From rare to frequent, about equally many examples each. Lines are 95 % intervals over groups.",
        data,
        layout("frequency", "points; %", xaxis={"type": "category"}, yaxis={"rangemode": "tozero"}, showlegend=True),
    )


def _points(
    name: str,
    colour: str,
    symbol: str,
    x: list[str],
    found: Sequence[tuple[float | None, tuple[float, float] | None]],
) -> dict[str, Any]:
    y = [None if point is None else 100 * point for point, _ in found]
    ends = [ci95 if ci95 is not None and point is not None else None for point, ci95 in found]
    up = [0.0 if end is None or at is None else 100 * end[1] - at for at, end in zip(y, ends, strict=True)]
    down = [0.0 if end is None or at is None else at - 100 * end[0] for at, end in zip(y, ends, strict=True)]
    return {
        **{"type": "scatter", "mode": "markers", "name": name, "x": x, "y": y},
        "marker": {"size": 9, "color": colour, "symbol": symbol},
        "error_y": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": colour},
        "hovertemplate": f"told %{{x}}: %{{y:.1f}} ({name})<extra></extra>",
    }
