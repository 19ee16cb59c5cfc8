"""The shape of `logger`: where metrics go, and what W&B is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from laser_lit.errors import unknown_name

STACK, ADAPTER, MODEL, EXPORT = "stack", "adapter", "model", "export"
ARTIFACTS = (STACK, ADAPTER, MODEL, EXPORT)
"""What W&B can be given as files; the first two are small."""


@dataclass
class LoggerConfig:
    """Where metrics go besides the run folder.

    Attributes:
        csv: write metrics.csv.
        wandb: log to W&B; offline unless there is an API key, never a prompt.
        project: W&B project.
        entity: W&B user or team; null takes the account's default.
        group: W&B group, to find the jobs of one sweep together; null names it after the sweep's folder.
        tags: W&B tags.
        artifacts: which files W&B is given: "stack" (the manifest), "adapter" (trained interventions or a LoRA),
            "model" (a model that a training wrote), "export" (the folder of export.path).
    """

    csv: bool = True
    wandb: bool = True
    project: str = "laser_lit"
    entity: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=lambda: [STACK, ADAPTER])


def check_artifacts(kinds: Sequence[str]) -> None:
    """Raises an error for a kind of file that is not among `ARTIFACTS`.

    Args:
        kinds: of the config.

    Raises:
        UnknownNameError: lists the kinds.
    """
    for kind in kinds:
        if kind not in ARTIFACTS:
            raise unknown_name("logger.artifacts", kind, ARTIFACTS)
