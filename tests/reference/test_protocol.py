"""The published evaluation protocol, record by record."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from laser_lit.data.example import MASK, Example, ExampleSet, TextSet
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches, pad_token
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.metrics import metrics
from laser_lit.scoring.requests import encode
from laser_lit.scoring.score import score

pytestmark = pytest.mark.reference

PROFESSIONS = ("journalist", "poet", "composer", "model", "teacher", "architect", "painter", "professor")


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "reference" / "laser" / "protocol"


@pytest.fixture(scope="module")
def gptj(folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(folder / "model_gptj28").eval()
    return model, AutoTokenizer.from_pretrained(folder / "tok_gptj")


@pytest.fixture(scope="module")
def roberta(folder: Path) -> tuple[Any, Any]:
    model = AutoModelForMaskedLM.from_pretrained(folder / "model_roberta12").eval()
    return model, AutoTokenizer.from_pretrained(folder / "tok_roberta")


def records(folder: Path, name: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    run = json.loads((folder / f"{name}.json").read_text())
    (rows,) = run["predictions"].values()
    (summary,) = run["summaries"].values()
    return rows, summary


def stopped(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def example(record: dict[str, Any], prompt: str, **fields: Any) -> Example:
    index = str(record["ix"])
    return Example(id=index, group=index, prompt=prompt, answer=record["gold-answer"].strip(), **fields)


def prompts(name: str, record: dict[str, Any]) -> Example:
    question = record["question"]
    if name == "fever":
        text = f"Consider the following claim: {stopped(question)} Is this claim true or false. The claim is"
        return example(record, text, choices=("true", "false"))
    if name == "bios":
        text = (
            f"Consider the following text: {stopped(question)} Is the person in this text a male or female? "
            "The gender of this person is"
        )
        return example(record, text, choices=("male", "female"))
    if name == "bios_profession":
        text = (
            f"Consider the following text: {stopped(question)} What is the profession of the person in this text? "
            "The profession of this person is"
        )
        return example(record, text, choices=PROFESSIONS)
    if name == "hotpot":
        text = question if question.endswith(("?", ".")) else f"{question}?"
        return example(record, f"{text} The answer is")
    return example(record, question)


SCORING = {
    "counterfact": "token",
    "fever": "choice",
    "bios": "choice",
    "bios_profession": "choice",
    "hotpot": "generate",
    "bbh_qa": "generate",
}


def example_set(folder: Path, name: str) -> tuple[ExampleSet, list[dict[str, Any]], dict[str, Any]]:
    rows, summary = records(folder, f"gptj_{name}_dont")
    examples = tuple(prompts(name, record) for record in rows)
    return ExampleSet(name, SCORING[name], examples, "", summary["args/max_len"]), rows, summary


def scored(model: Any, tokenizer: Any, examples: ExampleSet, kind: str = "causal") -> tuple[Any, list[Any]]:
    requests = encode(examples, tokenizer, kind, "paper", 128)
    batches = Batches(requests, pad_token(tokenizer), batch_size=7)
    scores = [part for batch in batches for part in score_batch(model, batch)]
    return outcomes(examples, requests, scores, "paper", tokenizer=tokenizer), sorted(scores, key=lambda s: s.number)


@pytest.mark.parametrize("name", list(SCORING))
def test_gptj_records_match_example_by_example(folder: Path, gptj: tuple[Any, Any], name: str) -> None:
    model, tokenizer = gptj
    examples, rows, summary = example_set(folder, name)
    table, _ = scored(model, tokenizer, examples)
    assert table["correct"].tolist() == [bool(record["correct"]) for record in rows]
    log_probs = torch.tensor([-loss * n for loss, n in zip(table["log_loss"], table["n_tokens"], strict=True)])
    assert torch.allclose(log_probs.double(), torch.tensor([r["answer_logprob"] for r in rows]).double(), atol=1e-4)
    assert table["n_tokens"].tolist() == [record["answer_length"] for record in rows]
    found = metrics(table, "paper")
    assert found["accuracy"] == pytest.approx(summary["0-1 correctness"] / 100)
    assert found["log_loss"] == pytest.approx(-summary["mean log prob"], abs=1e-4)
    assert found["perplexity"] == pytest.approx(summary["perplexity"], rel=1e-3)


@pytest.mark.parametrize("name", ["fever", "bios", "bios_profession", "hotpot"])
def test_prompts_are_the_recorded_ones(folder: Path, name: str) -> None:
    examples, rows, _ = example_set(folder, name)
    recorded = [record.get("prompted-question") or record.get("prompted_question") for record in rows]
    assert [e.prompt for e in examples.examples] == recorded


@pytest.mark.parametrize("name", ["counterfact", "fever", "bios", "bios_profession"])
def test_top_tokens_match(folder: Path, gptj: tuple[Any, Any], name: str) -> None:
    model, tokenizer = gptj
    examples, rows, _ = example_set(folder, name)
    table, scores = scored(model, tokenizer, examples)
    for k in (5, 10):
        assert table[f"top{k}"].tolist() == [bool(record[f"top_{k}_acc"]) for record in rows]
    for part, record in zip(scores, rows, strict=True):
        assert tokenizer.batch_decode([[i] for i in part.top_ids]) == record["top_10_tokens"]
        assert torch.allclose(torch.tensor(part.top_log_probs), torch.tensor(record["top_10_logprob"]), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "fields"),
    [("fever", ("true_logprob", "false_logprob")), ("bios", ("male_logprob", "female_logprob"))],
)
def test_log_probs_of_both_choices_match(
    folder: Path, gptj: tuple[Any, Any], name: str, fields: tuple[str, str]
) -> None:
    model, tokenizer = gptj
    examples, rows, _ = example_set(folder, name)
    table, _ = scored(model, tokenizer, examples)
    for found, record in zip(table["choice_log_probs"], rows, strict=True):
        assert found == pytest.approx([record[field] for field in fields], abs=1e-4)


def test_log_probs_of_the_professions_match(folder: Path, gptj: tuple[Any, Any]) -> None:
    model, tokenizer = gptj
    examples, rows, _ = example_set(folder, "bios_profession")
    table, _ = scored(model, tokenizer, examples)
    for found, record in zip(table["choice_log_probs"], rows, strict=True):
        assert found == pytest.approx(record["choices_logprob"], abs=1e-4)


def test_generations_and_f1_match(folder: Path, gptj: tuple[Any, Any]) -> None:
    model, tokenizer = gptj
    examples, rows, summary = example_set(folder, "hotpot")
    table, _ = scored(model, tokenizer, examples)
    assert table["prediction"].tolist() == [record["generation"] for record in rows]
    assert table["f1"].tolist() == pytest.approx([record["f1_score"] for record in rows])
    assert metrics(table, "paper")["f1"] == pytest.approx(summary["avg f1 score"])


def test_roberta_records_match(folder: Path, roberta: tuple[Any, Any]) -> None:
    model, tokenizer = roberta
    rows, _ = records(folder, "roberta_counterfact_dont")
    examples = tuple(example(r, r["question"], masked_prompt=r["question"].replace("<mask>", MASK)) for r in rows)
    table, scores = scored(model, tokenizer, ExampleSet("counterfact", "token", examples, ""), "masked")
    assert table["correct"].tolist() == [record["correct"] for record in rows]
    for part, record in zip(scores, rows, strict=True):
        assert part.log_probs == pytest.approx([record["answer_logprob"]], abs=1e-4)
        assert list(part.top_ids) == record["predicted-topk-token-id"]
        assert list(part.top_log_probs) == pytest.approx(record["predicted-topk-logprob"], abs=1e-4)


def test_strict_scoring_does_not_count_words_of_the_prompt(folder: Path, gptj: tuple[Any, Any]) -> None:
    model, tokenizer = gptj
    examples, _, _ = example_set(folder, "hotpot")
    paper = score(model, tokenizer, examples, "paper")
    strict = score(model, tokenizer, examples, "strict")
    assert paper["correct"].mean() == 0.625
    assert strict["correct"].mean() == 0
    assert strict["log_loss"].tolist() == pytest.approx(paper["log_loss"].tolist(), abs=1e-5)
    assert all(not text.startswith("Which") for text in strict["prediction"])


def test_perplexity_of_the_laser_rmt_windows(shared: Path) -> None:
    import numpy as np

    path = shared / "checkpoints" / "tinystories-260k"
    model = AutoModelForCausalLM.from_pretrained(path).eval()
    tokens = np.load(shared / "reference" / "rmt" / "loop_tokens.npz")
    recorded = json.loads((shared / "reference" / "rmt" / "loops.json").read_text())
    tokenizer = _Recorded({name: tokens[name][0].tolist() for name in tokens})
    total, n = 0.0, 0
    for name in ("hand", "model"):
        text = TextSet(name, (name,), "")
        table = score(model, tokenizer, text, "paper", window=64)
        total, n = total + table["log_loss"].sum(), n + len(table)
        assert metrics(table, "paper")["perplexity"] == pytest.approx(
            recorded["whole_model_cut"]["base"][name], rel=1e-5
        )
    assert np.exp(total / n) == pytest.approx(recorded["rmt_laser_fp32"]["returned"][1], rel=1e-5)


class _Recorded:
    """A tokenizer that gives the recorded tokens of a named text."""

    bos_token_id = 1
    eos_token_id = 2
    pad_token_id = None

    def __init__(self, tokens: dict[str, list[int]]) -> None:
        self.tokens = tokens

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": self.tokens[text]}
