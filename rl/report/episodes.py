"""The section of report.html in which episodes are played: the same level under base, LASER and its solution."""

from pathlib import Path
from typing import Any

import pandas as pd

from laser_lit.report.task_report import TaskSection
from laser_lit.results.record import Record
from rl.report.outcomes import shown_levels

MOST = 100
"""Levels of one outcome on the page."""

_TEMPLATES = Path(__file__).parent / "templates"


def episodes_section(record: Record, predictions: pd.DataFrame) -> TaskSection | None:
    """Returns the section; None where the predictions hold no episodes.

    Args:
        record: of the run.
        predictions: as from `predictions_table`.
    """
    data = episodes_payload(predictions)
    if data is None:
        return None
    return TaskSection(
        title="Episodes",
        body=_template("episodes.html"),
        style=_template("episodes.css"),
        script=_template("sokoban.js") + _template("episodes.js"),
        data=data,
    )


def episodes_payload(predictions: pd.DataFrame, most: int = MOST) -> dict[str, Any] | None:
    """Returns what the page's script plays, fit for JSON; None where there are no episodes.

    - split: whose levels these are.
    - outcomes: of each, name, meaning and total (levels of the split that came to it).
    - levels: of each, outcome, name, board (lines of text) and plays.
    - plays: of each, title, actions (letters) and solved.

    Args:
        predictions: as from `predictions_table`.
        most: levels of one outcome.
    """
    shown = shown_levels(predictions, most)
    if shown is None:
        return None
    return {
        "split": shown.split,
        "outcomes": [
            {"name": name, "meaning": meaning, "total": shown.totals[name]} for name, meaning in shown.meanings.items()
        ],
        "levels": [_level(row, shown.edited) for row in shown.table.to_dict("records")],
    }


def _level(row: dict[str, Any], edited: bool) -> dict[str, Any]:
    plays = [_play("base", row["base_prediction"], row["base_correct"])]
    if edited:
        plays.append(_play("LASER", row["laser_prediction"], row["laser_correct"]))
    solution = row.get("answer")
    if isinstance(solution, str) and solution:
        fewest = row.get("base_optimal_steps")
        shortest = fewest is not None and not pd.isna(fewest) and int(fewest) == len(solution)
        plays.append(_play("shortest solution" if shortest else "a solution", solution, True))
    return {"outcome": row["outcome"], "name": str(row["id"]), "board": row["prompt"], "plays": plays}


def _play(title: str, actions: str, solved: bool) -> dict[str, Any]:
    return {"title": title, "actions": actions, "solved": bool(solved)}


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
