"""Where a finetuned model may go, and what is made of what lies there."""

from pathlib import Path

import pytest
from commands import refused

FAST = ("finetune.steps=1", "finetune.batch_size=2")


@pytest.fixture
def typed(gptj, files):
    """Returns what to type for a short training of the small GPT-J."""
    return ["task=finetune", "model=local", f"model.path={gptj}", *files["text"], *FAST]


def test_folders_in_use_are_refused(train, typed, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    refused(train(*typed, f"finetune.path={tmp_path / 'full'}"), "not empty", "finetune.path")
    train(*typed, "finetune.path=new")
    said = train(*typed, "seed=1", "finetune.path=new")
    assert said.code == 1
    assert "not empty" in said.err


def test_a_folder_around_the_results_is_refused(train, typed):
    for path in ("kept", "."):
        refused(train(*typed, "paths.results=kept", f"finetune.path={path}"), "finetune.path", "/kept")
    refused(train(*typed, "finetune.path=results"), "the run keeps its results in")


def test_a_record_of_another_kind_is_no_finished_training(train, typed):
    Path("facts").mkdir()
    Path("facts/training.json").write_text('{"seed": 0}')
    refused(train(*typed, "finetune.path=facts"), "not empty")


def test_what_a_kill_after_the_model_left_is_cleared(train, typed):
    train(*typed, "finetune.path=new")
    (record,) = Path("results").rglob("training.json")
    record.with_name("last.ckpt").touch()
    record.unlink()
    said = train(*typed, "finetune.path=new")
    assert "trained before" in said.out, said.err
    assert not list(Path("results").rglob("last.ckpt"))
