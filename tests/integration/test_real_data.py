"""Real files: the command of the README on every data file that is at hand."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.reference

ROWS = "data=jsonl data.prompt='{instruction}' data.answer=answer"
FILES = {
    "counterfact/counterfact_5000.json": "data=counterfact",
    "counterfact/known_1000.json": "data=counterfact",
    "hotpotqa/hotpot_dev_v1_simplified.json": "data=hotpotqa",
    "fever/paper_dev.jsonl": "data=fever",
    "truthfulqa/mc_task.json": "data=truthfulqa",
    "bigbench/epistemic.json": "data=epistemic_reasoning",
    "bigbench/causal_judgement.json": "data=causal_judgement",
    "bigbench/object_counting.json": "data=qa_wikidata",
    "bbh/web_of_lies.json": "data=web_of_lies",
    "llm_adapters/dataset/boolq/test.json": f"{ROWS} data.choices=[true,false]",
    "llm_adapters/dataset/piqa/test.json": f"{ROWS} data.choices=[solution1,solution2]",
    "llm_adapters/dataset/social_i_qa/test.json": f"{ROWS} data.choices=[answer1,answer2,answer3]",
    "llm_adapters/dataset/winogrande/test.json": f"{ROWS} data.choices=[option1,option2]",
    "llm_adapters/dataset/ARC-Challenge/test.json": ROWS,
    "llm_adapters/dataset/openbookqa/test.json": f"{ROWS} data.max_new_tokens=3",
    "llm_adapters/dataset/AQuA/test.json": ROWS,
    "llm_adapters/dataset/SVAMP/test.json": ROWS,
    "llm_adapters/ft-training_set/math_data.json": ROWS,
}
RECIPES = {
    "llm_adapters/dataset/boolq/test.json": "data=commonsense",
    "llm_adapters/dataset/winogrande/test.json": "data=commonsense",
    "llm_adapters/dataset/SVAMP/test.json": "data=math data.max_new_tokens=16",
    "llm_adapters/dataset/AQuA/test.json": "data=math data.max_new_tokens=16",
    "llm_adapters/ft-training_set/math_data.json": "data=instruct data.max_answer_tokens=200",
}
TEXTS = {
    "c4/c4_sample.jsonl": "data=c4",
    "gsm8k/test.jsonl": "data=gsm8k",
    "gsm8k/train.head.jsonl": "data=gsm8k",
    "text/alice_in_wonderland.txt": "data=text",
}
LONG = {  # a tokenizer takes ten seconds over one running text of a megabyte
    "wikitext-2/test.txt": "data=wikitext2",
    "wikitext-2/valid.txt": "data=wikitext2",
    "text/tinyshakespeare.txt": "data=text",
}
EDIT = ("laser=single", "laser.layer=4", "laser.matrix=fc_in", "laser.rho=0.5")


@pytest.fixture
def real(evaluate, shared):
    """Returns a function that runs the small Llama on a data file, under an edit that keeps rank 32."""

    def run(file, typed, *more):
        model = f"model.path={shared / 'checkpoints' / 'tinystories-260k'}"
        return evaluate("model=local", model, *typed.split(), f"data.path={shared / 'data' / file}", *EDIT, *more)

    return run


def assert_rank_32(record):
    (edit,) = record["edits"]
    assert (edit["layer"], edit["matrix"], edit["rank"], edit["rho"]) == (4, "fc_in", 32, 0.5)
    assert edit["name"] == "model.layers.4.mlp.gate_proj.weight"
    assert 0.3 < edit["relative_error"] < 0.6


@pytest.mark.parametrize(("file", "typed"), [*FILES.items(), *RECIPES.items()])
def test_prompts(real, file, typed):
    run = real(file, typed, "data.limit=10")
    record = run.record
    assert_rank_32(record)
    groups = record["data"]["groups_validation"] + record["data"]["groups_test"]
    assert groups == 10
    assert len(run.predictions) == record["data"]["n_validation"] + record["data"]["n_test"]
    assert run.predictions["group"].nunique() == 10
    assert 0 <= record["base"]["accuracy"] <= 1
    assert record["base"]["log_loss"] > 0
    assert record["laser"]["log_loss"] != record["base"]["log_loss"]


@pytest.mark.parametrize("file", [*TEXTS, *(pytest.param(file, marks=pytest.mark.slow) for file in LONG)])
def test_texts(real, file):
    run = real(file, (TEXTS | LONG)[file], "data.limit=12")
    record = run.record
    assert_rank_32(record)
    assert record["base"]["accuracy"] is None
    perplexity = record["base"]["perplexity"]
    assert perplexity == pytest.approx(math.exp(record["base"]["log_loss"]))
    assert 2 < perplexity < 5000
    assert record["gain"]["log_loss"] != 0
    assert run.objective == -record["validation"]["laser"]["log_loss"]


def test_paper_scoring_and_split(real):
    line = ("hotpotqa/hotpot_dev_v1_simplified.json", "data=hotpotqa", "data.limit=30")
    strict, paper = real(*line), real(*line, "scoring=paper")
    assert paper.record["base"]["accuracy"] >= strict.record["base"]["accuracy"]
    assert paper.record["data"]["scoring"] == "paper"
    assert paper.record["config_hash"] != strict.record["config_hash"]
    first = real("counterfact/known_1000.json", "data=counterfact", "data.limit=20", "split=paper").predictions
    assert list(first["split"]) == ["validation"] * 4 + ["test"] * 16


def test_longest_prompts_are_cut_and_counted(real):
    record = real("bigbench/causal_judgement.json", "data=causal_judgement", "data.limit=10", "max_length=64").record
    assert record["base"]["n_truncated"] > 0


def test_the_command_of_the_issue_as_it_is_typed(shared, tmp_path):
    root = Path(__file__).resolve().parents[2]
    typed = [
        *("model=local", f"model.path={shared / 'checkpoints' / 'tinystories-260k'}", "data=counterfact"),
        *(f"data.path={shared / 'data' / 'counterfact' / 'counterfact_5000.json'}", "data.limit=500", *EDIT),
    ]
    done = subprocess.run(
        [sys.executable, str(root / "evaluate.py"), *typed],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "rank 32 of 64" in done.stdout
    (folder,) = tmp_path.glob("outputs/*/*")
    assert {path.name for path in folder.iterdir()} == {
        *(".hydra", "evaluate.log", "csv", "wandb", "wandb.json"),
        *("result.json", "predictions.parquet", "stack.yaml", "report.html"),
    }
    assert len(list(tmp_path.glob("results/language/tinystories-260k/counterfact/base-*.parquet"))) == 2
