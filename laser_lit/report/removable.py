"""How much of each matrix can go: the lowest rank that is shown to be not worse than the base by more than a margin."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from laser_lit.report.cells import axes, is_guarded, single_edits
from laser_lit.report.figure import Figure, layout
from laser_lit.results.intervals import least_groups
from laser_lit.results.record import Record, jsonable
from laser_lit.results.search_record import SearchRecord

MOST = 0.9
"""Share of the components of a matrix that the sentence asks about."""
_SHADES = [[0.0, "--soft"], [1.0, "--accent-soft"]]


@dataclass(frozen=True, eq=False)
class Removable:
    """What can go of each matrix that was cut to at least two ranks.

    Attributes:
        places: a row a layer and matrix: row, column, tried (ranks), gone (share of the components that can go; NaN
            where no rank is shown to be not worse), said.
        delta: harm that does not count.
        examples: that each cell was scored on.
        unasked: matrices whose rank no guard was asked about.
    """

    places: pd.DataFrame
    delta: float
    examples: int
    unasked: int

    @property
    def most(self) -> int:
        """Matrices of which more than MOST of the components can go."""
        return int((self.places["gone"] > MOST).sum())


def removable(table: pd.DataFrame, search: SearchRecord) -> Removable | None:
    """Returns what can go of each matrix; None where no matrix was cut to two ranks, or the margin is not known.

    Args:
        table: as from `prepared`.
        search: that tried the cells.
    """
    single = single_edits(table)
    cut = single[single["kind"].isin(["low_rank", "zero"]) & single["complete"] & single["not_worse"].notna()]
    cut = cut.assign(kept=cut["rho"].where(cut["kind"] == "low_rank", 0.0)).sort_values("kept", kind="stable")
    cut = cut[cut.groupby(["row", "column"])["kept"].transform("nunique") > 1]
    if cut.empty or search.delta is None:
        return None
    margin = plain_margin(search)
    places, unasked = [], 0
    for (row, column), tried in cut.groupby(["row", "column"], sort=False):
        fine = tried[tried["not_worse"].astype(bool) & ~tried["refused"]]
        gone = float("nan") if fine.empty else 1.0 - float(fine["kept"].iloc[0])
        unasked += int(fine["guard"].head(1).isna().sum())
        none = f"layer {column} {row}<br>none of {len(tried)} ranks is shown to be above −{margin}"
        places.append((row, column, len(tried), gone, none if fine.empty else fine["said"].iloc[0]))
    found = pd.DataFrame(places, columns=["row", "column", "tried", "gone", "said"])
    return Removable(found, search.delta, int(cut["n"].max()), unasked)


def plain_margin(search: SearchRecord) -> str:
    """Returns the margin with its unit: "1 point", "0.01 nats".

    Args:
        search: with a margin.
    """
    delta = search.delta or 0.0
    if search.objective != "accuracy":
        return f"{delta:g} nats"
    return f"{100 * delta:g} point{'' if 100 * delta == 1 else 's'}"


def removable_line(table: pd.DataFrame, search: SearchRecord) -> str:
    """Returns of how many matrices more than 90 % of the components can go; empty where it is not known.

    Args:
        table: as from `prepared`.
        search: that tried the cells.
    """
    found = removable(table, search)
    if found is None:
        return ""
    return (
        f"more than {100 * MOST:.0f} % of the components in {found.most:,} of {len(found.places):,} matrices, each cut "
        f"alone (gain above −{plain_margin(search)}, one-sided 95 %)"
    )


def removable_figure(table: pd.DataFrame, record: Record) -> Figure | None:
    """Returns the share of the components of each matrix that can go; None where it is not known.

    Args:
        table: as from `prepared`.
        record: of a run with a search.
    """
    search = record.search
    found = None if search is None else removable(table, search)
    if search is None or found is None:
        return None
    rows, columns = axes(single_edits(table))
    places = found.places.assign(written=[_per_cent(share) for share in found.places["gone"]])

    def grid(name: str) -> list[list[Any]]:
        wide = places.pivot(index="row", columns="column", values=name).reindex(index=rows, columns=columns)
        return [jsonable(entries) for entries in wide.astype(object).to_numpy().tolist()]

    heat = {
        **{"type": "heatmap", "x": columns, "y": rows, "z": grid("gone"), "zmin": 0, "zmax": 1, "xgap": 1, "ygap": 1},
        **{"text": grid("written"), "texttemplate": "%{text}", "textfont": {"color": "--ink"}},
        **{"customdata": grid("said"), "hoverongaps": False},
        **{"hovertemplate": "%{customdata}<extra></extra>", "colorscale": _SHADES, "showscale": False},
    }
    empty = {name: {"type": "category", "showgrid": False, "categoryorder": "array"} for name in ("x", "y")}
    return Figure(
        "removable",
        "What can go",
        _caption(found, record, search),
        [heat],
        layout(
            *("layer", ""),
            height=110 + 34 * len(rows),
            xaxis={**empty["x"], "categoryarray": columns, "tickangle": 0},
            yaxis={**empty["y"], "categoryarray": rows[::-1]},
        ),
    )


def _per_cent(share: float) -> str:
    """Returns a share as it is written in a cell; empty where there is none."""
    return "" if pd.isna(share) else f"{100 * share:.1f}".removesuffix(".0") + " %"


def _caption(found: Removable, record: Record, search: SearchRecord) -> str:
    metric = search.objective.replace("_", " ")
    groups = record.data.get("groups_validation")
    of = "" if groups is None else f" in {groups:,} groups"
    few = ""
    if search.objective == "accuracy" and groups is not None and groups < least_groups(found.delta):
        few = (
            f" {groups:,} groups are too few to show it of a cut that changes nothing, which takes "
            f"{least_groups(found.delta):,}; only cuts that gain are shown."
        )
    guard = ""
    if is_guarded(record) and found.unasked:
        guard = f" The guard was not asked about {found.unasked:,} of these ranks."
    return (
        f"In {found.most:,} of {len(found.places):,} matrices more than {100 * MOST:.0f} % of the components can go. "
        f"In a cell is the share that can: what the lowest rank leaves out whose gain in {metric} is shown to be above "
        f"−{plain_margin(search)} (the lower end of its 90 % interval does, a one-sided test at 5 %; "
        f"{found.examples:,} examples{of}); empty cells have no such rank.{few}{guard} Each cell is judged by itself: "
        "of several ranks one may pass by luck, and cuts that are harmless alone may harm together, which "
        "search=smallest looks into."
    )
