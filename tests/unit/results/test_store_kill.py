import random
import subprocess
import sys
from pathlib import Path

import pytest

from laser_lit.results.store import ResultsStore

WRITER = """
import sys
from pathlib import Path
from laser_lit.results.store import ResultsStore

store = ResultsStore(Path(sys.argv[1]))
for number in range(10**6):
    store.open_test("key")
    store.add_piece(f"{sys.argv[2]}-{number}", {"n": number, "text": "x" * 5000}, [])
    print(number, flush=True)
"""


@pytest.mark.slow
def test_killed_writers_lose_nothing_that_they_had_reported(tmp_path: Path):
    draw = random.Random(0)
    reported = {}
    for run in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(run)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            for _ in range(draw.randrange(1, 60)):
                reported[run] = int(writer.stdout.readline())
            writer.kill()
    pieces = ResultsStore(tmp_path).pieces()
    assert all(
        pieces[f"{run}-{number}"][0]["n"] == number for run, last in reported.items() for number in range(last + 1)
    )
    assert ResultsStore(tmp_path).test_opened("key") >= sum(last + 1 for last in reported.values())
    ResultsStore(tmp_path).add_piece("after", {"n": 1}, [])
    assert "after" in ResultsStore(tmp_path).pieces()
