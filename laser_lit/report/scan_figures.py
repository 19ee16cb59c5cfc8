"""The figures of a scan: SNR and other measures by layer and type, and spectra beside the Marchenko–Pastur law."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import pandas as pd

from laser_lit.report.figure import Figure, layout, selector
from laser_lit.spectral.density import BINS, noise_density

SPECTRA = 40
"""Spectra that one page offers."""

_COLOURS = {
    **{"q_proj": "--accent", "k_proj": "--good", "v_proj": "--bad", "out_proj": "--note-line"},
    **{"fc_in": "--ink", "fc_up": "--quiet", "fc_out": "--accent"},
}
_DASHES = {"encoder": "solid", "decoder": "dash", "cross": "dot"}
_MERGED = (1, 2, 3, 4, 6, 10)
"""Numbers of bins that are drawn as one, where a matrix has few singular values."""
_SYMBOLS = {"fc_in": "square", "fc_up": "square", "fc_out": "diamond"}
_MEASURES = {
    "effective rank, share of the full": ("effective_rank", True),
    "stable rank": ("stable_rank", False),
    "alpha of the power law": ("alpha", False),
    "components above the noise edge (MP, median), share": ("mp_median_rank", True),
    "components that laserRMT keeps, share": ("laser_rmt_rank", True),
    "energy of 95 % in components, share": ("energy_rank_95", True),
}


def scan_figures(table: pd.DataFrame) -> list[Figure]:
    """Returns the figures for which the scan has something to show.

    Args:
        table: as from `scan`, with the densities among its attrs.
    """
    lines = _lines(table)
    found = [snr_figure(lines), measures_figure(lines), density_figure(table)]
    return [figure for figure in found if figure is not None]


@dataclass(frozen=True)
class _Line:
    """The matrices of one type, averaged over the experts of a layer."""

    name: str
    part: str | None
    matrix: str
    rows: pd.DataFrame

    def style(self) -> dict[str, Any]:
        dash = _DASHES[self.part] if self.part else "dot" if self.matrix == "fc_out" else "solid"
        line = {"color": _COLOURS[self.matrix], "width": 2, "dash": dash}
        marker = {"size": 7, "symbol": _SYMBOLS.get(self.matrix, "circle"), "color": _COLOURS[self.matrix]}
        return {"type": "scatter", "mode": "lines+markers", "name": self.name, "line": line, "marker": marker}


def _lines(table: pd.DataFrame) -> list[_Line]:
    if table.empty:
        return []
    named = table[table["matrix"].notna()].copy()
    for column, share in _MEASURES.values():
        full = named["shape"].map(min) if share else 1
        named[column] = named[column].astype(float) / full
    named["part"] = named["part"].fillna("")
    numbers = ["snr_ratio", "snr_is_infinite", *(column for column, _ in _MEASURES.values())]
    lines = []
    for (part, matrix), rows in named.groupby(["part", "matrix"], sort=False):
        means = rows.groupby("layer")[numbers].mean().reset_index()
        lines.append(_Line(f"{part} {matrix}".strip(), str(part) or None, str(matrix), means))
    return lines


def snr_figure(lines: list[_Line]) -> Figure | None:
    """Returns laserRMT's SNR over the largest singular value by layer and type; None where no matrix has one."""
    known = [line for line in lines if line.rows["snr_ratio"].notna().any()]
    if not known:
        return None
    whole = sum(int((line.rows["snr_is_infinite"] > 0).sum()) for line in lines)
    missing = f" Of {whole:,} points laserRMT's rule keeps everything; they have no finite SNR." if whole else ""
    data = [
        {
            **line.style(),
            "x": line.rows["layer"].astype(int).tolist(),
            "y": _values(line.rows["snr_ratio"]),
            "hovertemplate": f"layer %{{x}} {line.name}<br>%{{y:.3g}}<extra></extra>",
        }
        for line in known
    ]
    return Figure(
        "snr",
        "SNR by layer and type",
        "Sum of the singular values above laserRMT's threshold over the sum of those below, over the largest one. "
        f"Spectrum trains the matrices that are high within their type.{missing}",
        data,
        layout(
            "layer",
            "SNR / s_max",
            yaxis={"type": "log", "tickformat": "~g"},
            xaxis={"dtick": _step(lines)},
            showlegend=True,
        ),
    )


def measures_figure(lines: list[_Line]) -> Figure | None:
    """Returns further measures by layer and type, one at a time; None without matrices."""
    if not lines:
        return None
    options = {name: {"y": [_values(line.rows[column]) for line in lines]} for name, (column, _) in _MEASURES.items()}
    first = next(iter(options.values()))["y"]
    data = [
        {
            **line.style(),
            "x": line.rows["layer"].astype(int).tolist(),
            "y": values,
            "hovertemplate": f"layer %{{x}} {line.name}<br>%{{y:.3g}}<extra></extra>",
        }
        for line, values in zip(lines, first, strict=True)
    ]
    return Figure(
        "measures",
        "Other measures by layer and type",
        "Shares are of min(out, in). Experts of a layer are averaged.",
        data,
        layout(
            *("layer", ""),
            xaxis={"dtick": _step(lines)},
            showlegend=True,
            updatemenus=[selector("Measure", options)],
        ),
    )


def density_figure(table: pd.DataFrame) -> Figure | None:
    """Returns the spectra of chosen matrices, of each type those of highest and lowest SNR; None without any."""
    chosen = chosen_spectra(table)
    if not chosen:
        return None
    options = {_label(table.iloc[place]): _spectrum(table, place) for place in chosen}
    start = next(iter(options.values()))
    styles: list[dict[str, Any]] = [
        {"type": "bar", "marker": {"color": "--accent-soft"}, "hovertemplate": "%{x:.2f}: %{y:.3f}<extra></extra>"},
        {"type": "scatter", "mode": "lines", "line": {"color": "--ink", "width": 2}, "hoverinfo": "skip"},
        {"type": "scatter", "mode": "lines", "line": {"color": "--bad", "width": 2, "dash": "dash"}},
        {"type": "scatter", "mode": "markers", "marker": {"color": "--accent", "size": 7, "symbol": "triangle-right"}},
    ]
    data = [
        {**style, **{key: values[at] for key, values in start.items()}, "showlegend": True}
        for at, style in enumerate(styles)
    ]
    return Figure(
        "density",
        "Spectral density and the Marchenko–Pastur law",
        "Histogram of the singular values in units of σ√N, with σ from their median and N the longer side; the line is "
        "what pure noise of that σ would show. It ends at 1 + √β, with β the shorter side over the longer; what lies "
        "beyond 1 + √β is signal, if the rest is noise. Offered: of each type of matrix the ones with the highest and "
        "the lowest SNR.",
        data,
        layout(
            *("singular value / (σ√N)", "density"),
            bargap=0,
            updatemenus=[selector("Matrix", options)],
        ),
    )


def chosen_spectra(table: pd.DataFrame) -> list[int]:
    """Returns the rows whose spectra are shown, at most SPECTRA.

    Args:
        table: as from `scan`.
    """
    densities = table.attrs.get("densities", [])
    found: list[int] = []
    if table.empty:
        return found
    shown = table.reset_index(drop=True)
    for _, rows in shown.groupby(["part", "matrix", "kind"], sort=False, dropna=False):
        known = [place for place in rows.index if densities[place] is not None]
        ranked = sorted(known, key=lambda place: _order(shown, place))
        found += list(dict.fromkeys(ranked[:1] + ranked[-1:]))
    return found[:SPECTRA]


def _order(table: pd.DataFrame, place: int) -> float:
    row = table.iloc[place]
    return float("inf") if row["snr_is_infinite"] else float(row["snr_ratio"])


def _label(row: pd.Series) -> str:
    if pd.isna(row["matrix"]):
        return str(row["kind"])
    expert = "" if pd.isna(row["expert"]) else f" expert {row['expert']}"
    part = "" if not row["part"] else f"{row['part']} "
    return f"{part}layer {row['layer']} {row['matrix']}{expert}"


def _spectrum(table: pd.DataFrame, place: int) -> dict[str, list[Any]]:
    """Returns x, y and name of the four traces of one spectrum."""
    density, row = table.attrs["densities"][place], table.iloc[place]
    width, beta, total = density["width"], density["beta"], min(row["shape"])
    merged = next((bins for bins in _MERGED if total * bins >= 5 * BINS), _MERGED[-1])
    centres = [round((at + 0.5 * merged) * width, 5) for at in range(0, BINS, merged)]
    counts = [sum(density["counts"][at : at + merged]) for at in range(0, BINS, merged)]
    heights = [round(count / total / width / merged, 5) for count in counts]
    grid = [at * width / 4 for at in range(4 * BINS + 1)]
    law = [round(noise_density(s, beta), 5) for s in grid]
    coded = row["laser_rmt_threshold"] / (density["sigma"] * sqrt(max(row["shape"])))
    beyond, top = density["above"], max([*heights, *law])
    number = f"{len(beyond)}{' or more' if len(beyond) == 10 else ''}"
    largest = f"{number} beyond, up to {beyond[0]:.1f}" if beyond else "none beyond"
    return {
        "x": [centres, [round(s, 5) for s in grid], [coded, coded], [BINS * width] if beyond else []],
        "y": [heights, law, [0, round(top, 5)], [0] if beyond else []],
        "name": ["singular values", "pure noise", "laserRMT's threshold", largest],
    }


def _step(lines: list[_Line]) -> int:
    """Returns the distance of the ticks, in layers."""
    return max(1, max(int(line.rows["layer"].max()) for line in lines) // 12)


def _values(column: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), 6) for value in column]
