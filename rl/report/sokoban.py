"""Episodes in the report of `task=sokoban`: played on the page, and as videos on W&B."""

from laser_lit.report.task_report import TaskReport
from rl.report.episodes import episodes_section
from rl.report.videos import episode_media

REPORT = TaskReport(
    section=episodes_section,
    media=episode_media,
    fixed_width=("prompt", "answer", "base_prediction", "laser_prediction"),
)
"""Named by conf/task/sokoban.yaml."""
