"""What becomes of the real commands: refused in one message, or stopped in a process of their own."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any


def refused(said: Any, *words: str) -> None:
    """Asserts that a command stopped with a message that has these words, before it wrote results."""
    assert said.code == 1, said
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err
    assert not Path("results").exists()


def wait_for(process: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    """Returns when a running process has made a file."""
    while process.poll() is None and not list(folder.glob(pattern)):
        pass
    assert process.poll() is None


def stop(process: subprocess.Popen[str], sent: signal.Signals = signal.SIGKILL) -> str:
    """Sends a signal to a process and all that it started, as a terminal does; returns what it said on stderr."""
    os.killpg(process.pid, sent)
    return process.communicate(timeout=100)[1]
