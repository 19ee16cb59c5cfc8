"""Files on W&B as artifacts, referred to where they lie; only the kinds that `logger.artifacts` names."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_MODEL = 80
"""Characters of a model's name in an artifact's; W&B takes 128 in all."""


def log_files(run: Any, kind: str, model: str, hash: str, paths: Sequence[Path], kinds: Sequence[str]) -> None:
    """Adds files to a W&B run as an artifact "<kind>-<model>-<hash>", unless the config leaves their kind out.

    They are referred to, not copied: those of an offline run are read where they lie when it is synced.

    Args:
        run: of wandb.init.
        kind: "stack", "adapter", "model" or "export", the artifact's type.
        model: name of the model.
        hash: of what decides the files.
        paths: files and folders; those that are not there are passed over.
        kinds: what the config wants.
    """
    import wandb

    files = [entry for path in paths for entry in _files(path)]
    if kind not in kinds or not files:
        return
    artifact = wandb.Artifact(artifact_name(kind, model, hash), type=kind)
    for file, inside in files:
        artifact.add_file(str(file), name=inside, policy="immutable")
    run.log_artifact(artifact)


def artifact_name(kind: str, model: str, hash: str) -> str:
    """Returns the name of an artifact.

    Args:
        kind: its type.
        model: name of the model.
        hash: of what decides the files.
    """
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', model)[-_MODEL:]}-{hash}"


def _files(path: Path) -> list[tuple[Path, str]]:
    """Returns a file, or all of a folder's, each with its name in an artifact."""
    if path.is_dir():
        return [(file, str(file.relative_to(path))) for file in sorted(path.rglob("*")) if file.is_file()]
    return [(path, path.name)] if path.is_file() else []
