"""Whatever is typed wrongly: one screen, no traceback, exit code 1, and nothing written."""

import json
import os
import shutil
from pathlib import Path

import pytest
from checkpoints import save_checkpoint, set_config, spoil
from interventions import strong

from laser_lit import main
from laser_lit.models.load import load_weights
from laser_lit.reft.saving import save_reft

SCREEN = 20


def assert_refused(said, *words):
    """Asserts that the command stopped with a message that holds the words, and wrote nothing."""
    assert said.code == 1, said
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) <= SCREEN
    assert said.out == ""
    message = said.err[said.err.index("error: ") :]
    for word in words:
        assert word in message, message
    assert said.err.startswith("error: ")
    written = [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert not written
    assert not Path("outputs").exists()
    assert not Path("results").exists()
    assert not list(Path(os.environ["LASER_LIT_CACHE"]).iterdir())


EDITS = {
    "laser.matrix=fc_inn": ("unknown matrix 'fc_inn'", "nearest: fc_in", "q_proj"),
    "laser.layer=99": ("layer 99", "0 to 2"),
    "laser.layer=last": ("layer 'last'", "all"),
    "laser.layer=1.5": ("layer 1.5", "whole number"),
    "laser.rho=1.7": ("rho 1.7 for layer 1 fc_in", "[0, 1]"),
    "laser.rho=-0.1": ("rho -0.1 for layer 1 fc_in", "[0, 1]"),
    "laser.rho=0.03": ("rho 0.03 for layer 1 fc_in", "smallest valid rho is 0.03125", "zero"),
    "laser.rho=abc": ("rho 'abc'", "number"),
    "laser.rank=0": ("rank 0 for layer 1 fc_in", "at least 1", "zero"),
    "laser.rank=33": ("rank 33", "1 … 32"),
    "laser.rate=10": ("rate 10", "[0, 10)"),
    "laser.rule=energyy": ("unknown rule 'energyy'", "nearest: energy", "gavish_donoho"),
    "laser.rank=abc": ("laser.rank=abc", "whole number"),
    "laser.expert=2": ("expert 2", "no experts"),
    "laser.part=encodr": ("unknown part 'encodr'",),
    "laser.kind=lowrank": ("'lowrank'", "nearest: low_rank", "high_order, prune, zero"),
    "laser.combine=frist": ("'frist'", "in_order, last"),
    "laser.svd.method=fast": ("'fast'", "auto, exact, gram, randomized"),
    "laser.edits=[{layer: 1, matrix: fc_in, rank: 2}]": ("laser.layer=1", "laser.edits", "leave one of them out"),
    "laser.path=stack.yaml": ("laser.path=stack.yaml", "laser=file"),
    "laser.from=runs": ("laser.from=runs", "laser=stack_top3"),
}


@pytest.mark.parametrize("typed", EDITS)
def test_edits(command, local, typed):
    amount = [] if typed.startswith(("laser.rho", "laser.ra", "laser.ru")) else ["laser.rank=3"]
    assert_refused(command(*local[:-1], *amount, typed), *EDITS[typed])


STACKS = {
    "two amounts": (["laser.rho=0.5", "laser.rank=3"], ("rho 0.5 and rank 3", "one of")),
    "no amount": ([], ("how much to keep", "rho, rank, rule, rate")),
    "zero with an amount": (["laser.kind=zero", "laser.rank=3"], ("rank 3", "leave rank 3 out")),
}


@pytest.mark.parametrize("case", STACKS)
def test_amounts(command, local, case):
    typed, words = STACKS[case]
    assert_refused(command(*local[:-1], *typed), *words)


CHOICES = {
    "laser=single": ("laser.layer=", "laser.rank=", "laser=none"),
    "laser=paper": ("Table 3", "model local", "laser=single"),
    "laser=stack_top3": ("no stack_top3", "laser.from=DIR"),
    "laser=stack_top3 laser.from=nowhere": ("nowhere/stack.yaml", "stack.yaml"),
    "laser=file": ("laser.path=stack.yaml",),
    "laser=file laser.path=nowhere.yaml": ("nowhere.yaml",),
    "laser=none laser.rank=3": ("laser.rank=3", "laser=single"),
    "laser=file laser.path=x laser.svd.method=exact": ("laser.svd", "laser=single"),
    "laser=single laser.edits=[{matrix:fc_in,rank:2}]": ("edit 0", "layer missing"),
    "laser=single laser.edits=[{layer:1,matrx:fc_in,rank:2}]": ("'matrx'", "nearest: matrix"),
    "laser=single laser.edits=[{layer:1,matrix:fc_in,rank:2},{layer:all,matrix:fc_in,rank:2}]": (
        "layer 1 fc_in is listed 2 times",
        "combine=in_order",
    ),
    "laser=none controls=true": ("controls=true", "no edits"),
}


@pytest.mark.parametrize("typed", CHOICES)
def test_choices_of_laser(command, local, typed):
    assert_refused(command(*local[:-4], *typed.split()), *CHOICES[typed])


NAMES = {
    "model=gptk": ("unknown model 'gptk'", "nearest: gptj", "llama2, local"),
    "data=counterfct": ("unknown data 'counterfct'", "nearest: counterfact", "wikitext2"),
    "laser=singel": ("unknown laser 'singel'", "nearest: single", "stack_top3"),
    "task=langauge": ("unknown task 'langauge'", "nearest: language"),
    "trainer=gpu2": ("unknown trainer 'gpu2'", "cpu, ddp, default"),
    "logger=wandbb": ("unknown logger 'wandbb'", "csv, default, none"),
    "modle=gptj": ("unknown config key 'modle'", "nearest: model"),
    "laser.rhoo=0.5": ("unknown config key 'laser.rhoo'", "nearest: laser.rho"),
    "+laser.rhoo=0.5": ("unknown config key 'laser.rhoo'", "nearest: laser.rho"),
    "data.world.nose=0.5": ("unknown config key 'data.world.nose'", "nearest: data.world.noise"),
    "seeed=3": ("unknown config key 'seeed'", "nearest: seed"),
    "batch_size=many": ("batch_size=many", "whole number"),
    "logger.csv=maybe": ("logger.csv=maybe", "true or false"),
    "seed=null": ("seed=null", "must not be null"),
    "laser": ("'laser'",),
    "laser.rho=[0.1": ("cannot read 'laser.rho=[0.1'",),
    "seed=0,1": ("seed=0,1", "--multirun"),
    "task._target_=laser_lit.nothing": ("laser_lit.nothing",),
}


@pytest.mark.parametrize("typed", NAMES)
def test_names_and_types(command, typed):
    assert_refused(command(typed), *NAMES[typed])


VALUES = {
    "batch_size=0": ("batch_size 0", "at least 1"),
    "padding=up": ("'up'", "right, left"),
    "split=foo": ("'foo'", "group, paper"),
    "scoring=bar": ("'bar'", "strict, paper"),
    "seed=-1": ("seed -1", "at least 0"),
    "max_length=0": ("max_length 0", "at least 2"),
    "max_length=65": ("max_length 65", "at most 64"),
    "data.limit=0": ("data.limit 0", "at least 1"),
    "data.limit=1": ("at least 2", "data.limit"),
    "data.path=nowhere.json": ("nowhere.json", "no such file"),
    "data.chat_template=true": ("no chat template",),
    "model.dtype=float8": ("'float8'", "float16"),
    "model.kind=masked": ("no masked head", "causal"),
    "model.device_map=foo": ("foo", "auto"),
    "model.architecture=nowhere.yaml": ("nowhere.yaml",),
    "model.path=nowhere/at/all": ("nowhere/at/all",),
    "trainer.accelerator=quantum": ("quantum", "cuda"),
    "trainer.devices=0": ("trainer.devices=0",),
    "trainer.strategy=dpp": ("dpp", "ddp"),
    "trainer.num_nodes=0": ("num_nodes", "positive"),
    "paths.results=/dev/null": ("paths.results", "/dev/null is a file"),
    "paths.output=/dev/null/x": ("paths.output", "/dev/null is a file"),
}


@pytest.mark.parametrize("typed", VALUES)
def test_values(command, local, typed):
    assert_refused(command(*local, typed), *VALUES[typed])


def test_a_gpu_that_is_not_there(command, local, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    said = command(*local, "trainer.accelerator=gpu")
    assert_refused(said, "trainer.accelerator=gpu", "0 CUDA devices", "trainer=cpu")


def test_a_folder_that_cannot_be_written_to(command, local, monkeypatch):
    monkeypatch.setattr("laser_lit.jobs.checks.os.access", lambda path, mode: False)
    assert_refused(command(*local, "paths.results=/locked/away"), "paths.results=/locked/away", "cannot be written to")


def test_a_run_folder_that_cannot_be_made(command, local):
    assert_refused(command(*local, "hydra.run.dir=/dev/null/run"), "/dev/null")


MIXTURES = {
    "model=facts data=counterfact laser=none": ("model=facts data=counterfact", "data=facts"),
    "model=local model.path=PATH data=facts laser=none": ("model=local data=facts", "model=facts"),
    "model=local data=counterfact laser=none": ("model=local needs model.path=DIR",),
    "model=local model.path=PATH": ("data.path",),
    "model=local model.path=PATH data=jsonl": ("data.prompt",),
    "model=gptj": ("counterfact", "data.path=FILE"),
    "data.world.noise=1.5 laser=none": ("data.world.noise 1.5", "[0, 1)"),
    "task=lm_eval analysis=components": ("analysis=components with task=lm_eval", "task=language"),
    "task=edit_checkpoint analysis.storage=[0.5]": ("analysis.storage=[0.5] with task=edit_checkpoint",),
    "model.facts.width=63 laser=none": ("model.facts.width 63", "multiple"),
}


@pytest.mark.parametrize("typed", MIXTURES)
def test_what_does_not_go_together(command, gptj, typed):
    assert_refused(command(*typed.replace("PATH", str(gptj)).split()), *MIXTURES[typed])


def test_no_access_to_the_hub(command, files):
    said = command("model=gptj", *files["token"])
    assert_refused(said, "EleutherAI/gpt-j-6b", "HF_HUB_OFFLINE", "model=local model.path=DIR")


REFT = {
    "reft.path=nowhere": ("no folder nowhere", "train.py task=reft", "PEFT for a LoRA"),
    "reft.path=.": ("has no reft.json",),
    "reft.path=nowhere reft.strength=inf": ("reft.strength inf", "finite"),
    "reft.path=nowhere reft.rank=8 reft.positions=f1": ("reft.rank=8, reft.positions=f1 would count for nothing",),
    "reft.path=nowhere reft.type=noreft": ("reft.type=noreft would count for nothing", "train.py task=reft"),
    "reft.rank=8": ("reft.rank=8 without reft.path", "reft.path=DIR"),
    "reft=noreft": ("reft=noreft without reft.path",),
    "reft.strength=2": ("reft.strength=2.0 without reft.path",),
    "reft.path=nowhere search=grid": ("search=grid reft.path=nowhere", "reuses it", "laser=file"),
    "reft.path=nowhere export.path=new": ("export.path=new reft.path=nowhere", "weights"),
    "reft.path=nowhere task=scan": ("task=scan reft.path=nowhere", "task=language"),
    "reft.path=nowhere task=edit_checkpoint": ("task=edit_checkpoint reft.path=nowhere",),
    "reft.path=nowhere task=lm_eval": ("task=lm_eval reft.path=nowhere",),
}


@pytest.mark.parametrize("typed", REFT)
def test_interventions(command, local, typed):
    edit = [] if "search" in typed else local[4:]
    assert_refused(command(*local[:4], *edit, *typed.split()), *REFT[typed])


def test_interventions_of_other_models_and_kinds(command, local, gptj, bert, tmp_path):
    save_reft(strong(load_weights(bert, kind="masked")), tmp_path / "reft")
    typed = f"reft.path={tmp_path / 'reft'}"
    assert_refused(command(*local, typed), "made for a model (bert", "this model is gptj")
    assert_refused(command(*local, typed, "reft=lora"), "reft=lora", "the folder holds loreft")
    assert_refused(command(*local, f"reft.path={gptj}"), "is a model's folder")
    (tmp_path / "reft" / "reft.safetensors").write_bytes(b"")
    assert_refused(command(*local, typed), "reft.safetensors", "missing or broken")


def test_labels_for_a_classifier(command, local, tmp_path):
    rows = tmp_path / "train.json"
    rows.write_text(json.dumps([{"sentence": "w1", "label": 0}]))
    said = command(*local[:2], "data=glue", f"data.path={rows}", *local[4:])
    assert_refused(said, "data glue has labels for a classifier", "train.py task=reft data=glue")


def test_a_malformed_row(command, local, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "w1", "label": "w2"}\n{"question": w3\n')
    line = [*local[:2], "data=jsonl", f"data.path={rows}", "data.prompt='{question}'", "data.answer=label", *local[4:]]
    assert_refused(command(*line), "rows.jsonl, row 2", "malformed JSON")


def test_a_row_without_a_field(command, local, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"requested_rewrite": {"prompt": "{} w1", "subject": "w2"}}]))
    assert_refused(command(*local, f"data.path={rows}"), "rows.json, row 1", "requested_rewrite.target_true.str")


@pytest.mark.parametrize("edit", [[], ["laser.layer=0"]])
def test_weights_that_are_not_numbers(command, local, gptj, tmp_path, edit):
    broken = Path(shutil.copytree(gptj, tmp_path / "broken"))
    spoil(broken, "transformer.h.1.mlp.fc_in.weight")
    said = command(*local, f"model.path={broken}", *edit)
    assert_refused(said, "NaN", "transformer.h.1.mlp.fc_in.weight", "check the checkpoint")


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq"])
def test_quantized_weights(command, local, gptj, tmp_path, method):
    quantized = Path(shutil.copytree(gptj, tmp_path / "quantized"))
    set_config(quantized, quantization_config={"quant_method": method, "load_in_4bit": True, "bits": 4})
    said = command(*local, f"model.path={quantized}")
    assert_refused(said, "quantized", method, "float16")


def test_models_that_are_not_scored(command, local, bert, files, tmp_path):
    t5 = save_checkpoint(tmp_path / "t5", "t5")
    assert_refused(command(*local, f"model.path={t5}"), "encoder-decoder")
    assert_refused(command(*local[:2], f"model.path={bert}", *files["text"], "laser=none"), "causal model")


def test_a_manifest_that_is_none(command, local, tmp_path):
    (tmp_path / "stack.yaml").write_text("edits: 3\n")
    said = command(*local[:-4], "laser=file", f"laser.path={tmp_path / 'stack.yaml'}")
    assert_refused(said, "stack.yaml", "list of edits")


def test_controls_where_they_cannot_be_had(command, local, files):
    said = command(*local[:2], *files["generate"], *local[4:], "controls=true")
    assert_refused(said, "controls=true", "single place")


def test_training_another_model(command, gptj):
    said = command("model=local", f"model.path={gptj}", "data=text", entry=main.train)
    assert said.code == 1
    assert "task=facts trains the built-in model" in said.err
