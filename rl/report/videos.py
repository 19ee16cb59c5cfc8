"""Episodes on W&B: base and LASER side by side as animated pictures, and a table of all levels' outcomes."""

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from laser_lit.results.record import Record, jsonable
from rl.report.outcomes import ShownLevels, shown_levels
from rl.sokoban.render import render
from rl.sokoban.rules import ACTIONS, from_text, step

VIDEOS = 3
"""Levels of each outcome."""
ROWS = 10_000
"""Levels in the table, those that LASER changed first."""

_TILE = 20
"""Pixels of a side of a tile."""
_STEP, _END = 250, 1500
"""Milliseconds of a step, and of the last picture."""
_GAP = (128, 128, 128)
_COLUMNS = ("id", "outcome", "optimal_steps", "base_steps", "laser_steps", "base_return", "laser_return")


def episode_media(record: Record, predictions: pd.DataFrame) -> dict[str, Any]:
    """Returns what W&B shows of the episodes: "episodes/fixed" and so on (videos), "episodes/levels" (a table).

    Args:
        record: of the run.
        predictions: as from `predictions_table`.
    """
    import wandb

    shown, every = shown_levels(predictions, VIDEOS), shown_levels(predictions, ROWS)
    if shown is None or every is None:
        return {}
    media: dict[str, Any] = {}
    for outcome, levels in shown.table.groupby("outcome", sort=False):
        media[f"episodes/{outcome}"] = [
            wandb.Video(BytesIO(video(row, shown.edited)), caption=_caption(row, shown), format="gif")
            for row in levels.to_dict("records")
        ]
    columns = level_columns(every)
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return {**media, "episodes/levels": wandb.Table(columns=list(columns), data=rows)}


def level_columns(shown: ShownLevels) -> dict[str, list[Any]]:
    """Returns outcome, steps and return of levels, by column.

    Args:
        shown: the levels.
    """
    table = shown.table.rename(columns={"base_optimal_steps": "optimal_steps"}).head(ROWS)
    return {name: jsonable(table[name].astype(object).tolist()) for name in _COLUMNS if name in table.columns}


def video(row: dict[str, Any], edited: bool) -> bytes:
    """Returns a level as an animated GIF: under the base, to its right under LASER.

    Args:
        row: of `ShownLevels.table`.
        edited: whether it was played under LASER.
    """
    plays = [row["base_prediction"], *([row["laser_prediction"]] if edited else [])]
    longest = max(map(len, plays))
    parts: list[NDArray[np.uint8]] = []
    for actions in plays:
        pictures = _pictures(row["prompt"], actions, longest + 1)  # (longest + 1, height, width, 3)
        gap = np.full((*pictures.shape[:2], _TILE, 3), _GAP, np.uint8)
        parts += [pictures, gap]
    first, *others = map(Image.fromarray, np.concatenate(parts[:-1], axis=2))
    content = BytesIO()
    shown = [_STEP] * longest + [_END]
    first.save(content, "GIF", save_all=True, append_images=others, duration=shown, loop=0)
    return content.getvalue()


def _pictures(text: str, actions: str, n: int) -> NDArray[np.uint8]:
    """Returns n pictures of an episode, the last one again and again after its end."""
    boards = [from_text(text)]
    for letter in actions:
        boards.append(step(boards[-1], ACTIONS.index(letter)).board)
    pictures = [np.asarray(render(board, "rgb_array", _TILE)) for board in boards]
    return np.stack(pictures + [pictures[-1]] * (n - len(pictures)))


def _caption(row: dict[str, Any], shown: ShownLevels) -> str:
    who = "left base, right LASER" if shown.edited else "base"
    return f"{row['id']}: {shown.meanings[row['outcome']]} ({who})"
