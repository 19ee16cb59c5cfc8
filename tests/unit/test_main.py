"""The two entry points: what they run, print and exit with."""

import logging
import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from checkpoints import data_arguments, save_checkpoint, save_data
from omegaconf import OmegaConf

from laser_lit import main
from laser_lit.errors import InputError
from laser_lit.lit.finetune import CausalLMModule

JOB = "laser_lit.main.probe"
"""Where `commanded` puts the job of a test."""


@pytest.fixture
def commanded(tmp_path, monkeypatch, capsys):
    """Returns a function that runs a job, or the arguments alone, through `evaluate`; gives code and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(main.FULL_ERROR, raising=False)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*arguments, job=None, entry=main.evaluate):
        if job is not None:
            monkeypatch.setattr(main, "probe", job, raising=False)
            arguments = (f"task._target_={JOB}", *arguments)
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
        try:
            entry()
        except SystemExit as stop:
            return stop.code, capsys.readouterr().err
        return 0, capsys.readouterr().err

    yield run
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_job_gets_the_config(commanded, tmp_path):
    seen = []

    def job(config):
        seen.append((config.seed, Path(config.paths.output).parent.parent))
        return 0.25

    assert commanded("seed=7", job=job) == (0, "")
    assert seen == [(7, tmp_path / "outputs")]


def raises(error):
    def job(config):
        raise error

    return job


@pytest.mark.parametrize("error", [InputError("mend this"), PermissionError("mend this"), OSError(28, "mend this")])
def test_what_a_user_can_mend_is_one_line_and_leaves_nothing(commanded, error, tmp_path):
    assert commanded(job=raises(error)) == (1, f"error: {error}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(commanded, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    for folder in ("mine", "mine/run"):
        assert commanded(f"hydra.run.dir={folder}", job=raises(InputError("mend this"))) == (1, "error: mend this\n")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "kept"
    assert not (tmp_path / "mine" / "run").exists()


def test_the_folder_that_one_is_in_stays(commanded, tmp_path):
    assert commanded("hydra.run.dir=.", job=raises(InputError("mend this"))) == (1, "error: mend this\n")
    assert tmp_path.is_dir()
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    commanded("hydra.run.dir=mine", job=raises(InputError("mend this")))
    assert (tmp_path / "mine" / "empty").is_dir()


def test_what_a_refused_run_has_written_or_logged_stays(commanded, tmp_path):
    def writes(config):
        Path(config.paths.output, "half.json").write_text("{}")
        raise InputError("mend this")

    def logs(config):
        logging.getLogger("laser_lit").warning("look at this")
        raise InputError("mend this")

    for job, file in ((writes, "half.json"), (logs, "evaluate.log")):
        assert commanded(f"hydra.run.dir={file}.d", job=job)[0] == 1
        assert (tmp_path / f"{file}.d" / file).stat().st_size
        assert (tmp_path / f"{file}.d" / ".hydra").is_dir()


def test_a_job_of_a_sweep_is_named_and_keeps_its_folder(commanded, tmp_path):
    code, err = commanded("hydra.mode=MULTIRUN", "seed=7", job=raises(InputError("mend this")))
    assert code == 1
    assert "seed=7" in err
    assert err.endswith("error: mend this\n")
    assert list(tmp_path.glob("multirun/*/*/0/.hydra"))


def test_what_only_a_programmer_can_mend_has_a_traceback(commanded):
    with pytest.raises(ZeroDivisionError):
        commanded(job=raises(ZeroDivisionError("mend that")))


def test_the_traceback_of_every_error_on_request(commanded, monkeypatch, tmp_path):
    monkeypatch.setenv(main.FULL_ERROR, "1")
    with pytest.raises(InputError, match="mend this"):
        commanded(job=raises(InputError("mend this")))
    assert list(tmp_path.glob("outputs/*/*/.hydra"))


@pytest.mark.parametrize("given", [None, "0", "1"])
def test_processes_of_a_job_see_the_users_environment(commanded, monkeypatch, given):
    if given is not None:
        monkeypatch.setenv(main.FULL_ERROR, given)
    seen = []
    commanded(job=lambda config: seen.append(os.environ.get(main.FULL_ERROR)) or 0.0)
    assert seen == [given]
    assert os.environ.get(main.FULL_ERROR) == given


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_do_not_spin_unless_asked_to(commanded, monkeypatch, given, expected):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    commanded(job=lambda config: 0.0)
    assert os.environ["OMP_WAIT_POLICY"] == expected


def test_nothing_heavy_is_loaded_before_a_job():
    code = "import sys, laser_lit.main; print(*sorted({'torch', 'lightning', 'transformers'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_installed_commands_are_the_same():
    scripts = {script.name: script for script in entry_points(group="console_scripts")}
    assert scripts["laser-lit-evaluate"].load() is main.evaluate
    assert scripts["laser-lit-train"].load() is main.train


def test_interrupts(commanded):
    code, err = commanded(job=raises(KeyboardInterrupt()))
    assert code == 130
    assert err.strip() == "interrupted"


def test_exits_of_others_are_left_alone(commanded):
    assert commanded(job=raises(SystemExit(3)))[0] == 3


@pytest.fixture
def keep_sigint():
    before = signal.getsignal(signal.SIGINT)  # Lightning leaves it ignored
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keep_sigint")
def test_an_interrupted_evaluation_and_training(commanded, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    model = save_checkpoint(tmp_path / "model")
    line = ["model=local", f"model.path={model}", *data_arguments(save_data(tmp_path / "data"))["token"], "trainer=cpu"]
    monkeypatch.setattr("laser_lit.lit.evaluate.score_batch", interrupt)
    assert commanded(*line) == (130, "\ninterrupted\n")
    monkeypatch.setattr(CausalLMModule, "training_step", interrupt)
    quiet = ("trainer.progress_bar=false", "logger=none", "model.facts.steps=2", "data.world.subjects=5")
    assert commanded(*quiet, entry=main.train) == (130, "\ninterrupted\n")
    assert not list(tmp_path.rglob("result.json"))


def test_templates_are_quoted_for_hydra(commanded):
    seen = []
    commanded("data=jsonl", "data.prompt={question} Answer:", job=lambda config: seen.append(config.data.prompt) or 0.0)
    assert seen == ["{question} Answer:"]


@pytest.mark.parametrize("asked", [["--help"], ["--cfg", "job"], ["--info", "defaults"]])
def test_questions_run_nothing(commanded, tmp_path, asked):
    assert commanded(*asked) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["laser_lit.nothing", "nothing", "nothing.at.all", ""])
def test_jobs_that_are_not_there(target):
    config = OmegaConf.create({"task": {"_target_": target}})
    with pytest.raises(InputError, match=f"task._target_={target} is no function"):
        main.run_job(config)
