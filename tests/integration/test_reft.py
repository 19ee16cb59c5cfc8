"""Training of interventions as it is typed: what is learned, from which examples, what is written and what is said."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers
from checkpoints import set_config
from peft import PeftModel
from safetensors.torch import load_file

from laser_lit import main
from laser_lit.reft.methods import FORMS
from laser_lit.reft.saving import load_reft

QUIET = ("logger=none", "trainer=cpu", "trainer.progress_bar=false")
FAST = ("reft.steps=4", "reft.batch_size=2", "reft.learning_rate=0.02")
GROUPS, EACH = 12, 3


def rows():
    """Returns questions in groups of three, whose answers say which group."""
    return [
        {"question": f"w{g} w{20 + g} w{40 + n} w{60 + n}", "label": f"w{g} w{n}", "topic": f"topic {g}"}
        for g in range(GROUPS)
        for n in range(EACH)
    ]


@pytest.fixture
def questions(tmp_path):
    """Returns what to type for questions in groups."""
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    fields = ("data.prompt='{question}'", "data.answer=label", "data.group=topic", "data.max_new_tokens=3")
    return ["data=jsonl", f"data.path={file}", *fields]


@pytest.fixture
def typed(gptj, questions):
    """Returns what to type for a short training beside the small GPT-J."""
    return ["task=reft", "model=local", f"model.path={gptj}", *questions, *FAST]


@pytest.fixture
def train(command):
    """Returns a function that runs train.py in this process and expects it to end well."""

    def run(*arguments):
        said = command(*arguments, *QUIET, entry=main.train)
        assert said.code == 0, said.err
        return said

    return run


def trained(folder=Path("results")):
    """Returns the one folder of a training."""
    (file,) = [file for file in folder.rglob("training.json") if len(list(file.parent.glob("*.safetensors")))]
    return file.parent


def record(folder=Path("results")):
    return json.loads((trained(folder) / "training.json").read_text())


def test_it_learns_and_says_what_it_wrote(train, typed, gptj):
    base = (gptj / "model.safetensors").read_bytes()
    more = ("reft.steps=60", "reft.batch_size=6", "reft.split=all", "data.limit=2", "reft.show=2", "reft.new_tokens=3")
    said = train(*typed, *more, "hydra.run.dir=run")
    found = record()
    assert found["train_loss"]["last"] < 0.8 * found["train_loss"]["first"]
    assert [row["step"] for row in found["curve"]] == list(range(1, 61))
    assert found["parameters"] == 3 * (2 * 4 * 32 + 4)
    counts = {name: found["data"][name] for name in ("name", "split", "train", "held_out")}
    assert counts == {"name": "jsonl", "split": "all", "train": 2 * EACH, "held_out": 0}
    labels = {row["question"]: row["label"] for row in rows()}
    assert [labels[one["prompt"]] for one in found["shown"]] == [one["taught"] for one in found["shown"]]
    assert len(found["shown"]) == 2
    assert any(one["before"] != one["after"] for one in found["shown"])
    words = ("loreft on gptj", "trainable parameters: 780", f"{found['train_loss']['last']:.4f}", "60 steps on 6")
    for word in (*words, str(trained().resolve())):
        assert word in said.out
    assert json.loads(Path("run/training.json").read_text()) == found
    names = {"reft.json", "reft.safetensors", "README.md", "training.json"}
    assert {path.name for path in trained().iterdir()} == names
    assert {path.name for path in trained().parent.iterdir()} == {trained().name, "training.json", "lock"}
    assert (gptj / "model.safetensors").read_bytes() == base


@pytest.mark.parametrize("type", FORMS)
def test_every_type_writes_a_folder_that_can_be_attached(train, typed, gptj, type):
    train(*typed, f"reft={type}", "reft.rank=2", "reft.positions=f1+l2", "reft.share=ends", "reft.layer=[0,-1]")
    assert trained().name == f"gptj-{type}"
    assert record()["type"] == type
    reft = load_reft(trained())
    assert (len(reft.edits), reft.parameter_count) == (4, record()["parameters"])
    assert reft.base.id == str(gptj)
    model, ids = transformers.AutoModelForCausalLM.from_pretrained(gptj), torch.tensor([[9, 8, 7, 6]])
    with torch.no_grad():
        plain = model(ids).logits
        with reft.attached(model):
            assert not torch.allclose(model(ids).logits, plain, atol=1e-3)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft's own loading
@pytest.mark.parametrize("precision", ["32-true", "bf16-true"])
def test_a_lora_writes_a_folder_of_pefts(train, typed, gptj, precision):
    line = ("reft=lora", "reft.rank=2", "reft.layer=1", f"reft.precision={precision}", "reft.path=new/lora")
    said = train(*typed, *line)
    folder = trained(Path("new"))
    assert {path.name for path in folder.iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors", "README.md", "training.json")
    }
    assert record(Path("new"))["parameters"] == 2 * 2 * 2 * 32
    assert "not used" not in said.out
    model, ids = transformers.AutoModelForCausalLM.from_pretrained(gptj), torch.tensor([[9, 8, 7, 6]])
    with torch.no_grad():
        plain = model(ids).logits
        assert not torch.allclose(PeftModel.from_pretrained(model, folder)(ids).logits, plain, atol=1e-3)


def test_a_lora_names_the_settings_that_it_does_not_use(train, typed):
    line = [*typed, "reft.positions=f1", "reft.share=none"]
    words = "not used, since a LoRA has no places or activations: reft.positions, reft.share\n"
    assert words in train(*line, "reft=lora").out
    assert "not used" not in train(*line).out


@pytest.mark.parametrize("type", ["loreft", "lora"])
def test_typed_again_it_says_so(train, typed, type):
    line = [*typed, f"reft={type}"]
    first = train(*line)
    before = trained().stat().st_mtime_ns
    again = train(*line)
    assert "trained before; remove" in again.out
    assert first.out.splitlines()[1:8] == again.out.splitlines()[:7]
    assert trained().stat().st_mtime_ns == before
    shutil.rmtree(trained())
    assert "trained before" not in train(*line).out


def test_typed_again_with_another_path_what_was_trained_is_there_too(command, train, typed):
    train(*typed, "reft.path=a")
    for copied in (True, False):
        again = train(*typed, "reft.path=b/c")
        assert f"remove {Path('a').resolve()} and {Path('b/c').resolve()} to train again" in again.out
        assert ("copied from" in again.out) == copied
    one, two = ({file.name: file.read_bytes() for file in Path(folder).iterdir()} for folder in ("a", "b/c"))
    assert json.loads(two.pop("training.json"))["path"] == str(Path("b/c").resolve())
    assert json.loads(one.pop("training.json"))["path"] == str(Path("a").resolve())
    assert one == two
    inside = command(*typed, *QUIET, "reft.path=a/b", entry=main.train)
    assert (inside.code, "reft.path" in inside.err, "name a folder beside it" in inside.err) == (1, True, True)
    assert not Path("a/b").exists()
    shutil.rmtree("a")
    assert f"trained before; remove {Path('b/c').resolve()}" in train(*typed, "reft.path=b/c").out
    Path("full").mkdir()
    Path("full/mine.txt").touch()
    full = command(*typed, *QUIET, "reft.path=full", entry=main.train)
    assert (full.code, "reft.path" in full.err, "not empty" in full.err) == (1, True, True)
    assert [file.name for file in Path("full").iterdir()] == ["mine.txt"]


def test_what_is_another_training(train, typed, gptj, tmp_path):
    other = shutil.copytree(gptj, tmp_path / "other" / gptj.name)
    set_config(other, layer_norm_epsilon=1e-3)  # the same weights by the same name, another model
    others = ("seed=1", "reft.rank=3", "reft.holdout=0.3", "reft.dropout=0.1", "reft.split=all")
    line = [*typed, "reft.steps=1"]
    for more in ("seed=0", *others, f"model.path={other}"):
        assert "trained before" not in train(*line, more).out
    assert "trained before" in train(*line, "reft.show=1", "reft.save_every=2").out


def shown(more, train, typed):
    """Returns the prompts of a training, which all are shown."""
    train(*typed, *more, "reft.show=99", "reft.new_tokens=1", "paths.results=all")
    found = record(Path("all"))
    shutil.rmtree("all")
    assert found["data"]["train"] == len(found["shown"])
    return {one["prompt"] for one in found["shown"]}, found["data"]["held_out"]


@pytest.mark.parametrize("limit", [(), ("data.limit=8",)])
def test_it_trains_on_what_evaluation_chooses_on_and_never_on_a_test_group(train, command, typed, questions, limit):
    scored = ("laser=none", "hydra.run.dir=scored", *limit)
    command(*QUIET, *[word for word in typed if "reft" not in word], *scored)
    table = pd.read_parquet("scored/predictions.parquet")
    chosen = {row["question"]: row["topic"] for row in rows()}
    prompts, held_out = shown(limit, train, typed)
    record = json.loads(Path("scored/result.json").read_text())
    assert (len(prompts), held_out) == (record["validation"]["base"]["n"], 0)
    numbers = {str(n): row["topic"] for n, row in enumerate(rows(), start=1)}
    tested = {numbers[id] for id in table.loc[table["split"] == "test", "id"]}
    assert tested
    assert not {chosen[prompt] for prompt in prompts} & tested


def test_whole_groups_are_held_out(train, typed):
    topics = {row["question"]: row["topic"] for row in rows()}
    whole, none = shown(("reft.split=all",), train, typed)
    kept, held_out = shown(("reft.split=all", "reft.holdout=0.3"), train, typed)
    assert (len(whole), none) == (GROUPS * EACH, 0)
    assert len(kept) + held_out == len(whole)
    assert 0 < held_out < len(kept)
    assert kept < whole
    assert not {topics[one] for one in kept} & {topics[one] for one in whole - kept}


def test_what_is_held_out_is_looked_at(train, typed):
    said = train(*typed, "reft.split=all", "reft.holdout=0.3", "reft.save_every=2")
    found = record()
    looks = [row["validation/loss"] for row in found["curve"] if "validation/loss" in row]
    assert [row["step"] for row in found["curve"] if "validation/loss" in row] == [0, 2, 4]
    assert found["validation_loss"] == {"first": looks[0], "last": looks[-1]}
    assert f"{looks[-1]:.4f}" in said.out


@pytest.mark.parametrize(
    "more",
    [
        ("reft.precision=bf16-mixed",),
        ("reft.precision=bf16-true", "reft.dtype=bfloat16"),
        ("reft.accumulate=3", "reft.gradient_checkpointing=true", "reft.clip=1"),
        ("reft.component=mlp_output", "reft.layer=1", "reft.warmup=0.5", "reft.schedule=cosine"),
        ("reft.component=transformer.h.1.attn.v_proj.output",),
        ("reft=lora", "reft.precision=bf16-mixed", "reft.gradient_checkpointing=true", "reft.dropout=0.1"),
    ],
)
def test_ways_of_training(train, typed, more):
    train(*typed, *more)
    for tensor in load_file(next(trained().glob("*.safetensors"))).values():
        assert tensor.isfinite().all()


def test_epochs_are_steps(train, typed):
    train(*typed, "reft.steps=null", "reft.epochs=1.5", "reft.split=all", "reft.batch_size=4", "reft.accumulate=2")
    assert record()["steps"] == 7  # 36 · 1.5 / 8


def test_several_interventions(train, typed):
    train(*typed, "reft.interventions=[{layer:0,type:noreft,rank:1},{layer:[1,2],positions:f1,type:direft}]")
    assert trained().name == "gptj-noreft+direft"
    reft = load_reft(trained())
    assert [(edit.method, edit.rank) for edit in reft.edits] == [("noreft", 1), ("direft", 4), ("direft", 4)]
    assert record()["type"] == "noreft+direft"
    assert len(record()["interventions"]) == 2


def test_several_jobs(train, typed):
    train("-m", *typed, "reft.rank=1,2", "paths.results=kept", "hydra.sweep.dir=sweep")
    found = [json.loads(Path(f"sweep/{n}/training.json").read_text()) for n in (0, 1)]
    assert [one["parameters"] for one in found] == [3 * (2 * 32 + 1), 3 * (4 * 32 + 2)]
    assert all((Path(one["path"]) / "reft.safetensors").is_file() for one in found)


def test_turns_of_a_chat_and_long_answers(train, typed, gptj, tmp_path):
    shutil.copytree(gptj, tmp_path / "chat")
    template = "{% for message in messages %}w90 {{ message['content'] }} w89 {% endfor %}"
    (tmp_path / "chat" / "chat_template.jinja").write_text(template)
    line = [*typed, f"model.path={tmp_path / 'chat'}", "reft.split=all"]
    prompts, _ = shown(("data.chat_template=true",), train, line)
    assert prompts == {f"w90 {row['question']} w89 " for row in rows()}
    Path("short.jsonl").write_text(
        "".join(json.dumps({**row, "label": "w1 " * n}) + "\n" for n, row in enumerate(rows(), 1))
    )
    prompts, _ = shown(("data.path=short.jsonl", "data.max_answer_tokens=5"), train, line)
    assert prompts == {row["question"] for row in rows()[:5]}


def test_answers_are_shown_within_the_models_context(train, typed):
    train(*typed, "reft.show=1", "reft.new_tokens=63")  # of 64; the prompt has 4


@pytest.mark.parametrize("kind", ["token", "choice"])
def test_other_questions(train, typed, files, kind):
    train(*typed[:3], *FAST, *files[kind], "reft.split=all", "reft.holdout=0.2")
    assert record()["data"]["name"] == files[kind][0].removeprefix("data=")
