"""A training of interventions that is typed wrongly: one message that names what was given, and nothing written."""

import json
import os
import shutil
from pathlib import Path

import pytest
from checkpoints import spoil

from laser_lit import main

QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false", "reft.steps=1", "reft.batch_size=2")


@pytest.fixture
def typed(gptj, files):
    """Returns what to type for a short training beside the small GPT-J."""
    return ["task=reft", "model=local", f"model.path={gptj}", *files["generate"]]


@pytest.fixture
def refused(command):
    """Returns a function that runs train.py and asserts that it stopped in one line and wrote nothing."""

    def run(arguments, *words):
        before = sorted(Path.cwd().rglob("*"))
        said = command(*QUIET, *arguments, entry=main.train)
        assert said.code == 1, said
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert len(said.err.splitlines()) == 1, said.err
        for word in words:
            assert word in said.err, said.err
        assert sorted(Path.cwd().rglob("*")) == before
        assert not list(Path(os.environ["LASER_LIT_CACHE"]).iterdir())

    return run


WRONG = {
    "reft.type=loretf": ("unknown reft.type 'loretf'", "nearest: loreft"),
    "reft.positions=l0": ("positions 'l0'", "f7+l7"),
    "laser=single": ("laser=single", "unedited model", "evaluate.py"),
    "reft.share=some": ("share 'some'", "all, ends, none"),
    "reft.rank=0": ("reft.rank 0", "at least 1"),
    "model.quantization=3bit": ("model.quantization '3bit'", "4bit, 8bit"),
    "reft.rank=33": ("layer 0 block_output: rank 33", "[1, 32]"),
    "reft.layer=3": ("layer 3", "0 to 2"),
    "reft.layer=[0,7]": ("layer 7", "0 to 2"),
    "reft.component=block_outptu": ("block_outptu", "block_output"),
    "reft.act_fn=relux": ("act_fn 'relux'", "relu"),
    "reft.dtype=float8": ("dtype", "'float8'", "bfloat16"),
    "reft.bias=false": ("bias false", "noreft and nodireft"),
    "reft.matrices=[q_proj]": ("reft.matrices counts for a LoRA only", "reft.type=loreft", "reft=lora"),
    "reft.interventions=[{layer:1,ranc:2}]": ("number 0", "'ranc'", "nearest: rank"),
    "reft.interventions=[{rank:2}]": ("component block_output: needs a layer",),
    "reft.schedule=cosin": ("unknown reft.schedule 'cosin'", "nearest: cosine"),
    "reft.precision=16": ("unknown reft.precision '16'", "bf16-mixed"),
    "reft.split=test": ("unknown reft.split 'test'", "validation, all"),
    "reft.strength=0.5": ("reft.strength 0.5", "evaluate.py only"),
    "reft.holdout=1": ("reft.holdout 1.0", "[0, 1)"),
    "reft.steps=0": ("reft.steps 0", "at least 1"),
    "reft.learning_rate=nan": ("reft.learning_rate nan", "above 0"),
    "reft.weight_decay=-1": ("reft.weight_decay -1.0", "at least 0"),
    "reft.max_length=65": ("reft.max_length 65", "at most 64 tokens"),
    "reft.max_length=2": ("leaves no room for a prompt in 2", "reft.max_length", "data.max_answer_tokens"),
    "model.device_map=auto": ("model.device_map=auto", "whole on each device"),
    "trainer.strategy=fsdp": ("fsdp",),
    "data.path=none.jsonl": ("none.jsonl",),
    "data.limit=1": ("1 group(s)", "raise data.limit"),
    "data.chat_template=true": ("has no chat template", "leave it false"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_inputs(refused, typed, wrong):
    refused([*typed, wrong], *WRONG[wrong])


LORA = {
    "model.quantization=4bit": ("reft=lora", "needs the whole weights"),
    "reft.rank=0": ("reft.rank 0", "at least 1"),
    "reft.layer=3": ("layer 3", "0 to 2"),
    "reft.matrices=[q_porj]": ("unknown matrix 'q_porj'", "nearest: q_proj"),
    "reft.alpha=0": ("reft.alpha 0.0", "above 0"),
    "reft.dropout=1": ("reft.dropout 1.0", "[0, 1)"),
    "reft.interventions=[{layer:1}]": ("reft.interventions", "reft.type=lora"),
}


@pytest.mark.parametrize("wrong", LORA)
def test_wrong_inputs_of_a_lora(refused, typed, wrong):
    refused([*typed, "reft=lora", wrong], *LORA[wrong])


def test_answers_that_cannot_be_shown(refused, typed):
    refused([*typed, "reft.show=1", "reft.new_tokens=64"], "reft.new_tokens 64", "64 tokens")


def test_data_and_models_of_another_kind(refused, typed, files, bert):
    refused([*typed[:3], *files["text"]], "data=text is plain text", "task=finetune")
    refused([*typed, f"model.path={bert}"], "bert predicts masked tokens", "next-token models")


def test_a_model_with_an_entry_that_is_no_number(refused, typed, gptj, tmp_path):
    shutil.copytree(gptj, tmp_path / "spoiled")
    spoil(tmp_path / "spoiled", "transformer.h.1.mlp.fc_in.weight")
    refused([*typed, f"model.path={tmp_path / 'spoiled'}"], "transformer.h.1.mlp.fc_in.weight")


def test_folders_in_use(refused, typed):
    Path("full").mkdir()
    Path("full/note.txt").write_text("mine")
    refused([*typed, "reft.path=full"], "reft.path", "full", "not empty")
    refused([*typed, "reft.path=full/note.txt"], "reft.path", "note.txt")
    refused([*typed, "reft.path=results"], "reft.path", "the run keeps its results in")
    Path("full/training.json").write_text(json.dumps({"hash": "of another training"}))
    refused([*typed, "reft.path=full"], "reft.path", "full", "not empty")


def test_a_folder_of_another_training(command, refused, typed):
    assert command(*QUIET, *typed, "reft.path=new", "paths.results=kept", entry=main.train).code == 0
    shutil.rmtree("outputs")
    refused([*typed, "reft.path=new", "paths.results=kept", "seed=1"], "reft.path", "new", "not empty")


def test_a_training_that_diverges_says_so(command, typed):
    said = command(*QUIET, *typed, "reft.steps=3", "reft.learning_rate=1e30", entry=main.train)
    assert said.code == 1
    assert "smaller reft.learning_rate" in said.err
    assert not list(Path("results").rglob("*.safetensors"))
