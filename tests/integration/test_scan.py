"""`task=scan` through the command, what it loads, and what kills leave behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkpoints import save_checkpoint

from laser_lit.models.load import load_weights
from laser_lit.models.unfrozen import freeze_except, read_unfrozen

ROOT = Path(__file__).resolve().parents[2]
QUIET = ("task=scan", "model=local", "logger=none", "hydra.run.dir=run")
FILES = ("scan.csv", "scan.json", "scan.html", "unfrozen.yaml")


def test_a_scan_leaves_its_files_and_says_so(command, gptj):
    said = command(*QUIET, f"model.path={gptj}", "laser=single", "laser.layer=77", "search=grid", "data=counterfact")
    assert said.code == 0, said.err
    assert all(Path("run", name).is_file() for name in FILES)
    assert "18 matrices that an edit can name (gptj), 2 others." in said.out
    assert "scan.csv  scan.json  scan.html  unfrozen.yaml" in said.out
    assert Path("results/scan", gptj.name, "rows.jsonl").is_file()
    rows = json.loads(Path("run/scan.json").read_text())["matrices"]
    assert [row["name"] for row in rows[-2:]] == ["lm_head.weight", "transformer.wte.weight"]
    before = {name: Path("run", name).read_bytes() for name in FILES}
    assert command(*QUIET, f"model.path={gptj}", "hydra.run.dir=again").code == 0
    assert {name: Path("again", name).read_bytes() for name in FILES} == before


def test_the_list_of_modules_is_what_finetuning_reads(command, gptj):
    assert command(*QUIET, f"model.path={gptj}", "spectral.percent=34", "spectral.norms=true").code == 0
    found = yaml.safe_load(Path("run/unfrozen.yaml").read_text())["unfrozen_parameters"]
    assert len([name for name in found if ".mlp.fc_in" in name]) == 1
    assert "transformer.h.0.ln_1" in found
    unfrozen = freeze_except(load_weights(gptj), read_unfrozen(Path("run/unfrozen.yaml")))
    assert {name.rpartition(".")[0] for name in unfrozen.names} == set(found)


def test_fields_of_the_scan(command, gptj):
    typed = (f"model.path={gptj}", "spectral.randomize=true", "spectral.matrices=[fc_in,W_q]", "seed=5")
    assert command(*QUIET, *typed, "paths.results=kept", "spectral.workers=2").code == 0
    content = json.loads(Path("run/scan.json").read_text())
    assert content["settings"] == {"randomize": True, "seed": 5, "device": "cpu"}
    assert {row["matrix"] for row in content["matrices"]} == {"fc_in", "q_proj"}
    assert all(row["rand_distance"] is not None for row in content["matrices"])
    assert Path("kept/rows.jsonl").is_file()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("spectral.percent=101", "spectral.percent 101.0: must lie in [0, 100]"),
        ("spectral.device=tpu7", "device 'tpu7'"),
        ("spectral.workers=0", "workers 0: must be a whole number"),
        ("spectral.matrices=fc_inn", "nearest: fc_in"),
        ("spectral.matrices=[1,2]", "spectral.matrices=[1, 2]: a name or a list of names"),
        ("spectral.matrixes=all", "matrixes"),
        ("model.path=null", "needs model.path=DIR"),
        ("model.path=nowhere/at/all", "no model folder at nowhere/at/all"),
        ("model.path=someone/nothing", "someone/nothing is no folder here and not in the hub's cache"),
    ],
)
def test_wrong_inputs(command, gptj, typed, said):
    result = command(*QUIET, f"model.path={gptj}", typed)
    assert result.code == 1
    assert said in result.err
    assert "Traceback" not in result.err
    assert not Path("run", "scan.csv").exists()


def test_the_built_in_model_is_trained_when_it_is_missing(command, gptj, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "laser_lit.lit.facts_training.ensure_facts_model", lambda training, progress: asked.append(training) or gptj
    )
    assert command("task=scan", "logger=none", "hydra.run.dir=run", "trainer.progress_bar=false").code == 0
    assert len(asked) == 1
    assert Path("results/scan/facts/rows.jsonl").is_file()


def test_wandb_gets_the_scan(command, gptj, monkeypatch):
    finished = []
    monkeypatch.setattr("laser_lit.lit.wandb_run.start_run", lambda config, folder, *named: finished.append(named))
    assert command("task=scan", "model=local", "hydra.run.dir=run", f"model.path={gptj}").code == 0
    assert finished == [(f"scan {gptj.name}", "scan")]


def test_the_command_loads_nothing_heavy(gptj, tmp_path):
    script = (
        "import sys; from laser_lit.main import evaluate\n"
        f"sys.argv[1:] = {[*QUIET, f'model.path={gptj}']!r}\n"
        "evaluate()\n"
        "heavy = ('lightning', 'transformers', 'datasets', 'accelerate', 'wandb')\n"
        "print('loaded', [name for name in heavy if name in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", script]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=250)
    assert done.stdout.splitlines()[-1] == "loaded []"


KILLED = """
import os, random, signal, sys, time
from pathlib import Path

import torch

from laser_lit import scan

torch.set_num_threads(1)
model, folder, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
start = time.perf_counter()
scan(model, folder=folder / "whole", workers=2)
seconds = time.perf_counter() - start
draw, killed = random.Random(int(sys.argv[4])), 0
while True:
    child = os.fork()
    if child == 0:
        scan(model, folder=folder / "killed", workers=2)
        os._exit(0)
    if killed < kills:
        time.sleep(draw.uniform(0, 2 * seconds / kills))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        killed += 1
    elif os.waitstatus_to_exitcode(status) == 0:
        break
    else:
        sys.exit("a scan failed")
print(killed)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_scan_that_is_killed_again_and_again_ends_as_if_it_had_never_been(seed, tmp_path):
    model = save_checkpoint(tmp_path / "model", "gptj_28")
    line = [sys.executable, "-c", KILLED, str(model), str(tmp_path), "20", str(seed)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5
    for name in ("scan.csv", "scan.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    names = {file.name for file in (tmp_path / "killed").iterdir() if not file.name.startswith(".")}
    assert names == {"rows.jsonl", "scan.csv", "scan.json"}
