"""Finetuning as it is typed: what changes, where it goes, what is said, and what is refused."""

import json
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers
from commands import refused, stop, wait_for
from filelock import FileLock
from safetensors.torch import load_file

QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false")
UNFROZEN = "unfrozen_parameters:\n# mlp.fc_in layers\n- transformer.h.1.mlp.fc_in\n- ^transformer.ln_f.weight$\n"
CHANGED = {"transformer.h.1.mlp.fc_in.weight", "transformer.h.1.mlp.fc_in.bias", "transformer.ln_f.weight"}
FAST = ("finetune.steps=4", "finetune.batch_size=2", "finetune.learning_rate=0.01", "finetune.warmup=0")


@pytest.fixture
def typed(gptj, files, tmp_path):
    """Returns what to type for a short training of the small GPT-J."""
    file = tmp_path / "unfrozen.yaml"
    file.write_text(UNFROZEN)
    return ["task=finetune", "model=local", f"model.path={gptj}", *files["text"], f"finetune.unfrozen={file}", *FAST]


def trained(folder=Path("results")):
    (file,) = folder.rglob("*-finetuned/model.safetensors")
    return file.parent


def changed(base, folder):
    one, two = load_file(base / "model.safetensors"), load_file(folder / "model.safetensors")
    assert one.keys() == two.keys()
    assert all(one[name].dtype == two[name].dtype for name in one)
    return {name for name in one if not torch.equal(one[name], two[name])}


def test_exactly_the_listed_modules_change(train, typed, gptj):
    said = train(*typed)
    assert said.code == 0, said.err
    folder = trained()
    assert changed(gptj, folder) == CHANGED
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("README.md", "training.json"),
    }
    transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert (folder / "tokenizer_config.json").read_bytes() == (gptj / "tokenizer_config.json").read_bytes()
    record = json.loads((folder / "training.json").read_text())
    assert set(record["unfrozen"]["names"]) == CHANGED
    assert record["unfrozen"]["trained"] == 32 * 128 + 128 + 32
    assert [row["step"] for row in record["curve"]] == [0, 1, 2, 3, 4]
    assert record["validation_loss"]["last"] != record["validation_loss"]["first"]
    for words in ("held out", f"{record['validation_loss']['last']:.4f}", "4,256 of", str(folder.resolve())):
        assert words in said.out
    (run,) = Path("outputs").glob("*/*/training.json")
    assert json.loads(run.read_text()) == record
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, "training.json", "lock"}


def test_a_finished_training_typed_again_says_so(train, typed):
    first = train(*typed)
    before = trained().stat().st_mtime_ns
    again = train(*typed)
    assert again.code == 0, again.err
    assert "trained before; remove" in again.out
    assert first.out.splitlines()[1:10] == again.out.splitlines()[:9]
    assert trained().stat().st_mtime_ns == before
    shutil.rmtree(trained())
    assert "trained before" not in train(*typed).out
    assert trained().is_dir()


def test_other_settings_are_another_training(train, typed):
    train(*typed)
    assert train(*typed, "seed=1").code == 0
    assert train(*typed, "finetune.holdout=0.2").code == 0
    assert len(list(Path("results/finetune/gptj/text").iterdir())) == 3


def test_the_trained_model_can_be_evaluated_and_trained_on(train, command, typed, files):
    train(*typed, "finetune.path=new")
    local = ["model=local", "model.path=new"]
    assert command(*local, *files["text"], *QUIET, "laser=none", "hydra.run.dir=scored").code == 0
    record = json.loads(Path("scored/result.json").read_text())
    assert record["model"]["id"] == "new"
    said = train(*[word for word in typed if not word.startswith("model")], *local, "finetune.unfrozen=null")
    assert said.code == 0, said.err
    assert "(100.0%)" in said.out


def test_the_curve_is_in_metrics_csv(train, typed):
    train(*typed, "logger=csv", "hydra.run.dir=run", "finetune.save_every=2")
    table = pd.read_csv("run/csv/metrics.csv")
    assert table["step"].tolist() == [0, 1, 2, 3, 4]
    assert table["train/loss"].notna().tolist() == [False, True, True, True, True]
    assert table["validation/loss"].notna().tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(("base", "precision"), [("bfloat16", "32-true"), ("float32", "bf16-true")])
def test_the_type_of_the_base_is_kept(train, typed, gptj, tmp_path, base, precision):
    model = transformers.AutoModelForCausalLM.from_pretrained(gptj, dtype=getattr(torch, base))
    shutil.copytree(gptj, tmp_path / "base")
    model.save_pretrained(tmp_path / "base")
    said = train(*typed, f"model.path={tmp_path / 'base'}", f"finetune.precision={precision}")
    assert said.code == 0, said.err
    assert changed(tmp_path / "base", trained()) == CHANGED
    assert transformers.AutoModelForCausalLM.from_pretrained(trained(), dtype="auto").dtype == getattr(torch, base)


def test_text_in_documents_and_nothing_held_out(train, typed, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"w{i} w{i + 1} w{i + 2}"}) + "\n" for i in range(60)))
    line = [word for word in typed if not word.startswith("data")]
    said = train(*line, "data=c4", f"data.path={rows}", "finetune.window=8", "finetune.holdout=0")
    assert said.code == 0, said.err
    record = json.loads((trained() / "training.json").read_text())
    assert record["data"]["held_out_windows"] == 0
    assert record["validation_loss"] == {"first": None, "last": None}
    assert said.out.count("–") >= 2


WRONG = {
    "finetune.steps=0": ("finetune.steps 0: must be at least 1",),
    "finetune.learning_rate=-1": ("finetune.learning_rate -1.0: must be above 0",),
    "finetune.learning_rate=0": ("must be above 0",),
    "finetune.unfrozen=none.yaml": ("none.yaml: no such file", "task=scan"),
    "finetune.precision=bf16": ("unknown finetune.precision 'bf16'", "nearest: bf16-true, bf16-mixed"),
    "finetune.schedule=cosin": ("nearest: cosine",),
    "finetune.window=65": ("finetune.window 65", "takes at most 64 tokens"),
    "finetune.window=1": ("at least 2",),
    "finetune.holdout=1": ("[0, 1)",),
    "finetune.clip=0": ("above 0",),
    "finetune.stepz=3": ("stepz", "steps"),
    "model.device_map=auto": ("holds the model whole on each device",),
    "seed=-1": ("seed -1",),
    "data.path=none.txt": ("none.txt",),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_inputs(train, typed, wrong):
    refused(train(*typed, wrong), *WRONG[wrong])


def test_one_training_has_one_process(train, typed):
    train(*typed)
    shutil.rmtree(trained())
    (lock,) = Path("results").rglob("lock")
    with FileLock(lock):
        said = train(*typed)
    assert said.code == 1
    assert "another process is at this very training" in said.err


def test_questions_and_the_built_in_model_are_refused(train, typed, files, bert):
    refused(train(*typed, *files["token"]), "data=counterfact asks questions", "data=text")
    refused(train("task=finetune"), "python train.py alone trains the built-in model")
    refused(train("task=finetune", "model=facts", *files["text"]), "model=local model.path=DIR")
    line = [*typed, f"model.path={bert}", "finetune.unfrozen=null"]
    refused(train(*line), "bert predicts masked tokens")


def test_a_pattern_without_a_match_names_the_nearest(train, typed, tmp_path):
    (tmp_path / "unfrozen.yaml").write_text("unfrozen_parameters:\n- h.1.mlp.fc_inn\n")
    refused(train(*typed), "'h.1.mlp.fc_inn'", "nearest: transformer.h.1.mlp.fc_in")


def test_a_training_that_diverges_says_so(train, typed):
    said = train(*typed, "finetune.learning_rate=1e30", "finetune.clip=null")
    assert said.code == 1
    assert "the training loss is" in said.err
    assert "smaller finetune.learning_rate" in said.err
    assert not list(Path("results").rglob("*-finetuned"))


@pytest.mark.slow
def test_jobs_side_by_side(shell, typed):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="pip install 'laser_lit[launch]'")
    line = (*typed, *QUIET, "launch=joblib", "hydra.launcher.n_jobs=2", "seed=0,1", "paths.results=kept")
    done = shell("-m", *line, script="train.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model: ") == 2


@pytest.mark.reference
def test_spectrums_list_on_a_trained_model(train, shared):
    base, lists = shared / "checkpoints" / "tinystories-260k", shared / "reference" / "rmt"
    file = lists / "snr_results_tinystories-260k_unfrozenparameters_25percent.yaml"
    text = shared / "data" / "text" / "alice_in_wonderland.txt"
    line = ("task=finetune", "model=local", f"model.path={base}", "data=text", f"data.path={text}")
    said = train(*line, f"finetune.unfrozen={file}", "finetune.steps=3", "finetune.batch_size=2", "data.window=64")
    assert said.code == 0, said.err
    listed = [line[2:] for line in file.read_text().splitlines() if line.startswith("- ")]
    assert changed(base, trained()) == {f"{name}.weight" for name in listed}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "sent", "code"),
    [
        ("32-true", signal.SIGKILL, -signal.SIGKILL),
        ("bf16-mixed", signal.SIGTERM, 128 + signal.SIGTERM),
        ("bf16-true", signal.SIGINT, 128 + signal.SIGINT),
    ],
)
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(train, start, typed, precision, sent, code):
    line = [*typed, f"finetune.precision={precision}", "finetune.steps=200", "finetune.save_every=5"]
    train(*line, "paths.results=whole")
    process = start(*QUIET, *line, "paths.results=twice", script="train.py", cwd=Path.cwd())
    wait_for(process, Path("twice"), "*/last.ckpt")
    stop(process, sent)
    assert process.returncode == code
    assert not list(Path("twice").rglob("*-finetuned"))
    said = train(*line, "paths.results=twice")
    assert said.code == 0, said.err
    assert "training goes on after step " in said.out
    assert_same(trained(Path("whole")), trained(Path("twice")))


def assert_same(one, two):
    weights = [load_file(folder / "model.safetensors") for folder in (one, two)]
    assert [name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])] == []
    curves = [json.loads((folder / "training.json").read_text())["curve"] for folder in (one, two)]
    assert curves[0] == curves[1]


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(train, start, typed):
    both = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    line = (*QUIET, *typed, *both, "paths.results=both", "finetune.save_every=2")
    process = start(*line, script="train.py", cwd=Path.cwd())
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert out.count("model: ") == 1
    train(*typed, "finetune.batch_size=4", "paths.results=one", "finetune.save_every=2")
    one, two = (trained(Path(name)) for name in ("one", "both"))
    curves = [pd.DataFrame(json.loads((folder / "training.json").read_text())["curve"]) for folder in (one, two)]
    pd.testing.assert_frame_equal(*curves, rtol=0, atol=1e-5)
    weights = [load_file(folder / "model.safetensors") for folder in (one, two)]
    for name in weights[0]:
        torch.testing.assert_close(weights[1][name], weights[0][name], rtol=0, atol=1e-4)
