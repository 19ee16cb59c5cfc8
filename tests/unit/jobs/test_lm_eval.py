"""The comparison with lm-evaluation-harness, on tables and files made by hand."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from omegaconf import DictConfig

from laser_lit.errors import InputError
from laser_lit.jobs.harness import HarnessResults, harness_command, read_results
from laser_lit.jobs.lm_eval import compare_tables

RIGHT, WRONG = [["-1.5", "True"]], [["-2.5", "False"]]


def written(folder: Path, samples: dict[str, list[dict[str, Any]]], results: dict[str, Any]) -> Path:
    where = folder / "model"
    where.mkdir(parents=True)
    content = {"results": results, "lm_eval_version": "0.4.13"}
    (where / "results_2026-01-01T00-00-00.000000.json").write_text(json.dumps(content))
    for task, rows in samples.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (where / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl").write_text(lines)
    return folder


def table(*rows: tuple[str, bool, list[float] | None]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"id": name, "correct": right, "choice_log_probs": values, "log_loss": 0.75, "n_tokens": 2}
            for name, right, values in rows
        ]
    )


def test_results_are_read_task_by_task_and_the_first_filter_counts(tmp_path: Path) -> None:
    rows = [
        {"doc_id": 0, "resps": [["a"]], "filter": "strict", "exact_match": 1.0},
        {"doc_id": 0, "resps": [["a"]], "filter": "loose", "exact_match": 0.0},
    ]
    numbers = {
        "exact_match,strict": 0.5,
        "exact_match,loose": 1.0,
        "exact_match_stderr,strict": 0.1,
        "bad,none": float("nan"),
        "alias": "my_task",
        "sample_len": 2,
    }
    results = read_results(written(tmp_path, {"my_task": rows}, {"my_task": numbers}))
    assert results.numbers == {"my_task": {"exact_match": 0.5}}
    assert results.samples["my_task/0"]["filter"] == "strict"
    assert results.version == "0.4.13"
    with pytest.raises(InputError, match="left 0 files of results"):
        read_results(tmp_path / "none")


def test_log_probs_and_verdicts_are_compared_document_by_document() -> None:
    samples = {
        "a/0": {"resps": [RIGHT, WRONG, WRONG], "acc": 1.0},  # the third has no question before it
        "a/1": {"resps": [RIGHT, WRONG], "acc": 1.0},
        "b/0": {"resps": [RIGHT], "acc": 0.0},
    }
    theirs = HarnessResults({"a": {"acc": 1.0}, "b": {"acc": 0.0}}, samples, "")
    ours = table(("a/0", True, [-1.5, -2.25]), ("a/1", False, [-1.5, -2.5]), ("b/0", False, None))
    first, second = compare_tables(ours, theirs, "acc")
    assert (first.task, first.n, first.ours, first.harness, first.verdicts) == ("a", 2, 0.5, 1.0, 1)
    assert first.largest_difference == pytest.approx(0.25)
    assert (second.task, second.largest_difference, second.verdicts) == ("b", 0.0, 0)


def test_other_documents_and_other_metrics_are_refused() -> None:
    theirs = HarnessResults({"a": {"f1": 1.0}}, {"a/0": {"resps": [RIGHT], "f1": 1.0}}, "")
    with pytest.raises(InputError, match=r"asked 1 documents and 2 were asked here; the first .* is a/1"):
        compare_tables(table(("a/0", True, None), ("a/1", True, None)), theirs, "acc")
    with pytest.raises(InputError, match="measures f1 on a, and acc is what can be compared"):
        compare_tables(table(("a/0", True, None)), theirs, "acc")


def test_the_command_line_says_what_was_typed(composed: Any, tmp_path: Path) -> None:
    typed = ["model=local", "model.path=org/some-model", "model.revision=abc", "data=lm_eval", "data.task=mine"]
    config: DictConfig = composed(*typed, f"data.path={tmp_path}", "data.num_fewshot=0", "batch_size=3", "trainer=cpu")
    line = harness_command(config, "org/some-model", Path("out"))
    assert line[1:6] == ["-P", "-m", "lm_eval", "run", "--model"]
    options = dict(zip(line[10::2], line[11::2], strict=True))
    assert json.loads(line[8]) == {"pretrained": "org/some-model", "dtype": "auto", "revision": "abc"}
    assert options == {
        "--tasks": "mine",
        "--num_fewshot": "0",
        "--batch_size": "3",
        "--device": "cpu",
        "--output_path": "out",
        "--include_path": str(tmp_path),
    }
    edited = harness_command(config, "elsewhere", Path("out"))
    assert "revision" not in json.loads(edited[8])  # a revision is of the hub's model
    config.data.path = [str(tmp_path), str(tmp_path)]
    with pytest.raises(InputError, match=r"takes one folder of tasks, and data.path names 2"):
        harness_command(config, "m", Path("out"))
