"""The panels of a report on W&B: bars of what evaluations say, lines of trainings, the figures that were logged."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from laser_lit.lit.learning_curve import TRAIN, VALIDATION
from laser_lit.report.wandb import flat_metrics
from laser_lit.results.logged_run import LoggedRun
from laser_lit.results.record import Record

FIGURES = "plotly-file"
"""W&B's kind of a logged figure."""
_VARIANTS = ("base", "laser", "reft", "laser_reft")
_GAINS = ("gain", "reft_gain", "laser_reft_gain")
"""What W&B calls them, the most edited variant last."""
_HALF, _WHOLE = 12, 24
"""Columns of the grid that a panel takes."""


def panels(library: Any, runs: Sequence[LoggedRun], records: Sequence[Record]) -> list[Any]:
    """Returns a grid of panels for the numbers and one for the figures; none of what no run has.

    Args:
        library: the module wandb_workspaces.reports.v2.
        runs: all of the report, entity and project as the server has them.
        records: of those that were evaluated.
    """
    numbers = [*_bars(library, records), *_lines(library, runs)]
    figures = [_figure(library, key) for key in _keys(runs)]
    runsets = _runsets(library, runs)
    grids = [library.PanelGrid(runsets=runsets, panels=numbers)] if numbers else []
    if figures:
        grids += [library.H1("Figures"), library.PanelGrid(runsets=_runsets(library, runs), panels=figures)]
    return grids


def _runsets(library: Any, runs: Sequence[LoggedRun]) -> list[Any]:
    """Returns the runs by their ids, a set a project."""
    ordered = sorted(runs, key=_project)
    found = {place: [run.id for run in own] for place, own in groupby(ordered, key=_project)}
    return [
        library.Runset(entity=entity, project=project, name=project, filters=f"ID in {ids!r}")
        for (entity, project), ids in found.items()
    ]


def _project(run: LoggedRun) -> tuple[str, str]:
    return run.entity, run.project


def _bars(library: Any, records: Sequence[Record]) -> list[Any]:
    """Returns gains and scores as bars, a run each; the gain of one run is the number of its most edited variant."""
    if not records:
        return []
    metric, title = _metric(records)
    known = {name for record in records for name in flat_metrics(record)}
    gains = [name for gain in _GAINS if (name := f"test/{gain}/{metric}") in known]
    scores = [name for variant in _VARIANTS if (name := f"test/{variant}/{metric}") in known]
    place = {"layout": library.Layout(w=_HALF, h=8)}
    heading = f"Gain in {title} on test"
    shown = [library.BarPlot(title=f"{title} on test", metrics=scores, **place)]
    if not gains:
        return shown
    if len(records) == 1:
        return [library.ScalarChart(title=heading, metric=gains[-1], **place), *shown]
    return [library.BarPlot(title=heading, metrics=gains, **place), *shown]


def _metric(records: Sequence[Record]) -> tuple[str, str]:
    """Returns the metric of the panels, and its name: accuracy where every run has one and none went by log loss."""
    known = all(record.test.base.get("accuracy") is not None for record in records)
    by_loss = any(record.search is not None and record.search.objective == "log_loss" for record in records)
    return ("accuracy", "accuracy") if known and not by_loss else ("log_loss", "log loss")


def _lines(library: Any, runs: Sequence[LoggedRun]) -> list[Any]:
    """Returns the losses of trainings by step."""
    if not any(run.job_type.endswith("-training") for run in runs):
        return []
    titles: Mapping[str, str] = {TRAIN: "Training loss", VALIDATION: "Loss on what is held out"}
    place = {"layout": library.Layout(w=_HALF, h=8)}
    return [library.LinePlot(title=title, x="trainer/global_step", y=[name], **place) for name, title in titles.items()]


def _keys(runs: Sequence[LoggedRun]) -> list[str]:
    """Returns the keys of the figures that runs have, each once."""
    return sorted({key for run in runs for key, kind in run.media.items() if kind == FIGURES})


def _figure(library: Any, key: str) -> Any:
    return library.MediaBrowser(title=key, media_keys=[key], num_columns=1, layout=library.Layout(w=_WHOLE, h=12))
