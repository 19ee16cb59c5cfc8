"""One search split over jobs: side by side through joblib, submitit's executor, or one after the other."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from laser_lit.config import register_schemas
from laser_lit.config_data import config_folder
from laser_lit.results.cells import read_cells

QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false", "controls=false")
GRID = ("search.rank=[2,8]", "search.matrices=[fc_in,out_proj]")
SHARDS = ("search.shard=0,1,2,3", "search.shards=4")
CELLS = 12
"""3 layers, 2 matrices, 2 ranks."""


@pytest.fixture
def model(local):
    return (*local[:-4], *QUIET)


def launcher(launch: str) -> DictConfig:
    register_schemas()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("evaluate", [f"launch={launch}", "paths.output=run"], return_hydra_config=True)
    assert "launch" not in config
    return config.hydra


def chosen(folder: Path) -> tuple[dict, pd.DataFrame]:
    record = json.loads((folder / "result.json").read_text())
    columns = ["edits", "n", "complete", "accuracy", "log_loss", "gain_log_loss", "p", "p_adjusted", "error"]
    return record, read_cells(folder)[columns]


def assert_same_choice(one: Path, other: Path) -> None:
    (record, cells), (again, table) = chosen(one), chosen(other)
    assert again["edits"] == record["edits"]
    assert again["validation"] == record["validation"]
    assert again["laser"] == record["laser"]
    assert again["gain"] == record["gain"]
    pd.testing.assert_frame_equal(table, cells)


def scored(folder: Path) -> list[str]:
    """Returns what the journals in a results folder name, the base left out."""
    lines = [json.loads(line) for path in folder.glob("cells-*.jsonl") for line in path.read_text().splitlines()]
    return [entry["hash"] for entry in lines if entry["edits"]]


def test_jobs_run_here_unless_a_launcher_is_asked_for():
    assert launcher("local").launcher._target_.endswith("BasicLauncher")
    assert launcher("local").mode is None


@pytest.mark.parametrize(("launch", "target"), [("joblib", "JoblibLauncher"), ("slurm", "SlurmLauncher")])
def test_launchers_of_plugins_ask_for_a_multirun_by_themselves(launch, target):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install 'laser_lit[launch]'")
    hydra = launcher(launch)
    assert hydra.launcher._target_.endswith(target)
    assert hydra.mode.name == "MULTIRUN"


def test_every_field_of_slurm_is_one_of_submitits():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'laser_lit[launch]'")
    from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf

    text = OmegaConf.load(Path(config_folder()) / "launch" / "slurm.yaml")
    typed = text.hydra.launcher
    assert set(typed) <= set(OmegaConf.structured(SlurmQueueConf))
    assert OmegaConf.merge(OmegaConf.structured(SlurmQueueConf), typed).max_num_timeout > 0


@pytest.mark.parametrize(("launch", "package"), [("joblib", "joblib"), ("slurm", "submitit")])
def test_a_launcher_that_is_not_installed_is_named(command, monkeypatch, launch, package):
    Plugins.instance()  # registers what is installed
    registered = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.setitem(ConfigStore.instance().repo["hydra"], "launcher", {"basic.yaml": registered["basic.yaml"]})
    said = command(f"launch={launch}", "search=grid")
    assert said.code == 1
    assert f"hydra-{package}-launcher, which is not installed: pip install 'laser_lit[launch]'" in said.err
    assert "Traceback" not in said.err


def test_slurm_where_there_is_none_is_said_in_words(command, model, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'laser_lit[launch]'")
    monkeypatch.setenv("PATH", "")
    said = command(*model, "launch=slurm", "search=grid", *SHARDS)
    assert said.code == 1
    assert said.err.splitlines()[-1].startswith(
        "error: launch=slurm: this machine has no srun; start it on a login node"
    )
    assert "Traceback" not in said.err


def test_no_jobs_at_once_is_said_in_words(command, model):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install 'laser_lit[launch]'")
    said = command(*model, "launch=joblib", "hydra.launcher.n_jobs=0", "search=grid", *SHARDS)
    assert (said.code, "Traceback" in said.err) == (1, False)
    assert said.err.splitlines()[-1].startswith("error: hydra.launcher.n_jobs=0: must be at least 1")


def test_shards_one_after_the_other_are_one_search(command, model, tmp_path):
    said = command("-m", *model, *GRID, *SHARDS, "search=grid", "launch=local", "paths.results=split")
    assert said.code == 0, said.err
    assert [f"shard {shard} of 4: {cells} stacks" in said.out for shard, cells in enumerate((4, 4, 2, 2))] == [True] * 4
    assert len(set(scored(Path("split")))) == len(scored(Path("split"))) == CELLS
    command(*model, *GRID, "search=collect", "paths.results=split", "hydra.run.dir=split_run")
    said = command(*model, *GRID, "search=grid", "paths.results=whole", "hydra.run.dir=whole_run")
    assert said.code == 0, said.err
    assert_same_choice(Path("whole_run"), Path("split_run"))


@pytest.fixture
def choose(command, model, tmp_path):
    """Returns a function that chooses in this process: among the cells in split/, and by a search of its own."""

    def run(*search: str) -> None:
        kept = scored(tmp_path / "split")
        for name, typed in (("split", ("search=collect",)), ("whole", search)):
            folders = (f"paths.results={tmp_path / name}", f"hydra.run.dir={tmp_path / name}_run")
            said = command(*model, *GRID, *typed, *folders)
            assert said.code == 0, said.err
        assert len(set(kept)) == len(kept) == CELLS
        assert scored(tmp_path / "split") == kept  # collect scored nothing

    return run


@pytest.mark.slow
def test_four_joblib_shards_and_one_process_choose_the_same(shell, model, tmp_path, choose):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install 'laser_lit[launch]'")
    joblib = ("launch=joblib", "hydra.launcher.n_jobs=4")
    done = shell("-m", *model, *GRID, *SHARDS, "search=grid", *joblib, "paths.results=split")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "split").glob("cells-*.jsonl"))) >= 4
    choose("search=grid")
    assert_same_choice(tmp_path / "whole_run", tmp_path / "split_run")


@pytest.mark.slow
def test_submitits_executor_runs_the_shards(shell, model, tmp_path, choose):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'laser_lit[launch]'")
    submitit = ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=4", "hydra.sweep.dir=sweep")
    shards = ("search.shard=0,1", "search.shards=2")
    done = shell("-m", *model, *GRID, *shards, "search=grid", *submitit, "paths.results=split")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("sweep/.submitit/*/*_result.pkl"))) == 2
    choose("search=grid")
    assert_same_choice(tmp_path / "whole_run", tmp_path / "split_run")


@pytest.mark.slow
def test_jobs_of_optuna_share_one_study(shell, command, model, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install 'laser_lit[launch]'")
    optuna = (
        *model,
        *GRID,
        "search=optuna",
        "search.trials=18",
        "search.stack=2",
        f"paths.results={tmp_path / 'split'}",
    )
    joblib = ("launch=joblib", "hydra.launcher.n_jobs=3")
    done = shell("-m", *optuna, "search.shard=0,1,2", "search.shards=3", *joblib)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "split").glob("optuna-*.jsonl"))) == 1
    kept = scored(tmp_path / "split")
    said = command(*optuna, f"hydra.run.dir={tmp_path / 'chosen'}")
    assert said.code == 0, said.err
    assert scored(tmp_path / "split") == kept  # nothing was left to score
    record, cells = chosen(tmp_path / "chosen")
    assert record["search"]["driver"] == "optuna"
    assert len(cells) == len(set(cells["edits"])) == 18
