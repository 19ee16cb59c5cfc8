"""`task=compare` through the command and in this process: what it says, leaves, restores and refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from checkpoints import save_checkpoint
from commands import refused
from interventions import saved_lora, saved_reft

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.models.content import content_hash
from laser_lit.models.load import load_model
from laser_lit.report.__main__ import main as report
from laser_lit.results.side_by_side import SideBySide, read_side_by_side

EDIT = ("laser=single", "laser.layer=1", "laser.matrix=fc_in", "laser.rank=2")
TWO = "compare.prompts=[w1 w2 w3,w4]"


@pytest.fixture
def compare(evaluate: Callable[..., Any]) -> Callable[..., tuple[SideBySide, Any]]:
    """Returns a function that compares prompts in this process: to the record and the run."""

    def run(*overrides: str) -> tuple[SideBySide, Any]:
        done = evaluate("task=compare", "model=local", *overrides)
        return read_side_by_side(done.folder), done

    return run


def test_a_run_leaves_its_files_and_says_so(command, gptj):
    typed = ("task=compare", "model=local", f"model.path={gptj}", "logger=none", "hydra.run.dir=run")
    said = command(*typed, *EDIT, TWO, "compare.top=3")
    assert said.code == 0, said.err
    assert "base | LASER" in said.out
    assert "compare.json  report.html  stack.yaml" in said.out
    record = read_side_by_side(Path("run"))
    assert [asked.prompt for asked in record.asked] == ["w1 w2 w3", "w4"]
    assert all(len(reply.top) == 3 for asked in record.asked for reply in asked.replies.values())
    assert yaml.safe_load(Path("run/stack.yaml").read_text())["edits"][0]["matrix"] == "fc_in"
    page = Path("run/report.html").read_text()
    assert report(["run"]) == 0
    assert Path("run/report.html").read_text() == page
    assert not Path("results").exists()
    again = command(*typed, "laser=file", "laser.path=run/stack.yaml", TWO, "compare.top=3", "hydra.run.dir=again")
    assert again.code == 0, again.err
    assert read_side_by_side(Path("again")).asked == record.asked


def test_what_is_said_is_what_the_models_say(compare, gptj):
    record, run = compare(f"model.path={gptj}", *EDIT, TWO, "compare.max_new_tokens=4")
    model, tokenizer = load_model(gptj)
    weights = content_hash(model)
    with Stack([Edit(1, "fc_in", rank=2)]).applied(model):
        edited = [logits(model, tokenizer, asked.prompt) for asked in record.asked]
    assert content_hash(model) == weights == record.model["content"]
    for asked, q in zip(record.asked, edited, strict=True):
        p, reply = logits(model, tokenizer, asked.prompt), asked.replies["LASER"]
        assert reply.kl == pytest.approx(float((p.exp() * (p - q)).sum()), rel=1e-4)
        top = q.exp().topk(5)
        assert [token.probability for token in reply.top] == pytest.approx(top.values.tolist(), rel=1e-4)
        assert [token.base for token in reply.top] == pytest.approx(p[top.indices].exp().tolist(), rel=1e-4)
        assert asked.replies["base"].kl == 0
        assert reply.changed == (reply.text != asked.replies["base"].text)
    assert run.objective == record.changes[-1].changed > 0


def logits(model: Any, tokenizer: Any, prompt: str) -> torch.Tensor:
    with torch.no_grad():
        found = model(**tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)).logits[0, -1]
    return found.double().log_softmax(-1)


def test_interventions_and_both_together(compare, gptj, tmp_path):
    folder = saved_reft(gptj, tmp_path / "reft")
    prompts = "compare.prompts=[w1 w2 w3,w4 w5]"
    alone, _ = compare(f"model.path={gptj}", "laser=none", f"reft.path={folder}", prompts)
    assert alone.variants == ("base", "ReFT")
    both, run = compare(f"model.path={gptj}", *EDIT, f"reft.path={folder}", prompts)
    assert both.variants == ("base", "LASER", "ReFT", "LASER + ReFT")
    assert not (run.folder / "stack.bases").exists()
    for one, other in zip(alone.asked, both.asked, strict=True):
        assert one.replies["ReFT"] == other.replies["ReFT"]
        assert one.replies["base"] == other.replies["base"]
        assert len({reply.kl for reply in other.replies.values()}) == 4
    still, _ = compare(f"model.path={gptj}", "laser=none", f"reft.path={folder}", "reft.strength=0", prompts)
    assert still.changes[0].changed == 0
    assert still.changes[0].kl == pytest.approx(0, abs=1e-9)


def test_interventions_work_at_each_prompt_s_own_tokens(compare, gptj, tmp_path):
    folder = saved_reft(gptj, tmp_path / "reft")
    typed = (f"model.path={gptj}", "laser=none", f"reft.path={folder}")
    together, _ = compare(*typed, "compare.prompts=[w1 w2 w3 w4 w5 w6,w7]")
    (short, _), (long, _) = (compare(*typed, f"compare.prompts=[{text}]") for text in ("w7", "w1 w2 w3 w4 w5 w6"))
    for alone, asked in zip((long.asked[0], short.asked[0]), together.asked, strict=True):
        assert asked.replies["ReFT"].text == alone.replies["ReFT"].text
        assert asked.replies["ReFT"].kl == pytest.approx(alone.replies["ReFT"].kl, rel=1e-3)


def test_a_lora_made_for_another_model_is_said(compare, gptj, tmp_path):
    folder = saved_lora(gptj, tmp_path / "lora")
    settings = folder / "adapter_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"base_model_name_or_path": "some/other"}))
    record, _ = compare(f"model.path={gptj}", *EDIT, f"reft.path={folder}", TWO)
    assert record.variants == ("base", "LASER", "LoRA", "LASER + LoRA")
    assert record.warnings == (f"reft.path={folder} was trained on some/other, not on {gptj}",)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_masked_model_fills_masks(compare, tmp_path, kind):
    path = save_checkpoint(tmp_path / kind, kind)
    prompts = "compare.prompts=['w1 <mask> w2','w3','<mask> <mask> w4']"
    record, _ = compare(f"model.path={path}", *EDIT, prompts)
    assert record.kind == "masked"
    assert [len(asked.replies["base"].text.split()) for asked in record.asked] == [1, 1, 2]
    assert not any(reply.ended for asked in record.asked for reply in asked.replies.values())
    assert record.changes[0].kl > 0


def test_batches_and_pieces_do_not_show(compare, gptj, monkeypatch):
    prompts = f"compare.prompts=[{','.join('w1 ' * n + f'w{n}' for n in range(1, 8))}]"
    typed = (f"model.path={gptj}", *EDIT, prompts, "compare.max_new_tokens=3")
    whole, _ = compare(*typed)
    monkeypatch.setattr("laser_lit.tasks.prompts.MOST_LOGITS", 1)
    pieces, _ = compare(*typed, "batch_size=2")
    for one, other in zip(whole.asked, pieces.asked, strict=True):
        assert {name: reply.text for name, reply in one.replies.items()} == {
            name: reply.text for name, reply in other.replies.items()
        }
        assert one.replies["LASER"].kl == pytest.approx(other.replies["LASER"].kl, rel=1e-3, abs=1e-6)


def test_prompts_of_a_file(compare, gptj, tmp_path):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "w1 w2", "answer": "w3"}\n')
    record, _ = compare(f"model.path={gptj}", *EDIT, f"compare.file={tmp_path / 'prompts.jsonl'}")
    assert [(asked.prompt, asked.answer, asked.tokens) for asked in record.asked] == [("w1 w2", "w3", 2)]


def test_new_tokens_fill_what_room_there_is(compare, gptj):
    words = " ".join(["w1"] * 60)
    record, _ = compare(f"model.path={gptj}", *EDIT, f"compare.prompts=[{words},w2]")
    assert record.settings["max_new_tokens"] == 4
    record, _ = compare(f"model.path={gptj}", *EDIT, "compare.prompts=w2")
    assert record.settings["max_new_tokens"] == 20


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["compare.prompts=null"], ["task=compare needs prompts", "compare.file=prompts.txt"]),
        (["compare.prompts=[]"], ["compare.prompts is empty"]),
        (["compare.prompts=[w1,'']"], ["text 2: is empty"]),
        (["compare.file=none.txt", "compare.prompts=null"], ["compare.file=none.txt", "no such file"]),
        (["compare.file=none.txt"], ["compare.prompts beside compare.file=none.txt"]),
        (
            [f"compare.prompts=[w1,{'w2 ' * 70}w3]"],
            ["prompt 2 ('w2 w2", "has 71 tokens", "takes 64 in all: shorten it"],
        ),
        (["compare.max_new_tokens=62"], ["has 3 tokens, compare.max_new_tokens=62", "ask for fewer"]),
        (["compare.max_new_tokens=0"], ["compare.max_new_tokens 0: must be at least 1"]),
        (["compare.top=0"], ["compare.top 0: must be at least 1"]),
        (["compare.chat_template=true"], ["compare.chat_template=true: the tokenizer", "has no chat template"]),
        (["compare.promts=[w1]"], ["promts"]),
        (["search=grid"], ["task=compare search=grid", "laser=file", "laser.from=DIR"]),
        (["laser=none"], ["nothing stands beside the base", "reft.path=DIR"]),
        (["export.path=new"], ["task=compare export.path=new"]),
        (["scoring=paper"], ["scoring=paper counts for nothing"]),
        (["analysis=components"], ["analysis=components with task=compare", "leave it out"]),
        (["analysis.text.data=text"], ["analysis.text.data=text with task=compare"]),
        (["max_length=5"], ["max_length=5 counts for nothing", "never cut"]),
        (["controls=true"], ["controls=True counts for nothing"]),
        (["data.path=mine.jsonl"], ["data.path=mine.jsonl with task=compare", "compare.file=FILE"]),
        (["laser.decomposition=whitened"], ["whitened", "laser=file"]),
        (["trainer.devices=2", "trainer.accelerator=cpu"], ["trainer.devices=2", "one process"]),
        (["batch_size=0"], ["batch_size 0"]),
        (["reft.path=nowhere"], ["nowhere"]),
        (["laser.layer=9"], ["layer 9"]),
    ],
)
def test_wrong_inputs(command, gptj, typed, words):
    quiet = ("logger=none", "hydra.run.dir=run", "trainer.progress_bar=false")
    said = command(
        "task=compare", "model=local", f"model.path={gptj}", *quiet, *EDIT, "compare.prompts=[w1 w2 w3]", *typed
    )
    refused(said, *words)
    assert not Path("run").exists()


def test_a_masked_model_takes_no_turns_and_no_more_than_its_context(command, tmp_path):
    path = save_checkpoint(tmp_path / "roberta", "roberta")
    typed = ("task=compare", "model=local", f"model.path={path}", "logger=none", "hydra.run.dir=run", *EDIT)
    refused(command(*typed, TWO, "compare.chat_template=true"), "a masked model fills masks")
    refused(
        command(*typed, f"compare.prompts={'w1 ' * 40}"), "has 41 tokens, and the model takes 31 in all: shorten it"
    )


def test_a_chat_template_opens_the_assistant_s_turn(compare, tmp_path):
    path = save_checkpoint(tmp_path / "gptj")
    settings = path / "tokenizer_config.json"
    template = "{% for message in messages %}w9 {{ message.content }} {% endfor %}w8"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"chat_template": template}))
    typed = (f"model.path={path}", *EDIT)
    turn, _ = compare(*typed, "compare.prompts=[w1]", "compare.chat_template=true")
    plain, _ = compare(*typed, "compare.prompts=[w9 w1 w8]")
    assert turn.asked[0].prompt == "w1"
    assert turn.asked[0].replies == plain.asked[0].replies


def test_the_built_in_model_is_asked_about_its_world(evaluate):
    small = ("model.facts.steps=2", "model.facts.width=16", "model.facts.layers=1", "data.world.subjects=4")
    run = evaluate("task=compare", *small, "laser.layer=0", "laser.matrix=fc_in", "laser.rank=1")
    record = read_side_by_side(run.folder)
    assert len(record.asked) == 10
    assert all(asked.answer for asked in record.asked)
    assert record.settings["max_new_tokens"] == 2


def test_a_table_on_wandb(evaluate, gptj, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = evaluate("task=compare", "model=local", f"model.path={gptj}", *EDIT, TWO, "logger.wandb=true")
    (media,) = run.folder.rglob("*.table.json")
    table = json.loads(media.read_text())
    assert [row[0] for row in table["data"]] == ["w1 w2 w3", "w4"]
