"""Evaluate, export, load and evaluate again, through the commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoints import save_checkpoint
from families import FAMILIES, output_of
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.export.__main__ import main as convert
from laser_lit.files import UNFINISHED
from laser_lit.lit.facts_training import ensure_facts_model, facts_training
from laser_lit.models.content import content_hash
from laser_lit.models.load import load_model, load_weights

ROOT = Path(__file__).resolve().parents[2]
TINY = ("data.world.subjects=12", "model.facts.steps=6", "model.facts.batch_size=16", "model.facts.width=16")
FACTS = (*TINY, "model.facts.heads=2", "model.facts.warmup=1", "laser.layer=1", "laser.matrix=mlp", "laser.rho=0.1")
KILLS = 12


def tensors(folder):
    return {name: tensor for file in folder.glob("model*.safetensors") for name, tensor in load_file(file).items()}


@pytest.mark.parametrize("format", ["dense", "factored"])
def test_what_was_scored_is_what_was_exported(evaluate, local, files, tmp_path, capsys, format):
    out = tmp_path / "out"
    run = evaluate(*local, f"export.path={out}", f"export.format={format}", "controls=false")
    said = capsys.readouterr().out
    assert f"exported to {out}" in said
    assert f"{format}, float32" in said
    again = evaluate("model=local", f"model.path={out}", *files["token"], "controls=false")
    for name in ("accuracy", "log_loss"):
        assert again.record["base"][name] == pytest.approx(run.record["laser"][name], rel=1e-4)
    if format == "dense":
        assert again.predictions["base_log_loss"].equals(run.predictions["laser_log_loss"])
    assert (out / "stack.yaml").read_bytes() == (run.folder / "stack.yaml").read_bytes()
    with pytest.raises(InputError, match="the folder is not empty"):
        evaluate(*local, f"export.path={out}")
    if format == "factored":
        with pytest.raises(InputError, match=r"stored as factors of rank 3 and cannot be edited"):
            evaluate("model=local", f"model.path={out}", *files["token"], *local[-4:], "controls=false")


def test_the_facts_model_in_both_formats_and_back(evaluate, tmp_path):
    run = evaluate(*FACTS, f"export.path={tmp_path / 'dense'}")
    evaluate(*FACTS, f"export.path={tmp_path / 'factored'}", "export.format=factored")
    assert convert([str(tmp_path / "factored"), str(tmp_path / "back"), "--format", "dense"]) == 0
    dense, back = tensors(tmp_path / "dense"), tensors(tmp_path / "back")
    assert dense.keys() == back.keys()
    assert all(torch.equal(dense[name], back[name]) for name in dense)
    base = load_weights(
        ensure_facts_model(
            facts_training(run.record["config"]["model"]["facts"] | {"world": run.record["config"]["data"]["world"]})
        )
    )
    with Stack.load(run.folder / "stack.yaml").applied(base):
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "dense")
        assert torch.equal(loaded(torch.arange(8)[None]).logits, base(torch.arange(8)[None]).logits)
    sizes = [
        sum(file.stat().st_size for file in (tmp_path / name).glob("*.safetensors")) for name in ("dense", "factored")
    ]
    assert sizes[1] < sizes[0]


def test_a_search_exports_what_it_chose(evaluate, local, tmp_path, capsys):
    out = tmp_path / "out"
    search = ["search=grid", "search.matrices=[fc_in]", "search.rank=[1,2]", "search.examples=8", "search.verify=2"]
    assert not evaluate(*local[:-4], *search, f"export.path={out}").record["edits"]
    assert f"nothing exported to {out}: the search found no edit" in capsys.readouterr().out
    assert not out.exists()
    search[1:3] = ["search.matrices=[mlp,out_proj]", "search.rank=[1,2,4,8]", "search.objective=log_loss"]
    run = evaluate(*local[:-4], *search, f"export.path={out}")
    assert f"\n  exported to {out}" in capsys.readouterr().out
    with Stack.load(run.folder / "stack.yaml").applied(model := load_weights(local[1].removeprefix("model.path="))):
        assert content_hash(load_weights(out)) == content_hash(model)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gptj", "mixtral", "qwen3_moe", "falcon_7b"])
def test_a_checkpoint_edited_in_its_files(evaluate, tmp_path, capsys, family):
    source, out = tmp_path / "source", tmp_path / "out"
    FAMILIES[family]().save_pretrained(source, max_shard_size=8000)
    edits = ["laser.edits=[{layer: all, matrix: mlp, rank: 2}, {layer: 0, matrix: out_proj, rho: 0.3}]"]
    line = ["task=edit_checkpoint", "model=local", f"model.path={source}", "laser=single", *edits]
    run = evaluate(*line, f"export.path={out}")
    said = capsys.readouterr().out
    assert run.objective == len(Stack.load(out / "stack.yaml").edits)
    assert "rel. error" in said
    assert "of weights before" in said
    model = load_weights(source)
    stack = Stack.load(out / "stack.yaml")
    stack.apply(model)
    model.save_pretrained(tmp_path / "saved")
    after, wanted = tensors(out), tensors(tmp_path / "saved")
    assert after.keys() == wanted.keys()
    assert all(torch.equal(after[name], wanted[name]) for name in wanted)
    assert torch.equal(output_of(load_weights(out)), output_of(load_weights(tmp_path / "saved")))


def test_the_command_says_what_is_wrong_and_makes_nothing(command, gptj, tmp_path):
    line = ["model=local", f"model.path={gptj}", "laser=single", "laser.layer=0", "laser.matrix=mlp", "laser.rank=2"]
    quiet = ["trainer.accelerator=cpu", "logger=none", "hydra.run.dir=.", "hydra.output_subdir=null"]
    said = command(*line, *quiet, "data.path=nowhere", "export.path=out", "export.format=thin")
    assert said.code == 1
    assert "error: unknown export.format 'thin'; allowed: dense, factored" in said.err
    said = command(*line, *quiet, "task=edit_checkpoint", "export.path=out")
    assert said.code == 0
    card = Path("out/README.md").read_text()
    assert "python evaluate.py model=local" in card
    said = command(*line, *quiet, "task=edit_checkpoint", "export.path=out")
    assert said.code == 1
    assert "the folder is not empty" in said.err


SCRIPT = """
import os, random, signal, sys, time
from pathlib import Path

import torch

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.export.origin import Origin
from laser_lit.export.stream import edit_checkpoint
from laser_lit.export.write import export_model
from laser_lit.models.checkpoint import open_checkpoint
from laser_lit.models.load import load_weights

torch.set_num_threads(1)
folder, kills = Path(sys.argv[1]), int(sys.argv[2])
stack, draw = Stack([Edit("all", "all", rank=2)]), random.Random(0)
model = load_weights(folder / "source")


def write(how, out):
    if how == "stream":
        edit_checkpoint(open_checkpoint(folder / "source"), stack, out, Origin.at(folder / "source"))
    else:
        export_model(model, stack, out, how)


for how in ("dense", "factored", "stream"):
    write(how, folder / f"{how}-whole")
    start = time.perf_counter()
    write(how, folder / f"{how}-again")
    seconds = time.perf_counter() - start
    for number in range(kills):
        child = os.fork()
        if child == 0:
            write(how, folder / f"{how}-{number}")
            os._exit(0)
        time.sleep(draw.uniform(0, 1.2 * seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_nothing_that_loads_by_half(tmp_path):
    save_checkpoint(tmp_path / "source")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", SCRIPT, str(tmp_path), str(KILLS)]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    for how in ("dense", "factored", "stream"):
        whole = {file.name for file in (tmp_path / f"{how}-whole").iterdir()}
        wanted = content_hash(load_weights(tmp_path / f"{how}-whole"))
        half = {file.parent for file in tmp_path.glob(f"{how}-*.unfinished-*/{UNFINISHED}")}
        empty = {path for path in tmp_path.glob(f"{how}-*.unfinished-*") if not any(path.iterdir())}
        assert half
        for folder in half | empty:
            with pytest.raises(InputError, match=r"half-written|without config\.json"):
                load_model(folder)
        for folder in set(tmp_path.glob(f"{how}-*")) - half - empty:  # one that awaits its name alone among them
            assert {file.name for file in folder.iterdir()} == whole
            assert content_hash(load_weights(folder)) == wanted
