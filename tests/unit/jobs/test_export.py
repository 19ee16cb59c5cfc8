"""What is refused of `export` before anything is loaded, and what the card is told."""

from dataclasses import replace

import pytest
from hydra.core.hydra_config import HydraConfig

from laser_lit.edits.row import AppliedEdit
from laser_lit.errors import InputError
from laser_lit.jobs import edit_checkpoint
from laser_lit.jobs.checks import check_evaluation
from laser_lit.jobs.export import check_smaller, command, origin_of


@pytest.fixture
def config(composed, tmp_path, monkeypatch):
    """Returns a function from overrides to a config for the CPU; relative paths are below a folder with one file."""
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: composed("trainer.accelerator=cpu", *overrides)


def test_a_new_folder_is_not_made_yet(config, tmp_path):
    for format in ("dense", "factored"):
        check_evaluation(config("export.path=new/folder", f"export.format={format}", "export.shard_gb=2"))
    check_evaluation(config("export.path=new", "search=greedy"))
    check_evaluation(config("export.path=new", "search=collect", "search.shards=2"))
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["export.path=used"], r"export\.path=.*used: the folder is not empty, and nothing is written over"),
        (["export.path=used/file"], r"used/file is a file"),
        (["export.path=new", "export.format=sparse"], r"unknown export\.format 'sparse'; allowed: dense, factored"),
        (["export.path=new", "export.shard_gb=-1"], r"export\.shard_gb -1\.0: must be more than 0"),
        (["export.format=factored"], r"export\.format=factored without export\.path"),
        (["export.shard_gb=2"], r"export\.shard_gb=2\.0 without export\.path"),
        (["export.path=new", "paths.results=new/kept"], r"export\.path=.*new: the run keeps its results in .*new/kept"),
        (["export.path=results"], r"export\.path=.*results: the run keeps its results in"),
        (["export.path=new", "laser=none"], r"export\.path=new with laser=none: nothing is edited"),
        (
            ["export.path=new", "search=grid", "search.shards=2", "search.shard=1"],
            r"with search\.shard: .*search=collect",
        ),
    ],
)
def test_values(config, typed, words):
    with pytest.raises(InputError, match=words):
        check_evaluation(config(*typed))


def test_factors_that_would_save_nothing_are_refused_before_anything_is_scored(config):
    asked = config("export.path=new", "export.format=factored")
    row = AppliedEdit(**dict.fromkeys(AppliedEdit.__dataclass_fields__) | {"kind": "low_rank", "shape": (64, 16)})
    check_smaller([replace(row, rank=12)], asked)
    check_smaller([replace(row, rank=16), replace(row, kind="zero", rank=0)], asked)
    check_smaller([replace(row, rank=16)], config("export.path=new"))
    for kept in (replace(row, rank=13), replace(row, rank=2, blocks=4), replace(row, kind="high_order", rank=2)):
        with pytest.raises(InputError, match="low_rank does so below rank 13 of a 64 x 16 one"):
            check_smaller([kept], asked)


EDIT = ["task=edit_checkpoint", "model=local", "model.path=x", "laser=single", "laser.layer=0", "laser.matrix=mlp"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([], r"task=edit_checkpoint needs export\.path=DIR"),
        (["export.path=used"], r"the folder is not empty"),
        (["export.path=new", "export.format=factored"], r"python -m laser_lit\.export DIR NEW --format factored"),
        (["export.path=new", "export.shard_gb=1"], r"export\.shard_gb=1\.0 counts for nothing .*: the shards stay"),
        (["export.path=new", "search=greedy"], r"search=greedy counts for nothing with task=edit_checkpoint"),
        (["export.path=new", "model.dtype=float16"], r"model\.dtype=float16 counts for nothing"),
        (["export.path=new", "model.path=null"], r"model=local needs model\.path=DIR"),
        (["export.path=new", "laser.rho=0.5"], r"no model folder at x|x is no folder here and not in the hub's cache"),
    ],
)
def test_values_of_edit_checkpoint(config, tmp_path, typed, words):
    with pytest.raises(InputError, match=words):
        edit_checkpoint.run(config(*EDIT, *typed))
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_edit_checkpoint_wants_edits(config):
    with pytest.raises(InputError, match="task=edit_checkpoint with laser=none: nothing is edited"):
        edit_checkpoint.run(config(*EDIT[:3], "export.path=new"))


def test_the_card_says_where_the_model_came_from(config, monkeypatch):
    monkeypatch.setattr(HydraConfig, "initialized", lambda: False)  # other tests leave theirs behind
    made = config("model=local", "model.path=used")
    origin = origin_of(made, "name", "found")
    assert (origin.id, origin.provenance, origin.on_hub, origin.folder.name) == ("name", "found", False, "used")
    assert command(made) is None  # composed in Python
    hub = origin_of(config("model=local", "model.path=owner/name", "model.revision=abc"), "owner/name", None)
    assert (hub.on_hub, hub.revision, hub.folder) == (True, "abc", None)
