"""Classifiers as they are typed: interventions and a head train, GLUE's metrics come out, and all of it comes back."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from checkpoints import save_checkpoint
from commands import refused, stop, wait_for
from glue_files import save_glue
from safetensors.torch import load_file, save_file

from laser_lit import InputError, load_classifier, load_reft
from laser_lit.scoring.glue import glue_metrics

QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false")
HEAD = {f"classifier.{name}.{kind}" for name in ("dense", "out_proj") for kind in ("weight", "bias")}
FILES = {"README.md", "head.json", "head.safetensors", "reft.json", "reft.safetensors", "training.json"}


@pytest.fixture(scope="session")
def roberta(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "roberta", "roberta")


@pytest.fixture
def typed(roberta, tmp_path):
    """Returns what to type for a short training of the small RoBERTa on CoLA's recipe."""
    path = save_glue(tmp_path / "cola", "cola")
    local = ("model=local", f"model.path={roberta}", f"data.path={path}")
    return ["experiment=glue", *local, "reft.max_length=16", "reft.epochs=10", "reft.learning_rate=0.02"]


def predicted(folder, texts, base=None, second=None):
    """Returns what a trained folder says to texts, in one batch."""
    model, tokenizer, reft = load_classifier(folder, base)
    given = tokenizer(texts, second, padding=True, return_tensors="pt")
    with torch.no_grad(), reft.attached(model):
        return model(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).logits


def test_cola_is_learned_and_the_folder_gives_the_same_predictions(train, typed, roberta, tmp_path, command, files):
    before = (roberta / "model.safetensors").read_bytes()
    said = train(*typed, "reft.path=new", "reft.holdout=0.2", "hydra.run.dir=run")
    assert said.code == 0, said.err
    assert {path.name for path in Path("new").iterdir()} == FILES
    assert (roberta / "model.safetensors").read_bytes() == before
    record, head = (json.loads(Path("new", name).read_text()) for name in ("training.json", "head.json"))
    assert record["data"]["train"] + record["data"]["held_out"] == 64
    assert (record["data"]["split"], record["data"]["validation"]) == ("train", 24)
    assert record["parameters"] == 3 * (32 + 32 + 1) + 32 * 32 + 32 + 2 * 32 + 2
    assert set(load_file("new/head.safetensors")) == HEAD
    assert (head["labels"], head["task"], head["metric"]) == (["unacceptable", "acceptable"], "cola", "matthews")
    assert record["metrics"]["validation"]["matthews"] > 0.8
    assert record["metrics"]["held_out"]["matthews"] > 0.5
    assert record["metrics"]["constant"] == {"matthews": 0}
    for words in ("matthews", f"{record['metrics']['validation']['matthews']:.4f}", "held out of train", "nats a text"):
        assert words in said.out
    table = pd.read_parquet("run/predictions.parquet")
    judged = table[table["split"] == "validation"]
    names = {name: number for number, name in enumerate(head["labels"])}
    numbers = [judged[column].map(names).to_numpy() for column in ("prediction", "answer")]
    assert glue_metrics("cola", *numbers) == record["metrics"]["validation"]
    texts = pd.read_parquet(tmp_path / "cola" / "validation.parquet")["sentence"].tolist()
    again = predicted("new", texts)
    assert again.argmax(-1).tolist() == numbers[0].tolist()
    asked = ("model=local", f"model.path={roberta}", "laser=none", "reft.path=new")
    assert "is a classifier's: interventions with a head" in command(*asked, *files["token"]).err
    moved = shutil.copytree(roberta, tmp_path / "moved")
    assert torch.equal(predicted("new", texts, base=moved), again)


def test_a_finished_training_typed_again_says_so(train, typed):
    first = train(*typed)
    again = train(*typed)
    assert (first.code, again.code) == (0, 0)
    assert "trained before; remove" in again.out
    assert "trained before" not in train(*typed, "data.limit=40").out
    assert {path.name for path in Path("results/reft/roberta/glue").glob("*/*")} >= {"roberta-cola-loreft"}


def test_scores_are_learned_by_regression(train, typed, tmp_path):
    path = save_glue(tmp_path / "stsb", "stsb", train=96)
    said = train(*typed, "data.task=stsb", f"data.path={path}", "reft.path=new", "reft.epochs=30")
    assert said.code == 0, said.err
    assert "squared error of a score" in said.out
    record = json.loads(Path("new/training.json").read_text())
    assert record["metrics"]["validation"]["pearson"] > 0.8
    assert set(record["metrics"]["validation"]) == {"pearson", "spearman"}
    assert json.loads(Path("new/head.json").read_text())["labels"] == []
    assert predicted("new", ["w1 w20"], second=["w2 w21"]).shape == (1, 1)


@pytest.mark.parametrize(("task", "kind"), [("mnli", "bert"), ("mrpc", "gptj")])
def test_pairs_and_other_families(train, typed, tmp_path, bert, gptj, task, kind):
    path, base = save_glue(tmp_path / task, task), {"bert": bert, "gptj": gptj}[kind]
    said = train(*typed, f"data.task={task}", f"data.path={path}", f"model.path={base}", "reft.path=new")
    assert said.code == 0, said.err
    names = set(load_file("new/head.safetensors"))
    pooler = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert names == ({"classifier.weight", "classifier.bias"} | pooler if kind == "bert" else {"score.weight"})
    logits = predicted("new", ["w1 w20", "w2 w21 w22"], second=["w2 w21", "w3"])
    assert logits.shape == (2, 3 if task == "mnli" else 2)


def test_the_curve_and_the_metrics_are_in_metrics_csv(train, typed):
    train(*typed, "logger=csv", "logger.wandb=false", "hydra.run.dir=run", "reft.steps=4", "reft.holdout=0.2")
    table = pd.read_csv("run/csv/metrics.csv")
    assert table["train/loss"].notna().sum() == 4
    assert table["validation/matthews"].notna().sum() == table["held_out/matthews"].notna().sum() == 1


WRONG = {
    "reft=lora": ("reft=lora trains next-token models only", "reft=loreft"),
    "reft.precision=bf16-true": ("bf16-mixed or 32-true",),
    "reft.show=2": ("a classifier answers no prompts",),
    "reft.max_length=99": ("reft.max_length 99", "at most 31 tokens"),
    "data.task=colo": ("unknown data.task of GLUE 'colo'", "nearest: cola"),
    "data.limit=1": ("raise data.limit",),
    "reft.layer=7": ("3 layers",),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_inputs(train, typed, wrong):
    refused(train(*typed, wrong), *WRONG[wrong])


def test_one_split_alone_and_models_without_a_classifier_are_refused(train, typed, tmp_path):
    refused(train(*typed, f"data.path={tmp_path / 'cola' / 'train.parquet'}"), "no row of the validation split")
    t5 = save_checkpoint(tmp_path / "t5", "t5")
    refused(train(*typed, f"model.path={t5}"), "(t5) cannot be a classifier of texts", "encoder-decoders")


def test_folders_that_are_not_as_they_were_written_are_refused(train, typed, roberta, tmp_path):
    assert train(*typed, "reft.path=new", "reft.steps=2").code == 0
    other = shutil.copytree(roberta, tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    weights["roberta.encoder.layer.0.output.dense.bias"][0] += 1
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="other weights than the base"):
        load_classifier("new", other)
    Path("new/head.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"head\.safetensors cannot be read"):
        load_classifier("new")
    Path("new/head.json").write_text("{}")
    with pytest.raises(InputError, match="schema 1 is wanted"):
        load_classifier("new")
    Path("new/head.json").unlink()
    with pytest.raises(InputError, match=r"has no head\.json"):
        load_classifier("new")
    assert load_reft("new").parameter_count == 3 * (32 + 32 + 1)


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_to_the_same_bits(train, start, typed):
    line = [*typed, "reft.steps=150", "reft.save_every=5", "reft.holdout=0.2", "reft.dropout=0.1"]
    train(*line, "paths.results=whole", "reft.path=one")
    process = start(*QUIET, *line, "paths.results=twice", "reft.path=two", script="train.py", cwd=Path.cwd())
    wait_for(process, Path("twice"), "*/last.ckpt")
    stop(process)
    said = train(*line, "paths.results=twice", "reft.path=two")
    assert said.code == 0, said.err
    assert "training goes on after step " in said.out
    for name in ("head.safetensors", "reft.safetensors"):
        one, two = (load_file(Path(folder, name)) for folder in ("one", "two"))
        assert one.keys() == two.keys()
        assert [key for key in one if not torch.equal(one[key], two[key])] == []
    records = [json.loads(Path(folder, "training.json").read_text()) for folder in ("one", "two")]
    assert records[0]["curve"] == records[1]["curve"]
    assert records[0]["metrics"] == records[1]["metrics"]
