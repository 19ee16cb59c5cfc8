"""Episodes on W&B: videos of base and LASER side by side, and the table of levels, read back from an offline run."""

import json
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers import WandbLogger
from offline_runs import records
from PIL import Image, ImageSequence
from sokoban_episodes import boards_of, episodes_predictions, episodes_record

from laser_lit.report.wandb import log_result
from rl.report.outcomes import shown_levels
from rl.report.videos import VIDEOS, episode_media, level_columns, video
from rl.sokoban.render import render
from rl.sokoban.rules import from_text

TILE = 20


def decoded(content):
    """Returns the picture of every quarter of a second, (n, height, width, 3)."""
    return np.stack(
        [
            np.asarray(frame.convert("RGB"))
            for frame in ImageSequence.Iterator(Image.open(BytesIO(content)))
            for _ in range(frame.info["duration"] // 250)
        ]
    )


def pictures(row, variant, n):
    boards = boards_of(row["prompt"], row[f"{variant}_prediction"])
    boards += [boards[-1]] * (n - len(boards))
    return np.stack([render(from_text(board), "rgb_array", TILE) for board in boards])


def test_a_video_shows_both_episodes_each_until_its_end():
    shown = shown_levels(episodes_predictions(), 5)
    for row in shown.table.to_dict("records"):
        frames = decoded(video(row, edited=True))
        n, wide = len(frames), TILE * row["prompt"].index("\n")
        assert n == 6 + max(len(row["base_prediction"]), len(row["laser_prediction"]))  # the last one is seen 1.5 s
        assert np.array_equal(frames[:, :, :wide], pictures(row, "base", n))
        assert np.array_equal(frames[:, :, -wide:], pictures(row, "laser", n))


def test_without_edits_a_video_shows_the_base_alone():
    row = shown_levels(episodes_predictions(), 1).table.iloc[0].to_dict()
    frames = decoded(video(row, edited=False))
    assert np.array_equal(frames, pictures(row, "base", len(frames)))


def test_the_table_has_outcome_steps_and_return_of_every_level():
    predictions = episodes_predictions()
    columns = level_columns(shown_levels(predictions, 100))
    assert list(columns) == [
        *("id", "outcome", "optimal_steps", "base_steps", "laser_steps", "base_return", "laser_return")
    ]
    assert columns["outcome"] == ["fixed", "broken", "solved", *["failed"] * 7]
    assert columns["optimal_steps"] == [2] * 4 + [None] * 6
    assert columns["base_steps"][:4] == [2, 2, 2, 4]
    assert json.loads(json.dumps(columns, allow_nan=False)) == columns


def test_tables_without_episodes_have_no_media():
    assert episode_media(episodes_record(), episodes_predictions().head(0)) == {}


@pytest.mark.slow
def test_an_offline_run_holds_the_videos_and_the_levels(tmp_path, monkeypatch: pytest.MonkeyPatch):
    wandb = pytest.importorskip("wandb")
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    predictions: pd.DataFrame = episodes_predictions()
    logger = WandbLogger(save_dir=str(tmp_path), offline=True, project="laser_lit")
    log_result(logger, episodes_record(), predictions)
    wandb.finish()
    wandb.teardown()  # finish() returns before its service has written the file
    (path,) = tmp_path.rglob("run-*.wandb")
    entries = [item for kind, entry in records(path, messages) if kind == "history" for item in entry.item]
    logged = {tuple(item.nested_key): json.loads(item.value_json) for item in entries}
    counts = {"fixed": 1, "broken": 1, "solved": 1, "failed": VIDEOS}
    for row in shown_levels(predictions, 1).table.to_dict("records"):
        name = f"episodes/{row['outcome']}"
        assert (logged[name, "_type"], logged[name, "count"]) == ("videos", counts[row["outcome"]])
        assert logged[name, "captions"][0].startswith(f"{row['id']}: ")
        (file,) = tmp_path.rglob(logged[name, "videos"][0]["path"])
        assert file.read_bytes() == video(row, edited=True)
    assert logged["episodes/levels", "_type"] == "table-file"
    (table,) = tmp_path.rglob("levels_*.table.json")
    content = json.loads(table.read_text())
    assert len(content["data"]) == 10
    assert content["data"][0][:2] == ["test-0", "fixed"]
