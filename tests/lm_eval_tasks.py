"""Tasks of lm-evaluation-harness on disk, in the words of the small checkpoints: YAML beside its rows."""

import json
import random
from pathlib import Path
from typing import Any

import yaml
from checkpoints import WORDS

MEAN = {"aggregation": "mean", "higher_is_better": True}
TASKS: dict[str, dict[str, Any]] = {
    "choice": {
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{options}}",
        "doc_to_target": "label",
        "metric_list": [{"metric": "acc", **MEAN}, {"metric": "acc_norm", **MEAN}],
        "metadata": {"version": 3.0},
    },
    "letters": {
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": ["w1", "w2", "w3"],
        "doc_to_target": "label",
        "metric_list": [{"metric": "acc", **MEAN}],
    },
    "blanks": {  # a context for each choice, and one and the same continuation, as in WinoGrande
        "output_type": "multiple_choice",
        "doc_to_text": "label",
        "doc_to_choice": "{{options}}",
        "doc_to_target": "question",
        "metric_list": [{"metric": "acc", **MEAN}],
    },
    "last": {  # as LAMBADA
        "output_type": "loglikelihood",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{' ' + last}}",
        "metric_list": [{"metric": "acc", **MEAN}, {"metric": "perplexity", "aggregation": "perplexity"}],
    },
    "writes": {
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{last}}",
        "generation_kwargs": {"until": ["w7"], "max_gen_toks": 3, "do_sample": False},
        "filter_list": [{"name": "cut", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}],
        "metric_list": [{"metric": "exact_match", "ignore_case": True, **MEAN}],
    },
    "reads": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{question}}",
        "metric_list": [{"metric": "word_perplexity"}],
    },
}


def rows(n: int) -> list[dict[str, Any]]:
    """Returns seeded documents; two follow each other on every topic."""
    rng = random.Random(7)

    def words(count: int) -> str:
        return " ".join(rng.choices(WORDS, k=count))

    return [
        {
            "question": words(3 + i % 5),
            "options": [words(1 + (i + j) % 3) for j in range(3)],
            "label": i % 3,
            "last": words(1),
            "topic": f"topic {i // 2}",
            "hidden": -1,
        }
        for i in range(n)
    ]


def save_tasks(folder: Path, n: int = 24, **documents: Any) -> Path:
    """Returns the folder, now with a YAML file for each of TASKS, the group `both`, and their rows.

    Args:
        folder: made where it is missing.
        n: number of rows.
        documents: fields that every row gets in the place of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row | documents) + "\n" for row in rows(n)))
    for name, task in TASKS.items():
        save_task(folder, name, **task)
    (folder / "both.yaml").write_text(yaml.safe_dump({"group": "both", "task": ["choice", "letters"]}))
    return folder


def save_task(folder: Path, name: str, **task: Any) -> None:
    """Writes a task's YAML beside the rows that `save_tasks` wrote."""
    where = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(folder / "rows.jsonl")},
            "cache_dir": str(folder / "cache"),
        },
        "test_split": "test",
        "fewshot_split": "test",
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(where | task))
