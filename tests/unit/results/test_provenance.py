import subprocess
from pathlib import Path

import pytest

from laser_lit.results.provenance import git_commit, versions


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    package = tmp_path / "checkout" / "laser_lit"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(package.parent, "init", "-q")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-qm", "one")
    return package


def test_commit_is_that_of_the_packages_own_checkout(checkout: Path):
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_commit(checkout) == commit
    (checkout / "__init__.py").write_text("changed")
    assert git_commit(checkout) == f"{commit}-dirty"


def test_a_git_environment_of_another_repository_is_ignored(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    expected = git_commit(checkout)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert git_commit(checkout) == expected


def test_a_repository_around_site_packages_is_not_asked(checkout: Path):
    installed = checkout.parent / ".venv" / "lib" / "laser_lit"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert git_commit(installed) is None


def test_a_repository_that_does_not_track_the_package_is_not_asked(checkout: Path):
    other = checkout.parent / "other"
    other.mkdir()
    (other / "__init__.py").write_text("")
    assert git_commit(other) is None


def test_without_git_there_is_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert git_commit(checkout) is None


def test_versions_name_what_decides_numbers():
    assert {"python", "laser_lit", "torch", "transformers", "lightning"} <= set(versions())
