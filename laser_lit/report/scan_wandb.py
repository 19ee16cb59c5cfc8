"""A scan on W&B: the table, its figures, and the number of matrices by type."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from laser_lit.report.figure import Figure


def log_scan(run: Any, table: pd.DataFrame, figures: Sequence[Figure]) -> None:
    """Adds the table and the figures to a W&B run.

    Args:
        run: of wandb.init.
        table: as from `scan`.
        figures: as from `scan_figures`.
    """
    import plotly.graph_objects as go
    import wandb

    columns = {name: table[name].astype(object).where(table[name].notna(), None) for name in table}
    if "shape" in columns:
        columns["shape"] = table["shape"].map(lambda shape: "x".join(map(str, shape)))
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    entries: dict[str, Any] = {"scan/matrices": wandb.Table(columns=list(columns), data=rows)}
    entries |= {f"scan/{figure.name}": wandb.Plotly(go.Figure(figure.themed())) for figure in figures}
    run.log(entries)
    run.summary.update({"scan/count": len(table), "scan/not_measured": len(table.attrs.get("not_measured", []))})
