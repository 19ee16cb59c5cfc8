"""What ran: versions of the packages and the commit of laser_lit's own checkout."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "laser_lit",
    "torch",
    "transformers",
    "lightning",
    "datasets",
    "tokenizers",
    "safetensors",
    "numpy",
    "pandas",
)


def versions() -> dict[str, str]:
    """Returns the versions of Python, the platform and the packages that decide numbers, absent ones left out."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit(package: Path | None = None) -> str | None:
    """Returns the commit of the checkout that the package runs from, "-dirty" appended when files changed since.

    A repository that merely contains the package, such as a user's project around its site-packages, is not asked.

    Args:
        package: folder of the package; laser_lit's own when None.

    Returns:
        The full commit, or None without a checkout, without git, or when git refuses.
    """
    folder = (package or Path(__file__).parents[1]).resolve()
    top = _git(folder.parent, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.parent:
        return None
    if _git(folder.parent, "ls-files", "--error-unmatch", f"{folder.name}/__init__.py") is None:
        return None
    return _git(folder.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, env=clean, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
