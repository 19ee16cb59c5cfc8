"""A grid that is killed again and again ends as if it had never been."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from laser_lit.results.store import ResultsStore

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20

SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder
from laser_lit.data.registry import load_data
from laser_lit.jobs.search import search
from laser_lit.lit.facts_training import ensure_facts_model, facts_training
from laser_lit.results.store import ResultsStore
from laser_lit.tasks.language import LanguageTask

torch.set_num_threads(1)
folder, kills = Path(sys.argv[1]), int(sys.argv[2])
register_schemas()
with initialize_config_dir(str(config_folder()), version_base="1.3"):
    config = compose("evaluate", ["search=grid", "search.cache_gb=0.5", "trainer.accelerator=cpu",
                                  "trainer.progress_bar=false", f"paths.output={folder}"])
training = facts_training({**config.model.facts, "world": config.data.world})
config.model.path = str(ensure_facts_model(training, progress=False))
task = LanguageTask(config, load_data(config.data))


def grid(name):
    found = search(task, ResultsStore(folder / name), config)
    found.cells.to_parquet(folder / f"{name}.parquet")


start = time.perf_counter()
grid("whole")
seconds = time.perf_counter() - start
draw = random.Random(int(sys.argv[3]))
killed = 0
while True:
    child = os.fork()
    if child == 0:
        grid("killed")
        os._exit(0)
    if killed < kills:
        time.sleep(draw.uniform(0, 1.2 * seconds / kills))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        killed += 1
        continue
    assert status == 0, status
    break
print(killed)
"""


@pytest.mark.slow
def test_a_grid_killed_at_twenty_moments_ends_like_one_that_was_not(tmp_path: Path):
    line = [sys.executable, "-c", SCRIPT, str(tmp_path), str(KILLS), "0"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == KILLS
    whole, killed = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "killed"))
    pd.testing.assert_frame_equal(whole.drop(columns="seconds"), killed.drop(columns="seconds"))
    pieces = ResultsStore(tmp_path / "killed").pieces()
    assert len(pieces) == len(whole) + 1  # the base among them
    assert all(len(found) == 1 for found in pieces.values())  # none twice
