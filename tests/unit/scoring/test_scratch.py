"""Folders that go with their process, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from laser_lit.scoring import scratch
from laser_lit.scoring.scratch import LOCK, PREFIX, Scratch

KILLED = """
import os, signal, sys
from laser_lit.scoring.scratch import Scratch
(Scratch(sys.argv[1]).folder / "1.bin").write_bytes(b"state")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_goes_at_the_end(tmp_path: Path) -> None:
    made = Scratch(tmp_path)
    (made.folder / "1.bin").write_bytes(b"state")
    made.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(scratch.fcntl is None, reason="the system has no file locks")
def test_what_a_killed_process_left_goes_and_what_is_in_use_or_another_stays(tmp_path: Path) -> None:
    used = Scratch(tmp_path)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    another = tmp_path / "mine"
    another.mkdir()
    (another / LOCK).touch()
    unknown = tmp_path / f"{PREFIX}without_lock"
    unknown.mkdir()
    left = set(tmp_path.iterdir()) - {used.folder, another, unknown}
    assert [path.name for folder in left for path in folder.glob("*.bin")] == ["1.bin"]
    made = Scratch(tmp_path)
    assert set(tmp_path.iterdir()) == {used.folder, another, unknown, made.folder}
    made.close()
    used.close()


def test_without_locks_nothing_of_others_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = Scratch(tmp_path)
    monkeypatch.setattr(scratch, "fcntl", None)
    made = Scratch(tmp_path)
    assert used.folder.is_dir()
    used.close()
    made.close()
    assert not list(tmp_path.iterdir())
