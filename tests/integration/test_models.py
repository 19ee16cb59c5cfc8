"""Other models, types and stacks through the real configs."""

import json

import pandas as pd
import pytest
import torch
from checkpoints import save_checkpoint


@pytest.fixture(scope="session")
def gptj_28(tmp_path_factory):
    """Returns the folder of a GPT-J with as many layers as GPT-J 6B, but narrow."""
    return save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "gptj_28", "gptj_28")


def test_an_unverified_stack_is_called_so(evaluate, gptj_28, files, capsys):
    line = ["model=gptj", f"model.path={gptj_28}", "model.dtype=float32", *files["token"], "controls=false"]
    run = evaluate(*line, "laser=stack_top3")
    said = " ".join(capsys.readouterr().out.split())
    edits = [(edit["layer"], edit["matrix"], edit["rho"], edit["rank"]) for edit in run.record["edits"]]
    assert sorted(edits) == [(14, "fc_in", 0.01, 1), (18, "fc_in", 0.01, 1), (27, "fc_in", 0.01, 1)]
    assert run.record["stack"]["verified"] is False
    assert "Unverified stack" in said
    assert "nverified stack" in (run.folder / "report.html").read_text(encoding="utf-8")
    assert run.record["model"]["revision"] is None  # a local copy is not the hub's commit
    assert run.record["model"]["id"] == "gptj_28"


def test_the_papers_edit_is_the_default_of_its_models(evaluate, gptj_28, files):
    line = ["model=gptj", f"model.path={gptj_28}", "model.dtype=float32", *files["token"], "controls=false"]
    record = evaluate(*line).record
    assert [(edit["layer"], edit["matrix"], edit["rank"]) for edit in record["edits"]] == [(27, "fc_in", 1)]
    assert "Table 3" in record["stack"]["provenance"]
    assert record["stack"]["verified"] is None


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(evaluate, local, dtype):
    run, full = evaluate(*local, f"model.dtype={dtype}", "controls=false"), evaluate(*local, "controls=false")
    assert run.record["model"]["dtype"] == dtype
    assert run.record["config_hash"] != full.record["config_hash"]
    for who in ("base", "laser"):
        near, exact = run.predictions[f"{who}_log_loss"], full.predictions[f"{who}_log_loss"]
        assert (near - exact).abs().max() < 0.5
        assert not near.equals(exact)
    assert run.record["edits"][0]["relative_error"] == pytest.approx(
        full.record["edits"][0]["relative_error"], rel=0.02
    )


@pytest.mark.parametrize("kind", ["token", "choice", "generate"])
def test_a_masked_model(evaluate, bert, files, kind):
    edit = ["laser=single", "laser.layer=1", "laser.matrix=fc_in", "laser.rank=3", "controls=false"]
    line = ["model=local", f"model.path={bert}", *files[kind], *edit]
    if kind != "token":
        line.append("data.masked_prompt='{question} <mask> .'")
    one, other = evaluate(*line), evaluate(*line, "batch_size=3", "padding=left", "paths.results=fresh")
    assert one.record["model"]["architecture"] == "bert"
    pd.testing.assert_frame_equal(one.predictions, other.predictions, rtol=0, atol=1e-5)
    assert one.record["laser"]["log_loss"] != one.record["base"]["log_loss"]


def test_scoring_of_the_paper(evaluate, gptj, files):
    line = ["model=local", f"model.path={gptj}", *files["generate"], "laser=none"]
    strict, paper = evaluate(*line), evaluate(*line, "scoring=paper")
    assert paper.record["base"]["accuracy"] >= strict.record["base"]["accuracy"]
    assert paper.record["data"]["scoring"] == "paper"
    assert paper.record["config_hash"] != strict.record["config_hash"]


def test_split_of_the_paper(evaluate, local):
    table = evaluate(*local, "split=paper", "controls=false").predictions
    first = list(table["split"]).count("validation")
    assert first == len(table) // 5
    ids = list(table["id"])
    assert ids == sorted(ids, key=lambda name: [int(part) for part in name.split("/")])


def test_prompts_are_cut_and_counted(evaluate, local):
    run = evaluate(*local, "max_length=6", "controls=false")
    assert run.record["base"]["n_truncated"] > 0
    assert run.record["base"]["n_truncated"] == (run.predictions.query("split == 'test'")["base_truncated"] > 0).sum()


def test_what_was_typed_is_kept_in_the_record(evaluate, local):
    record = json.loads((evaluate(*local, "seed=3").folder / "result.json").read_text())
    assert record["seed"] == record["config"]["seed"] == 3
    assert record["config"]["laser"]["from"] is None
    assert record["device"] == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(evaluate, local):
    cpu, gpu = evaluate(*local), evaluate(*local, "trainer.accelerator=gpu", "paths.results=fresh")
    assert gpu.record["device"].startswith("cuda")
    pd.testing.assert_frame_equal(cpu.predictions, gpu.predictions, rtol=0, atol=1e-3)
