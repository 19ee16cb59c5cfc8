"""A scan in short: a line a type of matrix, what was left out, and both on the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from laser_lit.report.terminal import add_row, paragraph, plain_table
from laser_lit.report.wording import plural

LISTED = 12
"""Tensors that were left out which the terminal lists."""


@dataclass(frozen=True)
class Kind:
    """The matrices of one type, ready to print.

    Attributes:
        name: of the module, and LASER's name where it has one.
        count: how many there are.
        low: the lowest SNR / s_max, with its layer.
        high: the highest, with its layer.
        kept: median shares of components that laserRMT, MP (median), Gavish–Donoho and 95 % of the energy keep.
    """

    name: str
    count: int
    low: str
    high: str
    kept: tuple[str, str, str, str]


_RULES = ("laser_rmt_rank", "mp_median_rank", "gavish_donoho_rank", "energy_rank_95")
HEADS = ("laserRMT", "MP", "G–D", "95 %")
"""Names of the rules, in the order of `Kind.kept`."""


def kinds(table: pd.DataFrame) -> list[Kind]:
    """Returns a line a type of matrix, in the model's order.

    Args:
        table: as from `scan`.
    """
    if table.empty:
        return []
    return [_kind(rows) for _, rows in table.groupby(["part", "matrix", "kind"], sort=False, dropna=False)]


def _kind(rows: pd.DataFrame) -> Kind:
    first = rows.iloc[0]
    matrix = "" if pd.isna(first["matrix"]) else " ".join(filter(None, (first["part"], first["matrix"])))
    ratios = rows["snr_ratio"].astype(float)
    full = rows["shape"].map(min)
    kept = tuple(f"{100 * (rows[rule].astype(float) / full).median():.0f} %" for rule in _RULES)
    infinite, finite = rows[rows["snr_is_infinite"]], ratios.notna().any()
    low = rows.loc[ratios.idxmin()] if finite else first
    high = infinite.iloc[0] if len(infinite) else rows.loc[ratios.idxmax()] if finite else first
    name = f"{matrix} ({first['kind']})" if matrix and matrix != first["kind"] else str(first["kind"])
    return Kind(name, len(rows), _snr(low), _snr(high), (kept[0], kept[1], kept[2], kept[3]))


def _snr(row: pd.Series) -> str:
    at = "" if pd.isna(row["layer"]) else f" at {row['layer']}"
    if row["snr_is_infinite"]:
        return f"∞{at}"
    return "" if pd.isna(row["snr_ratio"]) else f"{row['snr_ratio']:.3g}{at}"


def subject(table: pd.DataFrame) -> str:
    """Returns in a sentence what was scanned.

    Args:
        table: as from `scan`.
    """
    family, skipped = table.attrs.get("architecture"), table.attrs.get("not_measured", [])
    named = 0 if table.empty else int(table["matrix"].notna().sum())
    said = f"{named:,} matrices that an edit can name ({family})" if family else "no architecture file for this model"
    others = plural(len(table) - named, "other")
    missing = f"; {plural(len(skipped), 'tensor')} not measured" if skipped else ""
    return f"{said}, {others}{missing}."


def left_out(table: pd.DataFrame) -> list[str]:
    """Returns a line a tensor that was not measured: name, shape, reason.

    Args:
        table: as from `scan`.
    """
    return [
        f"{entry['name']} {'×'.join(map(str, entry['shape']))}: {entry['reason']}"
        for entry in table.attrs.get("not_measured", [])
    ]


def render_summary(table: pd.DataFrame, name: str, files: Sequence[Path] = ()) -> RenderableType:
    """Returns the scan for a rich console; it fits 80 columns.

    Args:
        table: as from `scan`.
        name: of the model.
        files: what was written.
    """
    shown = plain_table("SNR / s_max by type, and the median share of components that a rule keeps")
    shown.add_column("type", overflow="fold", ratio=1)
    for head in ("n", "lowest\n(layer)", "highest\n(layer)", *HEADS):
        shown.add_column(head, justify="right", no_wrap=True)
    for kind in kinds(table):
        add_row(shown, kind.name, str(kind.count), kind.low, kind.high, *kind.kept)
    title = Text(f"{name}  ", style="bold")
    title.append(subject(table), style="dim")
    parts: list[RenderableType] = [Text(""), Padding(title, (0, 2)), Text(""), Padding(shown, (0, 0, 0, 1)), Text("")]
    missing = left_out(table)
    parts += [paragraph(f"! not measured: {line}", "yellow") for line in missing[:LISTED]]
    if len(missing) > LISTED:
        parts.append(paragraph(f"! … and {len(missing) - LISTED:,} more, in scan.json", "yellow"))
    if files:
        parts.append(Text(f"  {files[0].parent}", style="cyan", overflow="fold"))
        parts.append(Text(f"    {'  '.join(file.name for file in files)}", style="dim"))
    return Group(*parts, Text(""))
