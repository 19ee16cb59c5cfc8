"""Whatever is typed wrongly with task=sokoban: one line that says what to do, and nothing written."""

from pathlib import Path
from typing import get_args

import pytest
from commands import refused
from sokoban_settings import ROOMS, untrained

from laser_lit import main
from rl.sokoban.level import Split, write_levels
from rl.sokoban.rooms import generate_levels

FEW = ("data.levels.validation=5", "data.levels.test=5", "data.trajectories.count=10", "policy.steps=1")
SOKOBAN = ("task=sokoban", "trainer=cpu", "logger=none")
EDIT = "laser=single laser.layer=0 laser.matrix=fc_in laser.rank=2"

EVALUATED = {
    "reft.path=nowhere": ("reft.path=nowhere: task=sokoban has no text; leave it out",),
    "search=grid search.guard.data=text search.guard.path=x": ("search.guard.data=text: task=sokoban has no text",),
    "search=grid search.also=[text]": ("search.also=['text']: task=sokoban has no text",),
    "model.quantization=4bit": ("model.quantization=4bit",),
    "model.dtype=float16": ("model.dtype=float16: policies are scored in float32",),
    "max_length=9": ("max_length=9: task=sokoban has no text",),
    "split=paper": ("split=paper: task=sokoban has no text",),
    f"{EDIT} controls=true": ("controls=true: an episode has many actions, not one answer",),
    f"{EDIT} laser.decomposition=whitened": ("laser.decomposition=whitened: needs a text", "use svd"),
    "search=grid search.rho=[0.1] search.decomposition=whitened": ("search.decomposition=whitened: needs a text",),
    f"{EDIT} export.path=new export.format=factored": ("export.format=factored", "use export.format=dense"),
    "trainer=ddp trainer.accelerator=cpu trainer.devices=2": ("trainer.devices=2", "use trainer.devices=1"),
    "model=facts data=rooms": ("model=facts: task=sokoban plays by a policy", "model.path=DIR"),
    "model=gptj data=rooms": ("EleutherAI/gpt-j-6b has no config.json", "train.py task=sokoban"),
    "model.path=nowhere": ("nowhere has no config.json", "train.py task=sokoban"),
    "laser=paper": ("laser=paper", "laser=single"),
    "search=gird": ("nearest: grid",),
    "batch_size=0": ("batch_size 0: must be at least 1",),
    "policy.target_return=inf": ("policy.target_return inf: must be finite",),
    "data.levels.boxes=0": ("data.levels.boxes 0: must be at least 1",),
    "data.levels.size=11": ("size 11: rooms are generated with size 5 to 10",),
}
TRAINED = {
    "laser=single laser.layer=1 laser.matrix=fc_in laser.rho=0.1": ("laser=single: a policy trains unedited",),
    "policy.target_return=5": ("policy.target_return=5.0: a training chooses it on validation", "evaluate.py"),
    "policy.layout=step": ("unknown policy.layout 'step'", "nearest: steps", "triples"),
    "policy.hidden=130": ("policy.hidden 130: must be a multiple of policy.heads 4",),
    "policy.steps=0": ("policy.steps 0: must be at least 1",),
    "policy.learning_rate=0": ("policy.learning_rate 0.0: must be above 0",),
    "policy.precision=bf16-true": ("unknown policy.precision 'bf16-true'", "32-true, bf16-mixed"),
    "policy.target_return=text": ("policy.target_return=text: must be a number",),
    "policy.target_return=nan": ("policy.target_return nan: must be finite",),
    "policy.path=used": ("policy.path=", "used: the folder is not empty", "name a new one"),
    "data.levels.size=4": ("size 4: rooms are generated with size 5 to 10",),
    "data.levels.boxes=9": ("boxes 9: rooms are generated with boxes 1 to 4",),
    "data.levels.min_moves=12": ("min_moves 12 and max_moves 10", "at most the second"),
    "data.levels.min_moves=21 data.levels.max_moves=30": ("min_moves 21: episodes end after data.levels.max_steps 20",),
    "data.levels.validation=0": ("data.levels.validation 0: must be at least 1",),
    "data.levels.sise=6": ("unknown config key 'data.levels.sise'", "nearest: data.levels.size"),
    "data.trajectories.rates=[2]": ("noise rates [2.0]", "each in [0, 1]"),
    "data.trajectories.generic=1": ("generic noise 1.0: must lie in [0, 1)",),
    "data.trajectories.action=X": ("data.trajectories.action X: must be one of U, D, L, R",),
    "data.trajectories.solutions=x": ("solutions=x: data=rooms generates its rooms", "data=boxoban"),
    "data.path=x": ("data.path=x: data=rooms generates its rooms", "data=boxoban"),
    "data.levels.size=5 data.levels.validation=900": ("900 levels wanted of 5 × 5 cells", "found, then no more"),
    "trainer.accelerator=quantum": ("trainer.accelerator=quantum",),
    "model=gptj data=rooms": ("model=gptj: train.py task=sokoban trains a policy anew", "leave it out"),
    "model.path=DIR": ("model.path=DIR: train.py task=sokoban trains a policy anew",),
    "reft.path=DIR": ("reft.path=DIR: a policy trains as it is",),
    "trainer.devices=0": ("trainer.devices=0",),
    "paths.results=/dev/null": ("/dev/null is a file",),
}


def assert_refused(said, *words):
    refused(said, *words)
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert not Path("outputs").exists()
    assert [path for path in Path.cwd().rglob("*") if path.is_file() and path.name != "here.txt"] == []


@pytest.fixture
def used(command):
    """Makes a folder that is in use, where a command is typed."""
    Path("used").mkdir()
    Path("used/here.txt").touch()


@pytest.mark.parametrize("typed", EVALUATED)
def test_what_cannot_be_evaluated(command, typed):
    assert_refused(command(*SOKOBAN, *ROOMS, *FEW, *typed.split()), *EVALUATED[typed])


@pytest.mark.parametrize("typed", TRAINED)
def test_what_cannot_be_trained(command, used, typed):
    assert_refused(command(*SOKOBAN, *ROOMS, *FEW, *typed.split(), entry=main.train), *TRAINED[typed])


@pytest.mark.parametrize("entry", [main.evaluate, main.train], ids=["evaluate", "train"])
def test_data_of_another_kind(command, entry):
    said = command(*SOKOBAN, "data=facts", entry=entry)
    assert_refused(said, "not data=facts; use data=rooms, or data=boxoban data.path=DIR")
    said = command(*SOKOBAN, "data=facts", "data.levels.size=6", entry=entry)
    assert_refused(said, "a group that is null here", "data.levels.… and data.trajectories.… of data=rooms")
    said = command(*SOKOBAN, "model=gptj", entry=entry)
    assert_refused(said, "not data=counterfact; use data=rooms")


def test_a_language_model_is_no_policy(command, gptj):
    said = command(*SOKOBAN, *ROOMS, *FEW, f"model.path={gptj}")
    assert_refused(said, f"{gptj} holds a gptj that was not trained on boards", "train.py task=sokoban")


POLICIES = {
    "data.levels.size=7": ("the policy plays boards of 6 × 6, and data has 7 × 7", "data.levels.size=6"),
    "data.levels.max_steps=21": ("data.levels.max_steps 21: the policy was trained on episodes of at most 20 steps",),
    "laser=single laser.layer=2 laser.matrix=fc_in laser.rank=2": ("layer 2", "layers 0 to 1"),
    "laser=single laser.layer=0 laser.matrix=fc_up laser.rank=2": ("fc_up", "fc_in"),
    "laser=single laser.layer=0 laser.matrix=fc_in laser.rank=33": ("rank 33", "1 … 32"),
    "search=grid search.layers=5": ("layer 5", "layers 0 to 1"),
}


@pytest.mark.parametrize("typed", POLICIES)
def test_what_a_policy_is_not_made_for(command, tmp_path, typed):
    untrained().save_pretrained(tmp_path / "policy")
    assert_refused(
        command(*SOKOBAN, *ROOMS, *FEW, f"model.path={tmp_path / 'policy'}", *typed.split()), *POLICIES[typed]
    )


BOXOBAN = {
    "data=boxoban": ("data=boxoban needs data.path=FILE_OR_FOLDER", "boxoban-levels"),
    "data=boxoban data.path=nowhere": ("nowhere: cannot be read",),
    "data=boxoban data.path=BROKEN": ("broken.txt:6: unknown characters 'x'", "a level is made of"),
    "data=boxoban data.path=FEW": ("data.levels.test 1000: of 3 levels", "ask for fewer, or give more levels"),
    "data=boxoban data.path=FEW data.levels.test=3": ("data.levels.validation 1000: of 3 levels",),
    "data=boxoban data.path=FEW data.levels.size=6": ("data.levels.size=6: levels of files",),
    "data=boxoban data.path=FEW data.levels.test=3 data.trajectories.solutions=x": (
        "data.trajectories.solutions=x: no such file",
    ),
}


@pytest.mark.parametrize("typed", BOXOBAN)
def test_levels_of_files(command, tmp_path, typed):
    levels = [level for split in get_args(Split) for level in generate_levels(0, 6, 1, 3, split, 2, 10)]
    write_levels(levels, tmp_path / "few.txt")
    (tmp_path / "broken.txt").write_text("; 0\n######\n#@$. #\n######\n; 1\n##x###\n#@$. #\n######\n")
    line = typed.replace("BROKEN", str(tmp_path / "broken.txt")).replace("FEW", str(tmp_path / "few.txt")).split()
    assert_refused(command(*SOKOBAN, "data.trajectories.count=3", "policy.steps=1", *line), *BOXOBAN[typed])
