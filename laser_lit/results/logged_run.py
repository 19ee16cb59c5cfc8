"""wandb.json of a run folder: which run on W&B is its, so that a report finds it later."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from laser_lit.errors import InputError
from laser_lit.files import write_text_atomic

FILE = "wandb.json"


@dataclass(frozen=True)
class LoggedRun:
    """One run on W&B.

    Attributes:
        id: W&B's own, unique in its project.
        project: of the run.
        entity: user or team; "" for an offline run that leaves it to the account's default.
        name: shown on W&B.
        group: "" for a run without one.
        job_type: the task, as "language" or "reft-training".
        offline: whether it began without the server; `wandb sync` sends it.
        path: W&B's folder of the run, seen from the run folder.
        media: what figures, tables and pictures it has: the kind ("plotly-file", "table-file") by key.
    """

    id: str
    project: str
    entity: str
    name: str
    group: str
    job_type: str
    offline: bool
    path: str
    media: Mapping[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes wandb.json atomically.

        Args:
            folder: of the run.
        """
        write_text_atomic(folder / FILE, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")

    def place(self, folder: Path) -> Path:
        """Returns W&B's folder of the run.

        Args:
            folder: of the run, wherever it lies now.
        """
        return Path(os.path.normpath(folder / self.path))

    def is_sent(self, folder: Path) -> bool:
        """Returns whether W&B's server has the run: it began online, or `wandb sync` has left its mark.

        Args:
            folder: of the run.
        """
        return not self.offline or (self.place(folder) / f"run-{self.id}.wandb.synced").is_file()


def read_logged_run(folder: Path) -> LoggedRun | None:
    """Returns the run on W&B that a run folder names; None where W&B was off.

    Args:
        folder: of the run.

    Raises:
        InputError: its wandb.json is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_bytes())
        return LoggedRun(**{name: content[name] for name in LoggedRun.__dataclass_fields__})
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file} is damaged ({error}); remove it, and the run is left out") from error
