"""What is refused before anything is loaded."""

from pathlib import Path

import pytest

from laser_lit.errors import InputError
from laser_lit.jobs.checks import check_evaluation, check_folder


@pytest.fixture
def config(composed, tmp_path, monkeypatch):
    """Returns a function from overrides to a config for the CPU; relative paths are below an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: composed("trainer.accelerator=cpu", *overrides)


def test_the_defaults_pass_and_nothing_is_made(config, tmp_path):
    check_evaluation(config())
    check_evaluation(config("model=gptj", "max_length=2", "batch_size=1", "seed=0", "padding=left", "split=paper"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("batch_size=0", "batch_size 0: must be at least 1"),
        ("seed=-1", "seed -1: must be at least 0"),
        ("max_length=1", "max_length 1: must be at least 2"),
        ("padding=up", "unknown padding 'up'; allowed: right, left"),
        ("split=grup", "unknown split 'grup'; nearest: group"),
        ("scoring=papr", "unknown scoring 'papr'; nearest: paper"),
        ("trainer.devices=0", "trainer.devices=0"),
        ("model.facts=null", r"model=facts needs model\.path"),
        ("data=fever", "model=facts data=fever"),
    ],
)
def test_values(config, typed, words):
    with pytest.raises(InputError, match=words):
        check_evaluation(config(typed))


def test_a_spread_model_and_several_processes(config):
    with pytest.raises(InputError, match=r"model\.device_map=auto with trainer\.devices=2"):
        check_evaluation(config("model.device_map=auto", "trainer.devices=2"))
    check_evaluation(config("trainer.devices=2"))


def test_processes_within_a_sweep(config, monkeypatch):
    monkeypatch.setattr("laser_lit.jobs.checks._is_job_of_a_sweep", lambda: True)
    check_evaluation(config())
    with pytest.raises(InputError, match=r"-m with trainer\.devices=2 trainer\.strategy=ddp.*launcher"):
        check_evaluation(config("trainer=ddp"))
    for name, value in {"LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)  # as a launcher does that starts every process itself
    check_evaluation(config("trainer=ddp"))


def test_folders(tmp_path):
    check_folder("paths.results", tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "below"):
        with pytest.raises(InputError, match=f"paths.results={path}: {file} is a file"):
            check_folder("paths.results", path)


def test_a_locked_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("laser_lit.jobs.checks.os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(InputError, match=f"{tmp_path} cannot be written to"):
        check_folder("paths.results", tmp_path / "new")


def test_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_folder("paths.results", Path("a/b"))
    Path("a").write_text("")
    with pytest.raises(InputError, match="a is a file"):
        check_folder("paths.results", Path("a/b"))
